package fetch

import (
	"context"
	"strconv"
	"time"

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
func (c *Client) keysOf(b *bucket, consent *finance.Consent, account string) keys {
	k := keys{plain: b.plain}
	if consent == nil || consent.ID == 0 {
		return k
	}
	k.consent = b.name + "#consent " + strconv.FormatInt(consent.ID, 10)
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

// lone is the gate of a key, as this process remembers it. Without a key it is the bucket's own.
func (b *bucket) lone(key string) *gate {
	if key == "" {
		return b.gate
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	g := b.alone[key]
	if g == nil {
		b.forget()
		g = newGate()
		b.alone[key] = g
	}
	return g
}

// forget drops the gates that are open once there are many. The caller holds mu.
func (b *bucket) forget() {
	const many = 1024
	if len(b.alone) < many {
		return
	}
	for key, g := range b.alone {
		if left, _, _ := g.closedFor(); left <= 0 {
			delete(b.alone, key)
		}
	}
}

// shut is the gate that holds a request up for longest.
type shut struct {
	closedFor time.Duration // 0: all are open
	reason    string
	key       string          // empty: the bucket's own
	moved     <-chan struct{} // closed when the bucket's own gate moves
}

// gates looks at all gates of the request that this process knows of.
func (r *request) gates() (s shut) {
	s.closedFor, s.reason, s.moved = r.bucket.gate.closedFor()
	r.bucket.mu.Lock()
	defer r.bucket.mu.Unlock()
	for _, key := range r.keys.all() {
		g := r.bucket.alone[key]
		if g == nil {
			continue
		}
		if left, reason, _ := g.closedFor(); left > s.closedFor {
			s.closedFor = left
			s.reason = reason
			s.key = key
		}
	}
	return s
}

// only says that the gate holds up one consent or account and nobody else.
func (r *request) only(s shut) bool { return s.key != "" && s.key != r.keys.plain }

// notBefore is what people are told of a pause of one alone.
func notBefore(left time.Duration) string {
	return "no call for this one alone before " + time.Now().Add(left).UTC().Format(time.DateTime) + "Z"
}

// ended asks the store about a pause that is too long to be waited for: an operator may have ended it in another
// process. It says whether the gate has moved by that.
func (a *attempt) ended(ctx context.Context, s shut) bool {
	gate := a.bucket.lone(s.key)
	if !gate.mayEnd() {
		return false
	}
	found, err := a.c.opt.Calls.Look(ctx, a.ask())
	if err != nil || found.Refusal != "" {
		return false // what is known holds
	}
	left := found.Gate
	if found.Closed != s.key {
		left = 0
		if !found.Awaits {
			a.closeAsFound(found, time.Now())
		}
	}
	const alike = time.Second // two clocks have counted
	if left > s.closedFor-alike {
		return false
	}
	gate.reopen(left)
	return true
}
