package fetch

import (
	"context"
	"time"
)

// refusal is what the refusal of a token means for it and for the caller.
type refusal struct {
	drop     bool // nobody sends it any more
	hopeless bool // nor will another one serve: several were refused, and nobody was answered between
}

// denied is a call whose token was refused.
type denied struct {
	token    string
	own      bool // of one consent's grant: it serves nobody else
	sent     time.Time
	repeated bool // for another refusal before
}

// refuse notes that a call with a token was refused, and says what follows.
//
// Some providers say so of one consent that is over, while the token serves all the others. Such a consent
// is not worth a new token, or each of many would cost one:
//   - who was asked for well after it, and was answered with the token, shows that it is good;
//   - a repetition that is the first call with its token says more of its consent than of the token;
//   - where one of these was seen, a few refusals in a row show nothing.
//
// A late word on an old token must not hide that the newer one was refused, too.
func (s *tokens) refuse(name string, d denied) (r refusal) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.kept[name]
	if k == nil {
		return refusal{drop: true}
	}
	r.hopeless = !d.own && k.barren >= hopeless
	if k.isOld(d.token) {
		return r
	}
	if !d.own && k.servedAfter(d.sent) {
		k.alone = true
		return refusal{}
	}
	if !d.own && k.isTrusted() {
		k.doubts++
		return r
	}
	k.barren++
	repeatedFirst := d.repeated && k.served.IsZero()
	if repeatedFirst && !d.own && !k.spared {
		k.spared = true
		return r
	}
	k.refused = d.token
	r.drop = true
	return r
}

// isOld says that a token is known as refused, or is no longer the one that is kept.
func (k *keptToken) isOld(accessToken string) bool {
	if k.refused == accessToken {
		return true
	}
	return k.token.AccessToken != "" && k.token.AccessToken != accessToken
}

// servedAfter says that a call which was sent well after a moment was answered with the token.
func (k *keptToken) servedAfter(moment time.Time) bool { return k.served.Sub(moment) > inOrder }

// isTrusted says that refusals are likely meant for single consents: one was, and the token has served of late.
func (k *keptToken) isTrusted() bool {
	if !k.alone || time.Since(k.proven) >= provenFor {
		return false
	}
	return k.doubts < doubtsMost
}

// inOrder is how far apart two calls must have been sent for the provider to have had them in that order: of two that were
// sent together, the later one may have been answered before the token ended.
const inOrder = 100 * time.Millisecond

// hopeless is how many refusals in a row, of two tokens at least, show that a third one serves nobody either.
const hopeless = 3

// doubtsMost is how many refusals in a row a token survives where some consents are refused alone.
const doubtsMost = 5

// provenFor is how long a good answer speaks for its token against those refusals. One that ended overnight is
// replaced at the first.
const provenFor = time.Minute

// drop makes the store forget exactly the token that was refused. news is false where another process has
// replaced it already, so that the refusal says nothing of the token that came after.
func (s *tokens) drop(ctx context.Context, name, accessToken string) (news bool, err error) {
	if s.c.opt.Tokens == nil {
		return true, nil
	}
	return s.c.opt.Tokens.DropToken(ctx, name, accessToken)
}

// served notes that a call with a token, which was sent at a time, was answered well.
func (s *tokens) served(name, accessToken string, sent time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.kept[name]
	if k == nil {
		return
	}
	k.barren = 0
	k.doubts = 0
	if k.token.AccessToken != accessToken {
		return
	}
	k.proven = time.Now()
	if k.spared {
		k.alone = true
	}
	if sent.After(k.served) {
		k.served = sent
	}
}
