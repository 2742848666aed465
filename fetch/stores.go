package fetch

import (
	"context"
	"time"

	"syncer/calls"
	"syncer/finance"
)

// CallStore is the durable memory that the stack asks before it sends and tells what came back. In the program it is
// Postgres, shared by every process.
type CallStore interface {
	// Admit reserves the next slot of a bucket, unless the gate is closed or the call must not be made. It is asked
	// before every attempt, and what it reserves is committed before it returns.
	Admit(ctx context.Context, ask calls.Ask) (calls.Admission, error)
	// Look says what Admit would, and reserves nothing. It is asked when Holds can't say that the last
	// answer holds.
	Look(ctx context.Context, ask calls.Ask) (calls.Admission, error)
	// Holds says whether what Admit or Look has said, see calls.Admission, holds at a moment, now or
	// soon: it does where it is certain that no process had taken anything of it back a twentieth of a
	// second before. Pauses, parked connections and credentials, consents that end, batches taken over and
	// lower rates take back. It is asked right before the first byte of every call, so it asks nobody who
	// is far away, and takes 20 ms at most.
	Holds(ctx context.Context, said calls.Said, at time.Time) bool
	// Refund gives back what Admit has spent for this ask: the consent's read, and the call of the quota of
	// Ask.Day. The asker is certain that nothing was sent.
	Refund(ctx context.Context, ask calls.Ask) error
	// Pause closes the bucket's gate for every process and records the call that was told, in one commit. A gate is
	// only ever closed for longer, never for less long. It gives how long the gate is closed from now on.
	//
	// Refusals are counted, for the bucket and for all processes. Behind one that named no time, and behind the second
	// in a row that did, Admit lets one call through when the gate opens, the probe, and the others wait for what it
	// hears: a quota that is used up is not asked about by everybody who waits.
	Pause(ctx context.Context, p calls.Pause) (time.Duration, error)
	// Probed ends the probe of a bucket: answered says that the provider has answered the call, so the refusals are
	// forgotten and the bucket is open to all. Otherwise nothing was learnt, and the next call probes. A probe that
	// was refused is ended by Pause.
	Probed(ctx context.Context, bucket string, call finance.CallID, answered bool) error
	// Record writes down attempts that bring no page: failed ones, token calls, status and feed calls.
	Record(ctx context.Context, calls ...calls.Call) error
}

// OnceStore is the memory for calls that must not be made twice.
type OnceStore interface {
	// Earlier tells what became of an earlier call of a single-use consent. found is false where none was intended.
	Earlier(ctx context.Context, call calls.Call) (intent calls.Intent, found bool, err error)
	// Intend writes down that the one call of a single-use consent is about to be sent, or tells what became of an
	// earlier one. It never says Fresh twice for a consent unless Withdraw was called in between, or the provider has told
	// since that the consent is unused.
	Intend(ctx context.Context, call calls.Call) (calls.Intent, error)
	// Answered stores the call with its whole answer in one commit, before anything reads it.
	Answered(ctx context.Context, call calls.Call, body []byte) error
	// Withdraw takes the intent back after an answer that shows that the consent was not spent, such as a 429.
	Withdraw(ctx context.Context, call calls.Call) error
}

// TokenStore shares access tokens between processes. The token is sealed at rest by the implementation.
//
// A key names the connection, and by a fingerprint all that the token belongs to. It says nothing of what is secret.
type TokenStore interface {
	// LoadToken gives the stored token, or ok false.
	LoadToken(ctx context.Context, key string) (t calls.Token, ok bool, err error)
	// LockToken asks for the right to refresh the token for at most d. Exactly one asker in all processes holds it.
	LockToken(ctx context.Context, key string, d time.Duration) (got bool, err error)
	// SaveToken stores a new token and gives the right to refresh back.
	SaveToken(ctx context.Context, key string, t calls.Token) error
	// DropToken forgets the token if it is still the one with this access token, because a provider refused it. dropped
	// false: it is not, so somebody else has been refused it before.
	DropToken(ctx context.Context, key, accessToken string) (dropped bool, err error)
	// UnlockToken gives the right to refresh back without a new token.
	UnlockToken(ctx context.Context, key string) error
}
