package fetch

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/url"

	"golang.org/x/oauth2"

	"syncer/finance"
)

const (
	grantTries = 3 // a refresh token that somebody else rotates each time is not chased for ever
	saveTries  = 8 // a rotated refresh token that can't be saved is a consent lost
)

// regrant asks for an access token by a consent's refresh token. The caller holds the right to refresh, which is a lease
// and may have run out while this process was frozen; so what SaveGrant says is the last word. A refresh token that
// was rotated is saved before the access token is used: a process that is killed in between has lost the consent,
// which the provider's invalid_grant tells at the next refresh, and not the house's books.
func (s *tokens) regrant(ctx context.Context, key TokenKey, scope finance.Scope) (finance.Token, *Error) {
	grants := s.c.opt.Grants
	if grants == nil || s.c.opt.Driver.Authorize == nil {
		return finance.Token{}, s.fail(finance.Fatal, "the connection keeps no grants of consents")
	}
	for range grantTries {
		refresh, ok, err := grants.LoadGrant(ctx, key.Consent)
		if err != nil {
			return finance.Token{}, s.storeFailed("load", err)
		}
		if !ok {
			e := s.fail(finance.ConsentOver, fmt.Sprintf("no grant of consent %d is kept: it must be given again (syncer consents authorize)", key.Consent))
			e.Consent, e.Unasked = finance.ConsentReauthRequired, true
			return finance.Token{}, e
		}
		token, next, failed := s.redeem(ctx, refresh, scope)
		if failed != nil && failed.Class == finance.ConsentOver {
			ended, err := grants.EndGrant(ctx, key.Consent, refresh)
			if err != nil {
				return finance.Token{}, s.storeFailed("forget", err)
			}
			if ended {
				return finance.Token{}, failed
			}
			continue // another process has rotated it: what was refused was old
		}
		if next.IsZero() || next == refresh {
			return token, failed
		}
		saved, lost := s.saveGrant(ctx, key.Consent, refresh, next)
		if failed != nil { // the rest of the answer is of no use; the refresh token had to be saved all the same
			return finance.Token{}, failed
		}
		if lost != nil || saved {
			return token, lost
		}
	}
	return finance.Token{}, s.fail(finance.Transient, fmt.Sprintf("the refresh token of consent %d is rotated by somebody else all the time", key.Consent))
}

// saveGrant saves a rotated refresh token, and tries for longer than anything else here: the provider knows the old one
// no more.
func (s *tokens) saveGrant(ctx context.Context, consent int64, old, next Secret) (saved bool, failed *Error) {
	for n := range saveTries {
		saved, err := s.c.opt.Grants.SaveGrant(ctx, consent, old, next)
		if err == nil {
			return saved, nil
		}
		failed = s.storeFailed("save", err)
		if _, left := wait(ctx, failedFor<<n/8+rand.N(failedFor/8), nil); left != nil {
			break
		}
	}
	s.c.opt.Log.Error().Int64("consent", consent).Err(failed).
		Msg("a rotated refresh token could not be saved: unless the provider takes the old one again, the consent must be given again")
	return false, failed
}

// redeem makes the refresh itself (RFC 6749 section 6). next is zero where the provider does not rotate.
func (s *tokens) redeem(ctx context.Context, refresh Secret, scope finance.Scope) (t finance.Token, next Secret, failed *Error) {
	_, ask, failed := s.c.endpoints(ctx)
	if failed != nil {
		return t, next, failed
	}
	trip, failed := s.trip(ask, scope, refreshVerdict)
	if failed != nil {
		return t, next, failed
	}
	trip.extra = url.Values(ask.Params)
	style, id, secret := ask.proof()
	config := oauth2.Config{ClientID: id, ClientSecret: secret, Endpoint: oauth2.Endpoint{TokenURL: ask.URL, AuthStyle: style}}
	// The source is used once: x/oauth2's own keeping of tokens knows nothing of other processes.
	source := config.TokenSource(trip.under(ctx), &oauth2.Token{RefreshToken: refresh.Reveal()})
	t, failed = trip.token(source.Token())
	return t, NewSecret(string(trip.got.RefreshToken)), failed
}

// refreshVerdict is tokenVerdict for a refresh: what the provider says against one consent's grant is no word on the
// connection's credentials.
func refreshVerdict(a *Answer) Verdict {
	return ofGrant(a, Verdict{
		Class: finance.ConsentOver, Status: finance.ConsentReauthRequired,
		Reason: "the provider refuses the refresh token (invalid_grant): it has ended, was withdrawn or was used already; the consent must be given again",
	})
}

// codeVerdict is tokenVerdict for the exchange of a code.
func codeVerdict(a *Answer) Verdict {
	return ofGrant(a, Verdict{
		Class:  finance.Rejected,
		Reason: "the provider refuses the code (invalid_grant): it has ended, was used already or was not given to this session; begin again",
	})
}

func ofGrant(a *Answer, refused Verdict) Verdict {
	v := tokenVerdict(a)
	var t tokenAnswer
	if v.Class != finance.Fatal || json.Unmarshal(a.Body, &t) != nil {
		return v
	}
	switch t.Error {
	case "invalid_grant":
		return refused
	case "", "invalid_client", "unauthorized_client":
		return v
	}
	v.Class = finance.Rejected
	return v
}
