package cambio

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"syncer/fetch"
	"syncer/fetch/fetchtest"
	"syncer/finance"
	"syncer/sandbox"
	gateway "syncer/sandbox/cambio"
)

// watch reads a pass; each sees every page as it comes.
func watch(t *testing.T, b *fetchtest.Client, s fetch.Stream, each func(n int)) (pages []fetch.Page, err error) {
	t.Helper()
	for page, err := range b.Connector().Pages(t.Context(), s, "") {
		if err != nil {
			return pages, err
		}
		each(len(pages))
		pages = append(pages, page)
	}
	return pages, nil
}

// table is what a store would hold after the pages: balances by id.
func table(pages []fetch.Page) map[string]string {
	tb := map[string]string{}
	for i := range pages {
		for _, d := range pages[i].Records.Debts {
			tb[d.ID] = d.Balance.String() + "/" + d.OriginalBalance.String()
		}
		if w := pages[i].Whole; w != nil {
			for id := range tb {
				now := slices.ContainsFunc(pages[i].Records.Debts, func(d finance.Debt) bool { return d.ID == id })
				if strings.HasPrefix(id, w.Prefix) && !now && !slices.Contains(w.Earlier, id) {
					delete(tb, id)
				}
			}
		}
	}
	return tb
}

// Result pages live for five minutes. A link that has died begins the search anew, and the tables can't tell.
func TestExpiredPagesBeginAnew(t *testing.T) {
	for _, status := range []int{410, 404, 400} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			w := start(t, gateway.Options{MaxInvoices: 90, PageSize: 8, ExpiredStatus: status})
			s := fetchtest.StreamOf(w.consent(w.patient(t, 25)), finance.Debts)
			whole, err := dial(t, w.conn).Read(t.Context(), s, "")
			if err != nil {
				t.Fatal(err)
			}
			got, err := watch(t, dial(t, w.conn), s, func(n int) {
				if n == 3 {
					w.Kit.Clock.Advance(5 * time.Minute)
				}
			})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(table(whole), table(got)); diff != "" {
				t.Error(diff)
			}
			if want := len(whole) + 4; len(got) != want { // three pages, and the one that says it is dead
				t.Errorf("%d pages, want %d", len(got), want)
			}
			dead := got[4]
			if dead.Records.Len() != 0 || dead.Answer.Status != status || dead.Done || !strings.Contains(dead.Answer.Call.Reason, "expired") {
				t.Errorf("the dead page: %+v", dead)
			}
			last := got[len(got)-2]
			seen := map[string]bool{}
			for _, id := range last.Whole.Earlier {
				if seen[id] {
					t.Errorf("%s stands twice in the set", id)
				}
				seen[id] = true
			}
		})
	}
}

// A worker that comes back the next morning finds its link dead.
func TestAnOldCursorBeginsAnew(t *testing.T) {
	w := start(t, gateway.Options{MaxInvoices: 90, PageSize: 8})
	i := w.patient(t, 25)
	s := fetchtest.StreamOf(w.consent(i), finance.Debts)
	b := dial(t, w.conn)
	whole, err := b.Read(t.Context(), s, "")
	if err != nil {
		t.Fatal(err)
	}
	w.Kit.Clock.Advance(24 * time.Hour)
	w.sim.Pay(i)
	rest, err := dial(t, w.conn).Read(t.Context(), s, whole[2].Next)
	if err != nil {
		t.Fatal(err)
	}
	fresh, err := dial(t, w.conn).Read(t.Context(), s, "")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(table(fresh), table(append(slices.Clone(whole[:3]), rest...))); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(table(whole), table(fresh)); diff == "" {
		t.Error("paying an invoice has changed nothing")
	}
}

// Pages that die each time before they are read must not keep a worker for ever.
func TestItDoesNotBeginAnewForEver(t *testing.T) {
	w := start(t, gateway.Options{MaxInvoices: 90, PageSize: 8})
	b := dial(t, w.conn)
	pages, err := watch(t, b, fetchtest.StreamOf(w.consent(w.patient(t, 25)), finance.Debts), func(int) { w.Kit.Clock.Advance(6 * time.Minute) })
	if fetch.ClassOf(err) != finance.Transient || !strings.Contains(err.Error(), "expired 4 times") {
		t.Fatalf("%d pages, %v", len(pages), err)
	}
	if len(pages) > 12 {
		t.Errorf("%d pages", len(pages))
	}
	if last := pages[len(pages)-1].Next; last == "" {
		t.Error("nothing to resume from")
	}
	w.Kit.Clock.Advance(time.Hour)
	if _, err := b.Read(t.Context(), fetchtest.StreamOf(w.consent(w.patient(t, 25)), finance.Debts), pages[len(pages)-1].Next); err != nil {
		t.Errorf("the next run does not get through: %v", err)
	}
}

// Every call has the gateway's id, whichever layer has answered it, and its words without anybody's number.
func TestErrorsKeepTheirCorrelation(t *testing.T) {
	w := start(t, gateway.Options{})
	for name, c := range map[string]struct {
		rule  sandbox.Rule
		class finance.Class
		words string
	}{
		"the gateway":    {sandbox.Rule{Action: sandbox.Action{Kind: sandbox.AnswerStatus, Status: 403, Body: `{"statusCode":403,"message":"Insufficient scope."}`}}, finance.Fatal, "Insufficient scope."},
		"FHIR":           {sandbox.Rule{Action: sandbox.Action{Kind: sandbox.AnswerStatus, Status: 422}}, finance.Rejected, "processing: Unprocessable Entity"},
		"COSMIC":         {sandbox.Rule{PathPrefix: "/api", Action: sandbox.Action{Kind: sandbox.AnswerStatus, Status: 400}}, finance.Rejected, "Bad Request"},
		"an outage":      {sandbox.Rule{Action: sandbox.Action{Kind: sandbox.AnswerStatus, Status: 502, Body: "<html>"}}, finance.Transient, "status 502"},
		"another's data": {sandbox.Rule{PathPrefix: "/fhir/Invoice", Action: sandbox.Action{Kind: sandbox.WrongSubject}}, finance.Malformed, "wrong subject"},
		"others' visits": {sandbox.Rule{PathPrefix: "/api", Action: sandbox.Action{Kind: sandbox.WrongSubject}}, finance.Malformed, "wrong subject"},
		"a redirect":     {sandbox.Rule{Action: sandbox.Action{Kind: sandbox.Redirect}}, finance.Fatal, "redirected"},
	} {
		undo := w.Rule(t, c.rule)
		b := dial(t, w.conn)
		i := w.patient(t, 3)
		_, err := b.Read(t.Context(), fetchtest.StreamOf(w.consent(i), finance.Debts), "")
		undo()
		if fetch.ClassOf(err) != c.class || err == nil || !strings.Contains(err.Error(), c.words) || !strings.Contains(err.Error(), "provider's id ") {
			t.Errorf("%s: %v", name, err)
		}
		calls, bad := json.Marshal(b.Store.Calls())
		if bad != nil || strings.Contains(string(calls)+err.Error()+b.Log.String(), w.sim.Patient(i).Personnummer) {
			t.Errorf("%s: somebody is given away", name)
		}
		for _, call := range b.Store.Calls() {
			if len(call.Correlation) != 36 {
				t.Errorf("%s: %s %s has the correlation %q", name, call.Method, call.Path, call.Correlation)
			}
		}
	}
}

// The portal's description has no Retry-After: the pause stands in the message.
func TestAPauseInWordsIsKept(t *testing.T) {
	t.Parallel()
	w := start(t, gateway.Options{Quota: sandbox.Quota{Calls: 2, Period: 2 * time.Second, Fixed: true}, OnlySentence: true})
	b := dial(t, w.conn)
	pages, err := b.Read(t.Context(), fetchtest.StreamOf(w.consent(w.patient(t, 1)), finance.Debts), "")
	if err != nil || len(pages) != 3 {
		t.Fatalf("%d pages, %v", len(pages), err)
	}
	if p := b.Store.Pauses(); len(p) != 1 || p[0].For < time.Second || p[0].For > 2*time.Second || p[0].Reason != "told in the body" {
		t.Errorf("%+v", p)
	}
	if inside := w.Kit.Journal.InsideWindows(0); len(inside) > 0 {
		t.Errorf("calls were made inside the window: %+v", inside)
	}
}

// Wrong keys, wrong secrets and missing scopes are the connection's trouble; an ended token is a moment's.
func TestKeysAndTokens(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*fetch.Connection)
		class  finance.Class
		words  string
	}{
		"wrong key":       {func(c *fetch.Connection) { c.Credentials["subscription_key"] = fetch.NewSecret("nonsense") }, finance.Fatal, "invalid subscription key"},
		"wrong secret":    {func(c *fetch.Connection) { c.Credentials["client_secret"] = fetch.NewSecret("nonsense") }, finance.Fatal, "unauthorized_client"},
		"no such scope":   {func(c *fetch.Connection) { c.Settings.(*Settings).Scope = "user/Patient.rc" }, finance.Fatal, "invalid_scope"},
		"a scope too few": {func(c *fetch.Connection) { c.Settings.(*Settings).Scope = "user/Patient.read" }, finance.Fatal, "Insufficient scope"},
		"a wrong path":    {func(c *fetch.Connection) { c.Settings.(*Settings).FHIRPath = "fire" }, finance.Fatal, "Resource not found"},
	} {
		w := start(t, gateway.Options{})
		w.conn.Credentials = maps.Clone(w.conn.Credentials)
		c.change(&w.conn)
		_, err := dial(t, w.conn).Read(t.Context(), fetchtest.StreamOf(w.consent(0), finance.Debts), "")
		if fetch.ClassOf(err) != c.class || !strings.Contains(err.Error(), c.words) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, scope := range []string{"user/*.read", "user/Patient-read user/Invoice-read user/Contact-read", "system/*.rs", "user/Patient.rs user/Invoice.r user/Contact.cruds"} {
		w := start(t, gateway.Options{}, func(s *Settings) { s.Scope = scope })
		if _, err := dial(t, w.conn).Read(t.Context(), fetchtest.StreamOf(w.consent(0), finance.Debts), ""); err != nil {
			t.Errorf("%s: %v", scope, err)
		}
	}
	w := start(t, gateway.Options{})
	defer w.Rule(t, sandbox.Rule{Times: 1, After: 1, Action: sandbox.Action{Kind: sandbox.ExpireTokens}})()
	b := dial(t, w.conn)
	if _, err := b.Read(t.Context(), fetchtest.StreamOf(w.consent(0), finance.Debts), ""); err != nil || w.sim.Tokens().Requests() != 2 {
		t.Errorf("%d tokens, %v", w.sim.Tokens().Requests(), err)
	}
}

// The usual page key is a hash of what was asked, and what is asked first is a personnummer among constants.
func TestNoPageKeyIsTheHashOfANumber(t *testing.T) {
	w := start(t, gateway.Options{})
	keys := map[finance.PageKey]int{}
	for i := range 3 {
		pages, err := dial(t, w.conn).Read(t.Context(), fetchtest.StreamOf(w.consent(i), finance.Debts), "")
		if err != nil {
			t.Fatal(err)
		}
		keys[pages[0].Key]++
	}
	if len(keys) != 1 {
		t.Errorf("%v", keys)
	}
}

// A record that the patient has closed ends the consent, whichever service says so, and can be revived by an import.
func TestAClosedRecordEndsTheConsent(t *testing.T) {
	w := start(t, gateway.Options{})
	i := w.patient(t, 1)
	w.sim.Close(i)
	b := dial(t, w.conn)
	for _, from := range []string{"", cursor{At: atInvoices, Patient: w.sim.Patient(i).ID}.String(), cursor{At: atVisits}.String()} {
		_, err := b.Read(t.Context(), fetchtest.StreamOf(w.consent(i), finance.Debts), from)
		e, ok := errors.AsType[*fetch.Error](err)
		if !ok || e.Class != finance.ConsentOver || e.Consent != finance.ConsentReauthRequired || !strings.Contains(e.Reason, "blocked") {
			t.Errorf("%s: %v", from, err)
		}
	}
}

func TestWithoutVisits(t *testing.T) {
	w := start(t, gateway.Options{}, func(s *Settings) { s.VisitFees = false })
	pages, err := dial(t, w.conn).Read(t.Context(), fetchtest.StreamOf(w.consent(w.patient(t, 2)), finance.Debts), "")
	if err != nil || len(pages) != 2 || !pages[1].Done || pages[1].Whole == nil || pages[1].Next != "" {
		t.Errorf("%v %+v", err, pages)
	}
}

func TestSettings(t *testing.T) {
	good := func() fetch.Connection { return connection("https://gw.test") }
	for name, change := range map[string]func(*fetch.Connection){
		"grant":       func(c *fetch.Connection) { c.Settings.(*Settings).Grant = "password" },
		"search":      func(c *fetch.Connection) { c.Settings.(*Settings).Search = "put" },
		"scope":       func(c *fetch.Connection) { c.Settings.(*Settings).Scope = " " },
		"path":        func(c *fetch.Connection) { c.Settings.(*Settings).RESTPath = "/" },
		"system":      func(c *fetch.Connection) { c.Settings.(*Settings).PatientSystem = "" },
		"redirect":    func(c *fetch.Connection) { c.Settings.(*Settings).Grant = byCode },
		"environment": func(c *fetch.Connection) { c.Environment = "moon" },
		"key":         func(c *fetch.Connection) { delete(c.Credentials, "subscription_key") },
		"another's":   func(c *fetch.Connection) { c.Settings = &struct{}{} },
		"address":     func(c *fetch.Connection) { c.BaseURL = "://" },
	} {
		c := good()
		change(&c)
		if _, err := Provider().Open(c); err == nil || !strings.Contains(err.Error(), "connection cos: ") || strings.Contains(err.Error(), gateway.DefaultClient().Secret) {
			t.Errorf("%s: %v", name, err)
		}
	}
	c := good()
	c.AuthURL, c.BaseURL = "", ""
	d, err := Provider().Open(c)
	if err != nil {
		t.Fatal(err)
	}
	ask, err := d.Token(fetch.TokenKey{})
	if err != nil || ask.URL != "https://api.openservices.cambio.se/auth/realms/COS/protocol/openid-connect/token" || ask.Style != fetch.BasicEscaped || d.Authorize != nil {
		t.Errorf("%+v, %v", ask, err)
	}
	c.Settings.(*Settings).TokenURL = "https://elsewhere.test/token"
	if d, err = Provider().Open(c); err == nil {
		ask, err = d.Token(fetch.TokenKey{})
	}
	if err != nil || ask.URL != "https://elsewhere.test/token" {
		t.Errorf("%+v, %v", ask, err)
	}
	if u, err := url.Parse(defaultIssuer); err != nil || d.Base.Host != u.Host {
		t.Errorf("%v, %v", d.Base, err)
	}
}
