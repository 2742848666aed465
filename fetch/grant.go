package fetch

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/url"

	"golang.org/x/oauth2"

	"syncer/calls"
	"syncer/fetch/gate"
	"syncer/finance"
)

const (
	grantTries = 3 // a refresh token that somebody else rotates each time is not chased for ever
	saveTries  = 8 // a rotated refresh token that can't be saved is a consent lost
)

// regrant asks for an access token by a consent's refresh token. The caller holds the right to refresh, which is a lease
// and may have run out while this process was frozen; so what SaveGrant says is the last word. A refresh token that
// was rotated is saved before the access token is used: a process that is killed in between has lost the consent,
// which the provider's invalid_grant tells at the next refresh, and not our own tables.
func (s *tokens) regrant(ctx context.Context, w wantedToken, task calls.Task) (calls.Token, *Error) {
	grants := s.c.opt.Grants
	consent := w.key.Consent
	if grants == nil {
		return calls.Token{}, s.fail(finance.Fatal, "the connection keeps no grants of consents")
	}
	has, err := grants.HasGrant(ctx, consent)
	if err != nil {
		return calls.Token{}, s.storeFailed("load", err)
	}
	if !has { // nobody is asked for anything, not even where its endpoints are
		return calls.Token{}, s.noGrant(consent, calls.KeptGrant{})
	}
	_, ask, failed := s.c.endpoints(ctx, w.of)
	if failed != nil {
		return calls.Token{}, failed
	}
	for range grantTries {
		kept, err := grants.LoadGrant(ctx, consent, s.c.holderPrint(&ask))
		if err != nil {
			return calls.Token{}, s.storeFailed("load", err)
		}
		if kept.Refresh.IsZero() {
			return calls.Token{}, s.noGrant(consent, kept)
		}
		refresh := kept.Refresh
		token, next, failed := s.redeem(ctx, w.of, ask, refresh, task)
		if failed != nil && failed.Class == finance.ConsentOver {
			ended, err := grants.EndGrant(ctx, consent, refresh)
			if err != nil {
				return calls.Token{}, s.storeFailed("forget", err)
			}
			if ended {
				return calls.Token{}, failed
			}
			continue // another process has rotated it: what was refused was old
		}
		if next.IsZero() || next == refresh {
			return token, failed
		}
		saved, lost := s.saveGrant(ctx, consent, refresh, next)
		if failed != nil { // the rest of the answer is of no use; the refresh token had to be saved all the same
			return calls.Token{}, failed
		}
		if lost != nil || saved {
			return token, lost
		}
	}
	return calls.Token{}, s.fail(finance.Transient, fmt.Sprintf("the refresh token of consent %d is rotated by somebody else all the time", consent))
}

// noGrant is why a consent has no refresh token that may be sent. One that was given to another client, or by another
// authorization server, does not end the consent: a slip in the configuration is put back, and all goes on.
func (s *tokens) noGrant(consent int64, kept calls.KeptGrant) *Error {
	if kept.Other {
		e := s.fail(finance.Rejected, fmt.Sprintf("the grant of consent %d was given to another client, or by another authorization server, "+
			"so it is not sent: put client_id and the address back, or have it given again (syncer consents authorize)", consent))
		e.Unasked = true
		return e
	}
	e := s.fail(finance.ConsentOver, fmt.Sprintf("no grant of consent %d is kept: it must be given again (syncer consents authorize)", consent))
	e.Consent = finance.ConsentReauthRequired
	e.Unasked = true
	return e
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
		if _, left := gate.Wait(ctx, failedFor<<n/8+rand.N(failedFor/8), nil); left != nil {
			break
		}
	}
	s.c.opt.Log.Error().Int64("consent", consent).Err(failed).
		Msg("a rotated refresh token could not be saved: unless the provider takes the old one again, the consent must be given again")
	return false, failed
}

// redeem makes the refresh itself (RFC 6749 section 6). next is zero where the provider does not rotate.
func (s *tokens) redeem(ctx context.Context, of *opened, ask TokenRequest, refresh Secret, task calls.Task) (t calls.Token, next Secret, failed *Error) {
	trip, failed := s.trip(of, ask, task, classifyRefresh)
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

// classifyRefresh is classifyTokenError for a refresh: what the provider says against one consent's grant is no word on the
// connection's credentials.
func classifyRefresh(a *Answer) Meaning {
	return ofGrant(a, Meaning{
		Class: finance.ConsentOver, Status: finance.ConsentReauthRequired, Named: true,
		Reason: "the provider refuses the refresh token (invalid_grant): it has ended, was withdrawn or was used already; the consent must be given again",
	})
}

// classifyCode is classifyTokenError for the exchange of a code.
func classifyCode(a *Answer) Meaning {
	return ofGrant(a, Meaning{
		Class:  finance.Rejected,
		Reason: "the provider refuses the code (invalid_grant): it has ended, was used already or was not given to this session; begin again",
	})
}

func ofGrant(a *Answer, refused Meaning) Meaning {
	v := classifyTokenError(a)
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
