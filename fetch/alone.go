package fetch

import (
	"context"
	"strconv"
	"time"

	"syncer/fetch/gate"
	"syncer/finance"
)

// Reach is whom a pause holds up.
type Reach string

// Whom a pause holds up. A provider that counts calls for each consent, as banks do under PSD2, turns one consent away and
// answers the others.
const (
	ReachAll     Reach = "" // everybody who calls the bucket
	ReachConsent Reach = "consent"
	ReachAccount Reach = "account"
)

// keys are the further gates that a request must find open, beside its bucket's, from the widest to the narrowest.
type keys struct {
	plain   string // of a pause that was told before buckets were named by their address
	consent string // empty: the request is for no consent
	account string // empty: it is for no account
}

// keysOf names the gates of a request. An account's id may be a person's number, and there are so few of those that a
// plain hash of one is the number itself: its fingerprint is shown.
//
// What a provider has told under one id of a consent holds for that id, and not for the one that it goes on under.
func (c *Client) keysOf(b *gate.Bucket, consent *finance.Consent, account string) keys {
	k := keys{plain: b.Plain}
	if consent == nil || consent.ID == 0 {
		return k
	}
	k.consent = b.Name + "#consent " + strconv.FormatInt(consent.ID, 10)
	if consent.LaterID {
		k.consent += " as " + c.fingerprint("consent", consent.ExternalID)
	}
	if account != "" {
		k.account = k.consent + " account " + c.fingerprint("account", account)
	}
	return k
}

// all are those that there are.
func (k keys) all() []string {
	names := []string{k.plain}
	for _, name := range []string{k.consent, k.account} {
		if name != "" {
			names = append(names, name)
		}
	}
	return names
}

// of is the gate that a pause of such a reach closes; empty: the bucket's own.
func (k keys) of(r Reach) string {
	switch {
	case r == ReachAccount && k.account != "":
		return k.account
	case r != ReachAll:
		return k.consent
	}
	return ""
}

// gates is the gate that holds the request up for pause.Longest, of those that this process knows of.
func (r *request) gates() gate.Shut { return r.bucket.Shut(r.keys.all()) }

// only says that the gate holds up one consent or account and nobody else.
func (r *request) only(s gate.Shut) bool { return s.Key != "" && s.Key != r.keys.plain }

// notBefore is what people are told of a pause of one alone.
func notBefore(left time.Duration) string {
	return "no call for this one alone before " + time.Now().Add(left).UTC().Format(time.DateTime) + "Z"
}

// ended asks the store about a pause that is too long to be waited for: an operator may have ended it in another
// process. It says whether the gate has moved by that.
func (a *attempt) ended(ctx context.Context, s gate.Shut) bool {
	closed := a.bucket.Lone(s.Key)
	if !closed.MayEnd() {
		return false
	}
	found, err := a.c.opt.Calls.Look(ctx, a.ask())
	if err != nil || found.Refusal != "" {
		return false // what is known holds
	}
	left := found.Gate
	if found.Closed != s.Key {
		left = 0
		if !found.Awaits {
			a.closeAsFound(found, time.Now())
		}
	}
	const alike = time.Second // two clocks have counted
	if left > s.ClosedFor-alike {
		return false
	}
	closed.Reopen(left)
	return true
}
