package cambio

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"syncer/fetch"
	"syncer/fetch/fetchtest"
	"syncer/finance"
	"syncer/sandbox"
	gateway "syncer/sandbox/cambio"
)

// byLogin makes a connection whose patients log in.
func byLogin(s *Settings) {
	s.Grant, s.RedirectURI = byCode, gateway.DefaultClient().Redirects[0]
	s.Scope = "patient/Patient.read patient/Invoice.read patient/Contact.read"
}

// login is a world that a patient of it can log in to: ID tokens end by the true clock.
func login(t *testing.T, o gateway.Options, change ...func(*Settings)) *world {
	t.Helper()
	w := start(t, o, append([]func(*Settings){byLogin}, change...)...)
	w.Kit.Clock.Set(time.Now())
	return w
}

// A patient logs in; the consent is read by its own refresh token, which is rotated as often as the short tokens end;
// and when the patient takes the grant back, the consent is over.
func TestAPatientLogsIn(t *testing.T) {
	for name, o := range map[string]gateway.Options{
		"the operator names the patient": {},
		"the ID token names the patient": {NumberClaim: "personal_number"},
		"an old Keycloak":                {NoIssuer: true, OldRefusal: true},
	} {
		t.Run(name, func(t *testing.T) {
			w := login(t, o, func(s *Settings) { s.SubjectClaim = o.NumberClaim })
			i := w.patient(t, 2)
			number := w.sim.Patient(i).Personnummer
			w.sim.Authorize().Sit(sandbox.Person{NationalID: number})
			b := dial(t, w.conn)

			asked, err := b.Authorize(t.Context(), fetch.NewSecret(number))
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(asked.Link(), number) || !strings.Contains(asked.Link(), "scope=openid+offline_access+patient%2FPatient.read") {
				t.Errorf("link %s", asked.Link())
			}
			got, err := asked.Finish(t.Context(), fetchtest.Browse(t, asked.Link(), gateway.DefaultClient().Redirects[0]))
			if err != nil {
				t.Fatal(err)
			}
			if got.Refresh.IsZero() || got.NationalID.Reveal() != number || len(got.ExternalID) != 36 || len(got.Scopes) != 5 || !got.ValidUntil.IsZero() {
				t.Fatalf("%+v", got)
			}
			consent := w.consent(i)
			consent.ExternalID = got.ExternalID
			b.Grants.Give(consent.ID, got.Refresh)

			first, err := b.Read(t.Context(), fetchtest.StreamOf(consent, finance.Debts), "")
			if err != nil || len(table(first)) == 0 {
				t.Fatalf("%v %v", table(first), err)
			}
			w.Kit.ExpireTokens("cambio")
			if _, err := b.Read(t.Context(), fetchtest.StreamOf(consent, finance.Debts), ""); err != nil || b.Grants.Saved() != 2 {
				t.Errorf("%d refresh tokens were saved, %v", b.Grants.Saved(), err)
			}
			w.sim.Authorize().RevokeGrants()
			_, err = b.Read(t.Context(), fetchtest.StreamOf(consent, finance.Debts), "")
			if fetch.ClassOf(err) != finance.ConsentOver {
				t.Errorf("after the grant was taken back: %v", err)
			}
			if w.sim.Authorize().Reuses() != 0 || strings.Contains(b.Log.String(), number) {
				t.Error("a refresh token came twice, or the log gives somebody away")
			}
		})
	}
}

// A patient's token shows that patient and nobody else.
func TestAGrantIsOnePatients(t *testing.T) {
	w := login(t, gateway.Options{})
	number := w.sim.Patient(1).Personnummer
	w.sim.Authorize().Sit(sandbox.Person{NationalID: number})
	b := dial(t, w.conn)
	asked, err := b.Authorize(t.Context(), fetch.NewSecret(number))
	if err != nil {
		t.Fatal(err)
	}
	got, err := asked.Finish(t.Context(), fetchtest.Browse(t, asked.Link(), gateway.DefaultClient().Redirects[0]))
	if err != nil {
		t.Fatal(err)
	}
	other := w.consent(2)
	b.Grants.Give(other.ID, got.Refresh)
	if _, err := b.Read(t.Context(), fetchtest.StreamOf(other, finance.Debts), ""); fetch.ClassOf(err) != finance.Withheld {
		t.Errorf("another patient: %v", err)
	}
	// past the look for the patient, the services refuse
	_, err = b.Read(t.Context(), fetchtest.StreamOf(other, finance.Debts), cursor{At: atVisits}.String())
	if e, ok := errors.AsType[*fetch.Error](err); !ok || e.Class != finance.ConsentOver || e.Consent != finance.ConsentReauthRequired || strings.Contains(e.Reason, w.sim.Patient(2).Personnummer) {
		t.Errorf("another patient's visits: %v", err)
	}
}

func TestWhoSaysNoAndWhoIsSomebodyElse(t *testing.T) {
	w := login(t, gateway.Options{NumberClaim: "pnr"}, func(s *Settings) { s.SubjectClaim = "pnr" })
	b := dial(t, w.conn)
	for _, c := range []struct {
		person sandbox.Person
		words  string
	}{
		{sandbox.Person{Mood: sandbox.Denies}, "access_denied"},
		{sandbox.Person{Mood: sandbox.Cancels}, "access_denied"},
		{sandbox.Person{NationalID: w.sim.Patient(4).Personnummer}, "somebody else"},
	} {
		w.sim.Authorize().Sit(c.person)
		asked, err := b.Authorize(t.Context(), fetch.NewSecret(w.sim.Patient(3).Personnummer))
		if err != nil {
			t.Fatal(err)
		}
		got, err := asked.Finish(t.Context(), fetchtest.Browse(t, asked.Link(), gateway.DefaultClient().Redirects[0]))
		if err == nil || !strings.Contains(err.Error(), c.words) {
			t.Errorf("%+v: %+v, %v", c.person, got, err)
		}
	}
}

func TestGranted(t *testing.T) {
	claims := func(pairs ...string) map[string]json.RawMessage {
		m := map[string]json.RawMessage{}
		for i := 0; i < len(pairs); i += 2 {
			m[pairs[i]] = json.RawMessage(pairs[i+1])
		}
		return m
	}
	me := fetch.NewSecret("19460907-3277")
	for name, c := range map[string]struct {
		claim string
		grant fetch.Grant
		want  string // the number; empty: refused
		words string
	}{
		"named":             {"", fetch.Grant{Refreshable: true, Claims: claims("sub", `"s1"`), Subject: me}, person, ""},
		"told":              {"pnr", fetch.Grant{Refreshable: true, Claims: claims("sub", `"s1"`, "pnr", `"`+person+`"`)}, person, ""},
		"told with -":       {"pnr", fetch.Grant{Refreshable: true, Claims: claims("sub", `"s1"`, "pnr", `"19460907-3277"`)}, person, ""},
		"nobody":            {"", fetch.Grant{Refreshable: true, Claims: claims("sub", `"s1"`)}, "", "not known"},
		"a Norwegian":       {"", fetch.Grant{Refreshable: true, Claims: claims("sub", `"s1"`), Subject: fetch.NewSecret("29868099311")}, "", "not known"},
		"no refresh":        {"", fetch.Grant{Claims: claims("sub", `"s1"`), Subject: me}, "", "offline_access"},
		"no ID token":       {"", fetch.Grant{Refreshable: true, Subject: me}, "", "openid"},
		"sub is no text":    {"", fetch.Grant{Refreshable: true, Claims: claims("sub", `17`), Subject: me}, "", "openid"},
		"sub is the number": {"", fetch.Grant{Refreshable: true, Claims: claims("sub", `"`+person+`"`), Subject: me}, "", "can't name"},
		"claim is missing":  {"pnr", fetch.Grant{Refreshable: true, Claims: claims("sub", `"s1"`), Subject: me}, "", "subject_claim"},
		"claim is short":    {"pnr", fetch.Grant{Refreshable: true, Claims: claims("sub", `"s1"`, "pnr", `"460907-3277"`), Subject: me}, "", "subject_claim"},
	} {
		conn := &connector{settings: Settings{Grant: byCode, SubjectClaim: c.claim}}
		got, err := conn.Granted(t.Context(), c.grant)
		if got.NationalID.Reveal() != c.want || (err == nil) != (c.words == "") || err != nil && !strings.Contains(err.Error(), c.words) {
			t.Errorf("%s: %q, %v", name, got.NationalID.Reveal(), err)
		}
		if err != nil && (strings.Contains(err.Error(), "3277") || got.ExternalID != "") {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

// The check of a connection whose tokens are all patients' shows the subscription key at least.
func TestTheCheckWithoutAToken(t *testing.T) {
	w := login(t, gateway.Options{})
	if err := dial(t, w.conn).Connector().Probe(t.Context()); err != nil {
		t.Error(err)
	}
	w.conn.Credentials["subscription_key"] = fetch.NewSecret("nonsense")
	if err := dial(t, w.conn).Connector().Probe(t.Context()); fetch.ClassOf(err) != finance.Fatal {
		t.Errorf("a wrong key: %v", err)
	}
}

// 300 seconds are the realm's default: a pass that takes longer has several tokens.
func TestShortTokensAreReplaced(t *testing.T) {
	w := start(t, gateway.Options{TokenTTL: 2 * time.Second, MaxInvoices: 90, PageSize: 8})
	b := dial(t, w.conn)
	if _, err := watch(t, b, fetchtest.StreamOf(w.consent(w.patient(t, 25)), finance.Debts), func(int) { w.Kit.Clock.Advance(3 * time.Second) }); err != nil {
		t.Fatal(err)
	}
	for _, c := range b.Store.Calls() {
		if c.Class != finance.OK && c.Class != finance.TokenDenied {
			t.Errorf("%+v", c)
		}
	}
	if n := w.sim.Tokens().Requests(); n < 3 {
		t.Errorf("%d tokens", n)
	}
}
