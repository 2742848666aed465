package sandbox_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"syncer/sandbox"
	"syncer/sandbox/sandboxtest"
)

func TestLimiter(t *testing.T) {
	start := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	sec := time.Second
	cases := map[string]struct {
		quota sandbox.Quota
		at    []time.Duration
		want  string          // x: refused
		waits []time.Duration // of the refused
	}{
		"off":          {sandbox.Quota{}, []time.Duration{0, 0, 0}, "...", nil},
		"token bucket": {sandbox.Quota{Rate: 0.5, Burst: 2}, []time.Duration{0, 0, 0, sec, 2 * sec}, "..xx.", []time.Duration{2 * sec, sec}},
		"sliding":      {sandbox.Quota{Calls: 2, Period: 10 * sec}, []time.Duration{0, 9 * sec, 9 * sec, 10 * sec, 11 * sec, 19 * sec}, "..x.x.", []time.Duration{sec, 8 * sec}},
		"fixed":        {sandbox.Quota{Calls: 2, Period: 10 * sec, Fixed: true}, []time.Duration{0, 9 * sec, 9500 * time.Millisecond, 10 * sec, 11 * sec, 12 * sec}, "..x..x", []time.Duration{sec, 8 * sec}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			now := start
			l := sandbox.NewLimiter(sandbox.NewClock(func() time.Time { return now }), c.quota)
			got, waits := "", []time.Duration{}
			for _, at := range c.at {
				now = start.Add(at)
				d := l.Take("b")
				if !d.Allowed {
					got, waits = got+"x", append(waits, d.Wait)
					continue
				}
				got += "."
			}
			if got != c.want || len(waits) != len(c.waits) {
				t.Fatalf("got %s %v, want %s %v", got, waits, c.want, c.waits)
			}
			for i := range waits {
				if waits[i] != c.waits[i] {
					t.Errorf("wait %d is %v, want %v", i, waits[i], c.waits[i])
				}
			}
			if !l.Take("another").Allowed {
				t.Error("one bucket's calls were counted for another")
			}
		})
	}
}

func TestQuotaAnswers429AndIsJournaled(t *testing.T) {
	s := newStand(t, sandbox.BasicRaw)
	s.limiter.Set(sandbox.Quota{Calls: 1, Period: time.Hour})
	if r := s.get(t, "/debt/1"); r.status != 200 {
		t.Fatalf("first call: %d", r.status)
	}
	r := s.get(t, "/debt/2")
	if r.status != 429 || r.header.Get("Retry-After") == "" {
		t.Fatalf("second call: %d %v", r.status, r.header)
	}
	if w := s.journal(t).IdleTime(); len(w) != 1 || w[0].Demanded <= 59*time.Minute {
		t.Errorf("windows %+v", w)
	}
	s.Kit.Clock.Advance(time.Hour)
	if r := s.get(t, "/debt/3"); r.status != 200 {
		t.Errorf("after the period: %d", r.status)
	}
}

var form = map[string]string{"Content-Type": "application/x-www-form-urlencoded"}

func with(base map[string]string, name, value string) map[string]string {
	out := map[string]string{name: value}
	for k, v := range base {
		out[k] = v
	}
	return out
}

func TestClientDialects(t *testing.T) {
	encoded := sandboxtest.Basic(url.QueryEscape("me:1"), url.QueryEscape("a+b%c"))
	cases := map[string]struct {
		identify sandbox.Identify
		header   map[string]string
		body     string
		want     int
	}{
		"encoded":             {sandbox.BasicEncoded, with(form, "Authorization", encoded), "", 200},
		"raw where encoded":   {sandbox.BasicEncoded, with(form, "Authorization", sandboxtest.Basic("me:1", "a+b%c")), "", 401},
		"encoded where raw":   {sandbox.BasicRaw, with(form, "Authorization", encoded), "", 401},
		"form post":           {sandbox.BasicEncoded, form, "client_id=me:1&client_secret=a%2Bb%25c", 401},
		"headers":             {sandbox.Headers("client_id", "client_secret"), map[string]string{"client_id": "me:1", "client_secret": "a+b%c"}, "", 200},
		"basic where headers": {sandbox.Headers("client_id", "client_secret"), with(form, "Authorization", encoded), "", 401},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			s := newStand(t, c.identify)
			if r := call(t, "POST", s.Base+"/token", c.header, c.body); r.status != c.want {
				t.Errorf("answered %d %s, want %d", r.status, r.body, c.want)
			}
			if s.tokens.Requests() != 1 {
				t.Errorf("%d token requests counted", s.tokens.Requests())
			}
		})
	}
}

func (s *stand) token(t *testing.T) reply {
	t.Helper()
	return call(t, "POST", s.Base+"/token", with(form, "client_id", "me:1"), "")
}

func tokenStand(t *testing.T) *stand {
	return newStand(t, func(r *http.Request) (string, string, bool) { return r.Header.Get("client_id"), "a+b%c", true })
}

func TestOddExpiresIn(t *testing.T) {
	for _, odd := range []string{`"3600"`, `3599.5`, `0`, `null`, `-1`, `""`, `100000000000`} {
		s := tokenStand(t)
		s.add(t, sandbox.Rule{Only: "token", Action: sandbox.Action{Kind: sandbox.ExpiresIn, Body: odd}})
		if r := s.token(t); !strings.Contains(r.body, `"expires_in":`+odd) {
			t.Errorf("%s: %s", odd, r.body)
		}
	}
	s := tokenStand(t)
	if r := s.token(t); !strings.Contains(r.body, `"expires_in":60,`) {
		t.Errorf("usual: %s", r.body)
	}
	s.add(t, sandbox.Rule{Action: sandbox.Action{Kind: sandbox.ExpiresIn}})
	if r := s.token(t); strings.Contains(r.body, "expires_in") || r.status != 200 {
		t.Errorf("missing: %d %s", r.status, r.body)
	}
}

func TestTokensEnd(t *testing.T) {
	s := tokenStand(t)
	issue := func() *http.Request {
		var answer struct {
			Token string `json:"access_token"`
		}
		if err := json.Unmarshal([]byte(s.token(t).body), &answer); err != nil {
			t.Fatal(err)
		}
		return &http.Request{Header: http.Header{"Authorization": {"Bearer " + answer.Token}}}
	}
	first, second := issue(), issue()
	if first.Header.Get("Authorization") == second.Header.Get("Authorization") {
		t.Fatal("the same token twice")
	}
	if g, _, live := s.tokens.Bearer(first); !live || g.ClientID != "me:1" {
		t.Fatal("a fresh token is not live")
	}
	s.Kit.Clock.Advance(time.Minute)
	if _, known, live := s.tokens.Bearer(first); !known || live {
		t.Error("a token outlived its lifetime")
	}
	third := issue()
	if n := s.Kit.ExpireTokens("bank"); n != 1 {
		t.Errorf("expired %d tokens, want the one alive", n)
	}
	if _, _, live := s.tokens.Bearer(third); live {
		t.Error("a token survived being expired")
	}
	if _, known, _ := s.tokens.Bearer(&http.Request{Header: http.Header{"Authorization": {"Bearer x"}}}); known {
		t.Error("a made up token is known")
	}
}

// The token endpoint goes down, is throttled, redirects to another origin, or
// answers 200 with an error; a redirect that is followed is seen by the trap.
func TestTokenEndpointFaults(t *testing.T) {
	s := tokenStand(t)
	id := s.add(t, sandbox.Rule{Only: "token", Action: sandbox.Action{Kind: sandbox.Redirect, Status: 307}})
	r := s.token(t)
	if r.status != 307 || r.header.Get("Location") != s.Server.URL("trap") {
		t.Fatalf("%d to %q", r.status, r.header.Get("Location"))
	}
	call(t, "POST", r.header.Get("Location"), form, "secret")
	if n := s.journal(t).Totals()[sandbox.Total{Provider: "trap", Status: 200}]; n != 1 {
		t.Errorf("the trap saw %d calls", n)
	}
	s.Kit.Faults.Remove(id)
	s.add(t, sandbox.Rule{Only: "token", Action: sandbox.Action{Kind: sandbox.ErrorIn200, Body: `{"error":"temporarily_unavailable"}`}})
	if r := s.token(t); r.status != 200 || strings.Contains(r.body, "access_token") {
		t.Errorf("%d %s", r.status, r.body)
	}
}

func TestControlSurface(t *testing.T) {
	s := tokenStand(t)
	do := func(method, path, body string, want int) reply {
		t.Helper()
		r := call(t, method, s.Base+"/_sandbox"+path, nil, body)
		if r.status != want {
			t.Fatalf("%s %s: %d %s, want %d", method, path, r.status, r.body, want)
		}
		return r
	}
	r := do("POST", "/faults", `{"provider":"bank","times":1,"action":{"kind":"status","status":429,"retry_after":{"seconds":5}}}`, 201)
	do("POST", "/faults", `{"actoin":{}}`, 400)
	do("POST", "/faults", `{"action":{"kind":"explode"}}`, 400)
	if got := s.get(t, "/debt/1"); got.status != 429 || got.header.Get("Retry-After") != "5" {
		t.Errorf("the rule did not strike: %d", got.status)
	}
	s.get(t, "/debt/2")
	var proof struct {
		Arrivals int                 `json:"arrivals"`
		Inside   []sandbox.Violation `json:"inside_windows"`
		Totals   map[string]int      `json:"totals"`
	}
	if err := json.Unmarshal([]byte(do("GET", "/proof", "", 200).body), &proof); err != nil {
		t.Fatal(err)
	}
	if proof.Arrivals != 2 || len(proof.Inside) != 1 || proof.Totals["bank api 429"] != 1 {
		t.Errorf("proof %+v", proof)
	}
	lines := strings.Split(strings.TrimSpace(do("GET", "/journal?after=1", "", 200).body), "\n")
	if len(lines) != 1 || !strings.Contains(lines[0], `"subject":"2"`) {
		t.Errorf("journal %q", lines)
	}
	id := regexp.MustCompile(`rule-\d+`).FindString(r.body)
	do("DELETE", "/faults/"+id, "", 204)
	do("DELETE", "/faults/"+id, "", 404)
	if rules := do("GET", "/faults", "", 200).body; rules != "[]" {
		t.Errorf("rules left: %s", rules)
	}
	do("DELETE", "/faults", "", 204)
	before := s.Kit.Clock.Now()
	do("POST", "/clock?advance=48h", "", 200)
	do("POST", "/clock?advance=soon", "", 400)
	do("GET", "/clock", "", 200)
	if moved := s.Kit.Clock.Now().Sub(before); moved < 48*time.Hour || moved > 49*time.Hour {
		t.Errorf("the clock moved %v", moved)
	}
	s.token(t)
	if r := do("POST", "/tokens/expire?provider=bank", "", 200); r.body != `{"expired":1}` {
		t.Errorf("expired %s", r.body)
	}
	do("GET", "/nobody/x", "", 404)
	do("DELETE", "/journal", "", 204)
	if s.journal(t).Arrivals() != 0 {
		t.Error("the journal was not forgotten, or controls are in it")
	}
}

func TestUUIDsGoThereAndBack(t *testing.T) {
	pattern := regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)
	ids, other := sandbox.UUIDs{Seed: 1}, sandbox.UUIDs{Seed: 2}
	seen := make(map[string]bool)
	for _, i := range []int{0, 1, 2, 999_999, 1<<48 - 1} {
		id := ids.At(i)
		if back, ok := ids.Index(id); !ok || back != i || !pattern.MatchString(id) || seen[id] {
			t.Errorf("%d became %s and %d", i, id, back)
		}
		if _, ok := other.Index(id); ok {
			t.Errorf("another seed knows %s", id)
		}
		seen[id] = true
	}
	for _, bad := range []string{"", "x", strings.Repeat("z", 36), ids.At(1)[:35] + "x"} {
		if _, ok := ids.Index(bad); ok {
			t.Errorf("%q has an index", bad)
		}
	}
}

func TestNationalIDsAreValidSyntheticAndDistinct(t *testing.T) {
	seen := make(map[string]bool)
	for i := range 20_000 {
		id := sandbox.NationalID(1, i)
		if !sandbox.ValidNationalID(id) || id[2] < '8' || seen[id] {
			t.Fatalf("%d: %s is invalid, real-looking or taken", i, id)
		}
		if back, ok := sandbox.NationalIDIndex(1, id); !ok || back != i {
			t.Fatalf("%s of %d leads back to %d", id, i, back)
		}
		seen[id] = true
	}
	if sandbox.NationalID(1, 5) != sandbox.NationalID(1, 5+sandbox.People) {
		t.Error("people don't repeat after People")
	}
	// The two test persons of the registry's documents, and a broken one.
	for id, want := range map[string]bool{"14842249091": true, "29868099311": true, "14842249092": false, "1484224909": false, "1484224909x": false} {
		if sandbox.ValidNationalID(id) != want {
			t.Errorf("%s: valid is %v", id, !want)
		}
	}
}

func TestRandIsOfTheSeed(t *testing.T) {
	if sandbox.Rand(1, 2).Uint64() != sandbox.Rand(1, 2).Uint64() || sandbox.Rand(1, 2).Uint64() == sandbox.Rand(1, 3).Uint64() {
		t.Error("chance does not follow the seed and the key")
	}
}
