package fetch_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"syncer/calls"
	"syncer/fetch"
	"syncer/finance"
	"syncer/sandbox"
)

// Two processes with 32 callers each find the access token ended: one refresh, whose new refresh token is kept.
func TestTwoRefreshersAtOnce(t *testing.T) {
	w := newAuthority(t)
	w.consented(t)
	one, two := client(t, w.opt), client(t, w.opt)
	for round := 1; round <= 3; round++ {
		var wg sync.WaitGroup
		for i := range 64 {
			wg.Go(func() {
				if err := read(t, []*fetch.Client{one, two}[i%2]); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if n := w.refreshes(); n != round || w.grants.Saved() != round || w.auth.Reuses() != 0 {
			t.Fatalf("round %d: %d refreshes, %d saved, %d reuses", round, n, w.grants.Saved(), w.auth.Reuses())
		}
		w.kit.ExpireTokens("bank")
	}
}

func TestARefreshIsRecordedForItsConsentAndTellsNoSecret(t *testing.T) {
	w := newAuthority(t)
	w.consented(t)
	before, _ := w.grants.Refresh(7)
	c, log := w.logged(t)
	r := get("data")
	r.Token.Consent, r.Task.Consent = 7, &finance.Consent{ID: 7}
	if _, err := c.Do(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	made := w.store.Calls()
	last := made[len(made)-1]
	if last.Purpose != calls.ForToken || last.Task.Consent == nil || last.Task.Consent.ID != 7 || last.Task.Batch != 0 {
		t.Errorf("recorded: %+v", last)
	}
	after, _ := w.grants.Refresh(7)
	if before == after || before.IsZero() {
		t.Error("the refresh token was not rotated")
	}
	for _, secret := range []string{before.Reveal(), after.Reveal(), "hunter2"} {
		if strings.Contains(log.String(), secret) {
			t.Error("the log tells a secret")
		}
	}
}

// A provider that does not rotate gives the same refresh token, or none, with each access token.
func TestARefreshTokenThatStays(t *testing.T) {
	w := newAuthority(t)
	w.consented(t)
	first, _ := w.grants.Refresh(7)
	if _, err := w.kit.Faults.Add(sandbox.Rule{Provider: "bank", Only: "token", Action: sandbox.Action{
		Kind: sandbox.AnswerStatus, Status: 200, Body: `{"access_token":"t","expires_in":300}`}}); err != nil {
		t.Fatal(err)
	}
	_ = read(t, client(t, w.opt)) // the token is invented, so the call is denied
	if now, ok := w.grants.Refresh(7); !ok || now != first || w.grants.Saved() != 0 {
		t.Error("the refresh token was replaced by nothing")
	}
}

func TestARefusedGrantEndsItsConsentAndNothingElse(t *testing.T) {
	w := newAuthority(t)
	w.consented(t)
	w.auth.RevokeGrants()
	c := client(t, w.opt)
	e := wantClass(t, read(t, c), finance.ConsentOver)
	if e.Consent != finance.ConsentReauthRequired || !strings.Contains(e.Reason, "invalid_grant") || e.Call.IsZero() || e.Unasked {
		t.Errorf("got %+v", e)
	}
	asked := w.refreshes()
	for range 3 { // in this process, which remembers, and in another, which has to look
		for _, c := range []*fetch.Client{c, client(t, w.opt)} {
			if e := wantClass(t, read(t, c), finance.ConsentOver); e.Consent != finance.ConsentReauthRequired {
				t.Errorf("got %+v", e)
			}
		}
	}
	if n := w.refreshes(); n != asked || asked != 1 {
		t.Errorf("%d refreshes, then %d", asked, n)
	}
}

func TestAConsentWithoutAGrantIsNotAskedFor(t *testing.T) {
	w := newAuthority(t)
	e := wantClass(t, read(t, client(t, w.opt)), finance.ConsentOver)
	if !e.Unasked || !strings.Contains(e.Reason, "syncer consents authorize") || len(w.store.Calls()) != 0 {
		t.Errorf("%+v after %d calls", e, len(w.store.Calls()))
	}
}

func TestWhatIsSaidAgainstOneGrantParksNothing(t *testing.T) {
	for _, tt := range []struct {
		body string
		want finance.Class
	}{
		{`{"error":"invalid_scope"}`, finance.Rejected},
		{`{"error":"invalid_request","error_description":"refresh-abc"}`, finance.Rejected},
		{`{"error":"invalid_client"}`, finance.Fatal},
		{`{"error":"unauthorized_client"}`, finance.Fatal},
		{`nonsense`, finance.Transient},
		{`<html>HTTP Status 400</html>`, finance.Transient},
	} {
		w := newAuthority(t)
		w.consented(t)
		if _, err := w.kit.Faults.Add(sandbox.Rule{Provider: "bank", Only: "token", Action: sandbox.Action{
			Kind: sandbox.AnswerStatus, Status: 400, Body: tt.body}}); err != nil {
			t.Fatal(err)
		}
		e := wantClass(t, read(t, client(t, w.opt)), tt.want)
		if strings.Contains(e.Error(), "abc") {
			t.Errorf("%s: %v", tt.body, e)
		}
		if _, ok := w.grants.Refresh(7); !ok {
			t.Errorf("%s: the grant was forgotten", tt.body)
		}
	}
}

// The old refresh token is worth nothing once it was rotated, so the new one is saved although nothing else of the answer
// is of use.
func TestARotatedRefreshTokenIsSavedBesideABadLifetime(t *testing.T) {
	for _, lifetime := range []string{"-1", `"soon"`, "{}"} {
		w := newAuthority(t)
		w.consented(t)
		if _, err := w.kit.Faults.Add(sandbox.Rule{Provider: "bank", Only: "token", Times: 1, Action: sandbox.Action{
			Kind: sandbox.ExpiresIn, Body: lifetime}}); err != nil {
			t.Fatal(err)
		}
		if e := wantClass(t, read(t, client(t, w.opt)), finance.Transient); !strings.Contains(e.Reason, "expires_in") || e.Call.IsZero() || e.Again {
			t.Errorf("%s: %+v", lifetime, e)
		}
		if n := w.refreshes(); w.grants.Saved() != 1 || n != 1 {
			t.Errorf("%s: %d refreshes, %d new refresh tokens saved", lifetime, n, w.grants.Saved())
		}
		if err := read(t, client(t, w.opt)); err != nil || w.auth.Reuses() != 0 {
			t.Errorf("%s: the next process: %v, %d reuses", lifetime, err, w.auth.Reuses())
		}
	}
}

// A refresh that failed on its way is tried again with the same refresh token, whatever the server calls its moment.
func TestARefreshSurvivesABadMoment(t *testing.T) {
	for body, status := range map[string]int{
		``: 500, `{"error":"unknown_error"}`: 500, `{"error":"bad_gateway"}`: 502, `{"status":503,"error":"Service Unavailable"}`: 503,
		`{"error":"invalid_request"}`: 503, `{"error":"Request Timeout"}`: 408,
	} {
		w := newAuthority(t)
		w.consented(t)
		if _, err := w.kit.Faults.Add(sandbox.Rule{Provider: "bank", Only: "token", Times: 2, Action: sandbox.Action{
			Kind: sandbox.AnswerStatus, Status: status, Body: body}}); err != nil {
			t.Fatal(err)
		}
		if err := read(t, client(t, w.opt)); err != nil || w.auth.Reuses() != 0 || w.grants.Saved() != 1 {
			t.Errorf("%d %s: %v, %d reuses, %d saved", status, body, err, w.auth.Reuses(), w.grants.Saved())
		}
	}
}

// refreshBehindOurBack is another holder of the refresh token: a process that was killed before it could save, or a
// thief.
func (w *authority) refreshBehindOurBack(t *testing.T) (next fetch.Secret) {
	t.Helper()
	refresh, _ := w.grants.Refresh(7)
	form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {refresh.Reveal()}}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.base+"/token", strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.SetBasicAuth("me", "hunter2-hunter2")
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	return fetch.NewSecret(memberOf(t, resp.Body, "refresh_token"))
}

// T5: killed between the provider's rotation and our save. The server sees its old token again and ends the grant; we
// end the consent once, and ask no more.
func TestKilledBetweenRotationAndSave(t *testing.T) {
	w := newAuthority(t)
	w.consented(t)
	w.refreshBehindOurBack(t)
	c := client(t, w.opt)
	for range 3 {
		if e := wantClass(t, read(t, c), finance.ConsentOver); e.Consent != finance.ConsentReauthRequired {
			t.Errorf("got %+v", e)
		}
	}
	if n := w.refreshes(); n != 2 || w.auth.Reuses() != 1 {
		t.Errorf("%d refreshes, %d reuses", n, w.auth.Reuses())
	}
	if _, ok := w.grants.Refresh(7); ok {
		t.Error("the dead refresh token is kept")
	}
}

// grantStore lets a test come in between.
type grantStore struct {
	fetch.GrantStore
	beforeSave func() error
	afterLoad  func()
	unopened   error // every load fails with it
}

func (g *grantStore) LoadGrant(ctx context.Context, consent int64, holder string) (calls.KeptGrant, error) {
	kept, err := g.GrantStore.LoadGrant(ctx, consent, holder)
	if g.afterLoad != nil {
		g.afterLoad()
	}
	if g.unopened != nil {
		return calls.KeptGrant{}, g.unopened
	}
	return kept, err
}

// A grant that can't be opened is no trouble that passes: its item is to fail, or it would hold up its
// batch for ever.
func TestAGrantThatCantBeOpenedFailsItsItem(t *testing.T) {
	w := newAuthority(t)
	w.consented(t)
	unopened := fmt.Errorf("load the grant: %w", finance.ErrUnopened)
	w.opt.Grants = &grantStore{GrantStore: w.opt.Grants, unopened: unopened}
	e := wantClass(t, read(t, client(t, w.opt)), finance.Malformed)
	said := strings.Count(e.Error(), "can't be opened")
	if !strings.Contains(e.Reason, "load the grant: the sealed value can't be opened") || said != 1 {
		t.Errorf("got %v", e)
	}
}

func (g *grantStore) SaveGrant(ctx context.Context, consent int64, old, next fetch.Secret) (bool, error) {
	if g.beforeSave != nil {
		if err := g.beforeSave(); err != nil {
			return false, err
		}
	}
	return g.GrantStore.SaveGrant(ctx, consent, old, next)
}

// A process that was frozen beyond its lease finds at the save that another has rotated meanwhile. It throws away what
// it got and begins again with what is stored.
func TestALostRaceAtTheSave(t *testing.T) {
	w := newAuthority(t)
	w.consented(t)
	won := fetch.NewSecret("")
	store := &grantStore{GrantStore: w.grants}
	store.beforeSave = func() error {
		if won.IsZero() {
			// The winner has authorised anew: its refresh token is of another family.
			a := w.ask(t, client(t, w.opt))
			got, err := a.Finish(t.Context(), browse(t, a.Link()))
			if err != nil {
				t.Error(err)
				return nil
			}
			won = got.Refresh
			w.grants.Give(7, won)
		}
		return nil
	}
	o := w.opt
	o.Grants = store
	if err := read(t, client(t, o)); err != nil {
		t.Fatal(err)
	}
	now, _ := w.grants.Refresh(7)
	if w.refreshes() != 2 || w.grants.Saved() != 1 || now == won || w.auth.Reuses() != 0 {
		t.Errorf("%d refreshes, %d saved, %d reuses", w.refreshes(), w.grants.Saved(), w.auth.Reuses())
	}
}

// The same, but the one that was late comes to the provider second: what was refused there was old, so the consent goes on.
func TestALostRaceAtTheProvider(t *testing.T) {
	w := newAuthority(t)
	w.consented(t)
	var once atomic.Bool
	o := w.opt
	o.Grants = &grantStore{GrantStore: w.grants, afterLoad: func() {
		if once.CompareAndSwap(false, true) {
			w.auth.RevokeGrants()
			a := w.ask(t, client(t, w.opt))
			got, err := a.Finish(t.Context(), browse(t, a.Link()))
			if err != nil {
				t.Error(err)
				return
			}
			w.grants.Give(7, got.Refresh)
		}
	}}
	if err := read(t, client(t, o)); err != nil || w.refreshes() != 2 {
		t.Errorf("%v after %d refreshes", err, w.refreshes())
	}
}

// A rotated token that can't be saved at once is not used before it is, and not thrown away either.
func TestASaveThatFailsIsRepeated(t *testing.T) {
	w := newAuthority(t)
	w.consented(t)
	tries := 0
	o := w.opt
	o.Grants = &grantStore{GrantStore: w.grants, beforeSave: func() error {
		if tries++; tries < 3 {
			if n := len(w.data()); n != 0 {
				t.Errorf("%d calls were sent with a token whose successor is not saved", n)
			}
			return errors.New("the database is away")
		}
		return nil
	}}
	began := time.Now()
	if err := read(t, client(t, o)); err != nil || tries != 3 || w.grants.Saved() != 1 || w.refreshes() != 1 {
		t.Errorf("%v after %d tries and %d refreshes in %s", err, tries, w.refreshes(), time.Since(began))
	}
}

// A refresh token goes to the client that it was given to, at the server that gave it, and to nobody else. A slip in the
// configuration ends no consent, and no other change asks the person again.
func TestAGrantGoesToItsHolderAlone(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(*authority, *fetch.Options)
		want   finance.Class
	}{
		"another client": {func(_ *authority, o *fetch.Options) { o.Driver.Authorize.Token.ID = "you" }, finance.Rejected},
		"another token origin": {func(w *authority, o *fetch.Options) {
			o.Driver.Authorize.URL = w.base + "/authorize"
			o.Driver.Authorize.Token.URL = strings.Replace(w.base, "127.0.0.1", "localhost", 1) + "/token"
		}, finance.Rejected},
		"other scopes": {func(_ *authority, o *fetch.Options) { o.Driver.Authorize.Token.Scopes = []string{"read"} }, ""},
		"another address of API": {func(w *authority, o *fetch.Options) {
			o.Driver.Base.Host = strings.Replace(o.Driver.Base.Host, "127.0.0.1", "localhost", 1)
		}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := newAuthority(t)
			w.consented(t)
			if err := read(t, client(t, w.opt)); err != nil {
				t.Fatal(err)
			}
			asked := w.refreshes()
			o := w.opt
			authorize, base := *o.Driver.Authorize, *o.Driver.Base
			o.Driver.Authorize, o.Driver.Base = &authorize, &base
			tt.change(w, &o)
			err := read(t, client(t, o))
			if tt.want == "" {
				if err != nil || w.refreshes() != asked+1 {
					t.Errorf("%v after %d refreshes: want another access token by the same grant", err, w.refreshes()-asked)
				}
				return
			}
			if e := wantClass(t, err, tt.want); !e.Unasked || !strings.Contains(e.Reason, "put client_id and the address back") {
				t.Errorf("got %+v", e)
			}
			if w.refreshes() != asked {
				t.Error("the refresh token was sent")
			}
			w.kit.ExpireTokens("bank")
			if err := read(t, client(t, w.opt)); err != nil {
				t.Errorf("put back: %v", err)
			}
		})
	}
}

// A renewed consent has a token of its own: the one before was got by another grant.
func TestARenewedConsentHasAnotherToken(t *testing.T) {
	w := newAuthority(t)
	w.consented(t)
	c := client(t, w.opt)
	for i, want := range []int{1, 1, 2, 2} {
		r := get("data")
		r.Token.Consent, r.Task.Consent = 7, &finance.Consent{ID: 7, Renewals: i / 2}
		if _, err := c.Do(t.Context(), r); err != nil {
			t.Fatal(err)
		}
		if got := w.refreshes(); got != want {
			t.Errorf("call %d: %d refreshes, want %d", i+1, got, want)
		}
	}
}
