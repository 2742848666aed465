package admit

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"syncer/calls"
	"syncer/finance"
	"syncer/persist/pg"
)

// errNoConsent says that a call of a single-use consent came without its consent: a defect of the asker.
var errNoConsent = errors.New("the call names no consent")

// Earlier tells what became of an earlier call of a single-use consent. found is false where none was intended. An Intent
// that is not Answered is a send whose fate only the provider knows.
func (s *Store) Earlier(ctx context.Context, call calls.Call) (intent calls.Intent, found bool, err error) {
	if consentID(call.Task) == 0 {
		return calls.Intent{}, false, fmt.Errorf("look for an earlier call than %s: %w", call.ID, errNoConsent)
	}
	intent, err = s.storedAnswer(ctx, call.Task)
	if errors.Is(err, pgx.ErrNoRows) {
		return calls.Intent{}, false, nil
	}
	return intent, err == nil, err
}

// Intend writes down that the one call of a single-use consent is about to be sent, or tells what became of an
// earlier one. It never says Fresh twice for a consent unless Withdraw or Unspent was called in between. An Intent that is
// neither Fresh nor Answered is a send whose fate only the provider knows: it must not be sent again.
func (s *Store) Intend(ctx context.Context, call calls.Call) (calls.Intent, error) {
	id := consentID(call.Task)
	if id == 0 {
		return calls.Intent{}, fmt.Errorf("intend call %s: %w", call.ID, errNoConsent)
	}
	// Of a consent that goes on under another id than the call's nothing is intended: it would stand in the way of the
	// call for that.
	tag, err := s.db.Exec(ctx, `INSERT INTO inbox (consent_id, call_id)
		SELECT c.id, $2 FROM consents c
		WHERE c.id = $1 AND ($3 = '' OR c.external_id = $3)
		FOR SHARE
		ON CONFLICT (consent_id) DO NOTHING`, id, [16]byte(call.ID), call.Task.Consent.ExternalID)
	if err != nil {
		return calls.Intent{}, fmt.Errorf("intend the call of consent %d: %w", id, err)
	}
	if tag.RowsAffected() == 1 {
		return calls.Intent{Fresh: true}, nil
	}
	intent, err := s.storedAnswer(ctx, call.Task)
	if errors.Is(err, pgx.ErrNoRows) {
		err = fmt.Errorf("intend the call of consent %d: it goes on under another id now; it is asked for again", id)
	}
	return intent, err
}

// storedAnswer reads what became of an earlier intent. The scope of the stored call is the asker's, since it is this
// batch that goes on with it.
func (s *Store) storedAnswer(ctx context.Context, task calls.Task) (calls.Intent, error) {
	id := task.Consent.ID
	c := calls.Call{Task: task, Durable: true}
	var answered, settled bool
	var sealed []byte
	var waited, took, retryAfter int64
	err := s.db.QueryRow(ctx, `SELECT i.call_id, i.answered_at IS NOT NULL, i.settled_at IS NOT NULL, i.body,
		coalesce(c.connection, ''), coalesce(c.bucket, ''), coalesce(c.purpose, ''), coalesce(c.method, ''),
		coalesce(c.path, ''), coalesce(c.attempt, 0), coalesce(c.sent_at, i.intended_at), coalesce(c.waited_us, 0),
		coalesce(c.duration_us, 0), coalesce(c.status, 0), coalesce(c.bytes, 0), coalesce(c.correlation_id, ''),
		coalesce(c.class, ''), coalesce(c.reason, ''), coalesce(c.retry_after_us, 0)
		FROM inbox i LEFT JOIN calls c ON c.id = i.call_id WHERE i.consent_id = $1`, id).Scan(
		(*[16]byte)(&c.ID), &answered, &settled, &sealed, &c.Connection, &c.Bucket, &c.Purpose, &c.Method, &c.Path,
		&c.Attempt, &c.SentAt, &waited, &took, &c.Status, &c.Bytes, &c.Correlation, &c.Class, &c.Reason, &retryAfter)
	if err != nil {
		return calls.Intent{}, fmt.Errorf("read the stored answer of consent %d: %w", id, err)
	}
	if settled {
		return calls.Intent{}, fmt.Errorf("the single-use consent %d was used by call %s, whose page is committed: "+
			"a new consent is needed to read again", id, c.ID)
	}
	if !answered {
		return calls.Intent{}, nil
	}
	c.Waited = pg.FromMicros(waited)
	c.Duration = pg.FromMicros(took)
	c.RetryAfter = pg.FromMicros(retryAfter)
	body, err := s.keys.OpenBody(sealed, c.ID)
	if err != nil {
		return calls.Intent{}, fmt.Errorf("open the stored answer of consent %d: %w", id, err)
	}
	return calls.Intent{Answered: true, Call: c, Body: body}, nil
}

// Answered stores the call with its whole answer in one commit, before anything reads it. It fails if the consent's
// intent is not this call's.
func (s *Store) Answered(ctx context.Context, call calls.Call, body []byte) error {
	id := consentID(call.Task)
	sealed, err := s.keys.SealBody(body, call.ID)
	if err != nil {
		return fmt.Errorf("seal the answer of consent %d: %w", id, err)
	}
	return s.db.InTx(ctx, fmt.Sprintf("store the answer of consent %d", id), func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `UPDATE inbox SET answered_at = clock_timestamp(), status = $3, body = $4
			WHERE consent_id = $1 AND call_id = $2 AND (answered_at IS NULL OR settled_at IS NULL)`,
			id, [16]byte(call.ID), call.Status, sealed)
		if err != nil {
			return err
		}
		if tag.RowsAffected() == 0 {
			return fmt.Errorf("call %s was not intended", call.ID)
		}
		_, err = tx.Exec(ctx, insertCall, CallRow(call, finance.CallID{})...)
		return err
	})
}

// Withdraw takes the intent back after an answer that shows that the consent was not spent, such as a 429. An intent
// of another call, or one that was answered, stays.
func (s *Store) Withdraw(ctx context.Context, call calls.Call) error {
	_, err := s.db.Exec(ctx, "DELETE FROM inbox WHERE consent_id = $1 AND call_id = $2 AND answered_at IS NULL",
		consentID(call.Task), [16]byte(call.ID))
	if err != nil {
		return fmt.Errorf("withdraw the intent of consent %d: %w", consentID(call.Task), err)
	}
	return nil
}
