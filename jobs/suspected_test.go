package jobs_test

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"syncer/calls"
	"syncer/fetch"
	"syncer/finance"
	"syncer/persist/consents"
	"syncer/persist/plan"
	"syncer/persist/queue"
	"syncer/sandbox"
	ngsim "syncer/sandbox/norskgjeld"
	"syncer/sandbox/sandboxtest"
	banksim "syncer/sandbox/sbanken"
)

// consentRules are how an aggregator says that a consent is over: by statuses alone, and by a code.
const consentRules = `, { status: [401, 403], code: CONSENT_GONE, class: consent }, { status: [403, 410], class: consent }`

// everything has all data calls of an aggregator answered in some way; nil: well.
func (a *aggregator) everything(how http.HandlerFunc, consents int) {
	for i := range consents {
		a.answers(fmt.Sprintf("c%d/accounts", i), how)
	}
}

// passes makes a time pass for what is suspected, and for the calls until now.
func (l *lab) passes(hours int) {
	l.Helper()
	for _, sql := range []string{
		`UPDATE consents SET suspected_at = suspected_at - $1 * interval '1 hour',
			suspected_until = suspected_until - $1 * interval '1 hour', held_at = held_at - $1 * interval '1 hour'`,
		`UPDATE consent_events SET at = at - $1 * interval '1 hour'`,
		`UPDATE calls SET sent_at = sent_at - $1 * interval '1 hour'`,
	} {
		_, err := l.db.Pool.Exec(l.Context(), sql, hours)
		l.must(err)
	}
}

// ends is how many consents have ended, in whatever way.
func (l *lab) ends() int {
	l.Helper()
	return l.number("SELECT count(*) FROM consents WHERE status NOT IN ('active', 'suspected')")
}

// alerts counts the lines of level error in a log.
func alerts(log *safeBuffer) int { return strings.Count(log.String(), `"level":"error"`) }

// safeBuffer is a log that is written side by side.
type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// Three consents and a night of maintenance, 403 for all: nobody is revoked, the run is not complete,
// nobody is called before the next night, and then all are read.
func TestANightOfMaintenanceRevokesNobody(t *testing.T) {
	t.Parallel()
	a := newAggregator(t, 3, "a1")
	a.rules = consentRules
	n := a.start(nodeOptions{more: a})
	a.everything(withStatus(403), 3)
	if r := a.run(n, a.name); r.Run.Verdict != queue.VerdictFailed || r.Over.Parked || a.ends() != 0 {
		t.Errorf("the night is %s, parked %v, %d consents have ended", r.Run.Verdict, r.Over.Parked, a.ends())
	}
	a.everything(nil, 3)
	a.took()
	r := a.run(n, a.name)
	if asked := a.took(); r.Run.Verdict != queue.VerdictPartial || len(asked) != 0 {
		t.Errorf("at once again: %s after %v", r.Run.Verdict, asked)
	}
	a.passes(21)
	if r = a.run(n, a.name); r.Run.Verdict != queue.VerdictComplete || r.Run.Expected != 6 {
		t.Errorf("the next night is %s of %d items", r.Run.Verdict, r.Run.Expected)
	}
	if active := a.number("SELECT count(*) FROM consents WHERE connection = 'aggregator' AND status = 'active'"); active != 3 {
		t.Errorf("%d consents are active", active)
	}
}

// A code that names the end of a consent ends it at once, and of nobody else.
func TestACodeEndsItsConsentAtOnce(t *testing.T) {
	t.Parallel()
	a := newAggregator(t, 8, "a1")
	a.rules = consentRules
	a.answers("c3/accounts", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(401)
		fmt.Fprint(w, `{"code": "CONSENT_GONE"}`)
	})
	n := a.start(nodeOptions{more: a})
	r := a.run(n, a.name)
	if r.Run.Verdict != queue.VerdictComplete || r.Counts[0].Excused != 1 || a.ends() != 1 {
		t.Errorf("%s, %+v, %d have ended", r.Run.Verdict, r.Counts, a.ends())
	}
	a.took()
	if r = a.run(n, a.name); r.Run.Expected != 14 || len(a.took()) != 14 {
		t.Errorf("the next night has %d items", r.Run.Expected)
	}
}

// A single consent is ended by refusals on three days, where the check passes; where the check is
// refused as well, the connection is parked.
func TestASingleConsentIsRefused(t *testing.T) {
	t.Parallel()
	for name, status := range map[string]int{"by a 403": 403, "by a 401": 401} {
		a := newAggregator(t, 1, "a1")
		a.rules = consentRules
		n := a.start(nodeOptions{more: a})
		a.everything(withStatus(status), 1)
		for day := 1; day <= 3; day++ {
			r := a.run(n, a.name)
			ended := status == 403 && day == 3
			if r.Over.Parked || (a.ends() == 1) != ended {
				t.Errorf("%s, day %d: parked %v, %d ended: %+v", name, day, r.Over.Parked, a.ends(), r.NotComplete)
			}
			a.passes(21)
		}
		n.stop()

		a = newAggregator(t, 1, "a1")
		a.rules = consentRules
		n = a.start(nodeOptions{more: a})
		a.everything(withStatus(status), 1)
		a.answers("ping", withStatus(status))
		if r := a.run(n, a.name); !r.Over.Parked && len(r.Over.Refused) == 0 || a.ends() != 0 {
			t.Errorf("%s, with a check that is refused: %+v, %d ended", name, r.Over, a.ends())
		}
		n.stop()
	}
}

// One consent is refused with each status while others succeed: nobody else is stopped, in the night
// after neither.
func TestWhatOneConsentIsAnsweredParksNothing(t *testing.T) {
	t.Parallel()
	statuses := []int{301, 302, 303, 304, 307, 400, 401, 402, 403, 404, 405, 406, 409, 410, 412, 415, 418, 422, 423, 451, 500, 501}
	const good = 40
	a := newAggregator(t, len(statuses)+good, "a1", "a2")
	a.rules = consentRules
	for i, status := range statuses {
		how := withStatus(status)
		if status < 304 || status == 307 {
			how = func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Location", "/elsewhere")
				w.WriteHeader(status)
			}
		}
		a.answers(fmt.Sprintf("c%d/accounts", i), how)
		a.answers(txPath(fmt.Sprintf("c%d", len(statuses)+i), "a1"), how) // and one account of another
	}
	n := a.start(nodeOptions{more: a, batchSize: 100, concurrency: 8})
	for night := 1; night <= 2; night++ {
		r := a.run(n, a.name)
		if r.Over.Parked || len(r.Over.Refused) > 0 || a.ends() > 0 {
			t.Errorf("night %d: parked %+v, %d consents have ended", night, r.Over, a.ends())
		}
		want := good - len(statuses) + 1 // whose accounts were all read; the page of one was a redirect to nowhere
		if got := r.Counts[1].Rows; got < want-1 {
			t.Errorf("night %d: %d items with rows, want %d", night, got, want)
		}
		if got := a.number("SELECT count(DISTINCT consent_id) FROM transactions"); got != good {
			t.Errorf("night %d: %d consents have rows, want %d", night, got, good)
		}
	}
}

// An id that is none, ours or the provider's, costs itself alone.
func TestAnIDThatIsNoneParksNothing(t *testing.T) {
	t.Parallel()
	a := newAggregator(t, 3, "a1")
	a.listed["c1"] = []string{"..", "a1"}
	_, err := a.store.Consents.Import(t.Context(), a.name, []consents.Import{{ExternalID: ".."}})
	a.must(err)
	n := a.start(nodeOptions{more: a})
	r := a.run(n, a.name)
	if r.Over.Parked || r.Run.Verdict != queue.VerdictPartial || len(r.NotComplete) != 3 {
		t.Errorf("parked %v, %s: %+v", r.Over.Parked, r.Run.Verdict, r.NotComplete)
	}
	for _, item := range r.NotComplete {
		if item.Class != finance.Rejected {
			t.Errorf("%+v", item)
		}
	}
	a.checkRows(map[string][]string{"c1": {".."}})
}

// A token that died for everybody, whatever it is answered, parks the connection after a few calls.
// Nobody is revoked, there is one alert, and when it is mended a rerun reads everybody.
func TestATokenThatDiedForAll(t *testing.T) {
	t.Parallel()
	const consents = 60
	for name, fault := range map[string]sandbox.Action{
		"401":            {Kind: sandbox.AnswerStatus, Status: 401},
		"403 with words": {Kind: sandbox.AnswerStatus, Status: 403, Body: `{"error":"no valid consent","trace_id":"t"}`},
		"403 of a proxy": {Kind: sandbox.AnswerStatus, Status: 403, Body: `<html>no</html>`},
	} {
		l := newLab(t, ngsim.Options{Consents: consents}, banksim.Options{})
		l.importNG(consents)
		var log safeBuffer
		n := l.start(nodeOptions{concurrency: 8, batchSize: 30, log: zerolog.New(&log)})
		mend := l.fault(sandbox.Rule{Provider: ngsim.Name, PathPrefix: "/v1/debt/", Action: fault})
		r := l.run(n, debt)
		calls := l.number("SELECT count(*) FROM calls WHERE purpose = 'data'")
		t.Logf("%s: %d data calls", name, calls)
		if !r.Over.Parked && len(r.Over.Refused) == 0 || calls > 30 || alerts(&log) != 1 {
			t.Errorf("%s: parked %+v after %d data calls, %d alerts", name, r.Over, calls, alerts(&log))
		}
		if active := l.number("SELECT count(*) FROM consents WHERE status = 'active'"); active != consents {
			t.Errorf("%s: %d of %d consents are active", name, active, consents)
		}
		if r.Run.Verdict != queue.VerdictFailed {
			t.Errorf("%s: the run is %s", name, r.Run.Verdict)
		}
		mend()
		l.must(l.store.Connections.Open(t.Context(), ng))
		if _, root := l.rerun(n, r.Run, plan.Selection{}); root.Run.Verdict != queue.VerdictComplete {
			t.Errorf("%s: after it was mended: %s, %+v", name, root.Run.Verdict, root.NotComplete)
		}
		n.stop()
	}
}

// The same of an API that has no token, and a rule that takes the status for the consent's.
func TestAProviderThatRefusesAll(t *testing.T) {
	t.Parallel()
	const consents = 60
	a := newAggregator(t, consents, "a1")
	a.rules = consentRules
	var log safeBuffer
	n := a.start(nodeOptions{more: a, concurrency: 8, batchSize: 30, log: zerolog.New(&log)})
	a.everything(withStatus(403), consents)
	r := a.run(n, a.name)
	calls := a.number("SELECT count(*) FROM calls WHERE purpose = 'data'")
	t.Logf("%d data calls", calls)
	if !r.Over.Parked || calls > 30 || alerts(&log) != 1 || a.ends() != 0 {
		t.Errorf("parked %v after %d data calls, %d alerts, %d ended", r.Over.Parked, calls, alerts(&log), a.ends())
	}
}

// teller is a provider that also tells what became of consents.
type teller struct {
	fetch.Connector

	mu    sync.Mutex
	dead  []string // the provider's ids
	reads int
}

// feedTeller tells it by a feed: of every other one at once, of the others when it is read the second time.
type feedTeller struct{ *teller }

func (f feedTeller) FeedRetention() time.Duration { return 7 * 24 * time.Hour }

func (f feedTeller) Events(context.Context, string) iter.Seq2[fetch.EventPage, error] {
	return func(yield func(fetch.EventPage, error) bool) {
		f.mu.Lock()
		f.reads++
		page := fetch.EventPage{Answer: &fetch.Answer{}, Next: fmt.Sprint(f.reads)}
		for i, id := range f.dead {
			if f.reads > 1 || i%2 == 0 {
				page.Events = append(page.Events, fetch.ConsentEvent{ID: fmt.Sprint(i), ConsentID: id, At: time.Now(),
					Status: finance.ConsentRevoked})
			}
		}
		f.mu.Unlock()
		yield(page, nil)
	}
}

// statusTeller tells it when it is asked.
type statusTeller struct{ *teller }

func (s statusTeller) Status(_ context.Context, task calls.Task) (fetch.ConsentState, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reads++
	for _, id := range s.dead {
		if id == task.Consent.ExternalID {
			return fetch.ConsentState{Status: finance.ConsentRevoked}, nil
		}
	}
	return fetch.ConsentState{Status: finance.ConsentActive}, nil
}

// Every tenth consent is dead, those in front and anywhere. Every living one is read in the first
// night, a dead one is called on two nights at most and once an item; none is set active of which the
// feed has told, and the connection stays open.
func TestTheDeadAreLeftAlone(t *testing.T) {
	t.Parallel()
	consents := 1000
	switch {
	case testing.Short():
		consents = 60
	case sandboxtest.Race:
		consents = 200
	}
	wraps := map[string]func(*teller) fetch.Connector{
		"feed":    func(t *teller) fetch.Connector { return feedTeller{t} },
		"status":  func(t *teller) fetch.Connector { return statusTeller{t} },
		"neither": func(t *teller) fetch.Connector { return t },
	}
	for told, wrap := range wraps {
		a := newAggregator(t, consents, "a1")
		a.rules = consentRules
		dead := &teller{}
		for i := range consents / 10 {
			if i >= consents/20 { // half of them stand in front
				i *= 10
			}
			dead.dead = append(dead.dead, fmt.Sprintf("c%d", i))
			if i%2 == 0 {
				a.answers(fmt.Sprintf("c%d/accounts", i), withStatus(403))
			}
			a.answers(txPath(fmt.Sprintf("c%d", i), "a1"), withStatus(403)) // of the others the list can still be read
		}
		n := a.start(nodeOptions{more: a, concurrency: 8, batchSize: consents/2 + 1, wrap: func(c fetch.Connector) fetch.Connector {
			if dead.Connector == nil || c != dead.Connector {
				dead.Connector = c
			}
			return wrap(dead)
		}})
		nights := map[string]int{}
		for night := 1; night <= 3; night++ {
			a.took()
			r := a.run(n, a.name)
			if r.Over.Parked || len(r.Over.Refused) > 0 {
				t.Fatalf("%s, night %d: parked: %+v", told, night, r.Over)
			}
			if r.Run.Verdict != queue.VerdictComplete {
				t.Errorf("%s, night %d: %s", told, night, r.Run.Verdict)
			}
			a.checkDead(told, night, dead.dead, nights)
			if got, want := a.number("SELECT count(DISTINCT consent_id) FROM transactions"), consents-len(dead.dead); got != want {
				t.Errorf("%s, night %d: %d of %d living consents were read", told, night, got, want)
			}
			if ended := a.ends(); night == 1 && told != "neither" && ended != len(dead.dead) {
				t.Errorf("%s: %d of %d have ended in the first night, since the provider was not asked", told, ended, len(dead.dead))
			}
			a.passes(24)
		}
		if ended := a.ends(); ended != len(dead.dead) {
			t.Errorf("%s: %d of %d have ended", told, ended, len(dead.dead))
		}
		if back := a.number(`SELECT count(*) FROM consent_events e WHERE e.to_status = 'active' AND EXISTS (
			SELECT FROM consent_events f WHERE f.consent_id = e.consent_id AND f.source = 'feed' AND f.id < e.id)`); back != 0 {
			t.Errorf("%s: %d were set active of which the feed had told", told, back)
		}
		n.stop()
	}
}

// checkDead checks what dead consents were asked in a night.
func (a *aggregator) checkDead(told string, night int, dead []string, nights map[string]int) {
	a.Helper()
	asked := map[string]int{}
	for _, path := range a.took() {
		asked[path]++
	}
	thrice := 0
	for _, id := range dead {
		list, tx := asked[id+"/accounts"], asked[txPath(id, "a1")]
		if list+tx > 0 {
			nights[id]++
		}
		// One that was the last of a night and the first of the next was refused twice with nobody answered between,
		// which ends nobody: it is asked once more.
		if nights[id] == 3 {
			thrice++
		}
		if list > 1 || tx > 1 || nights[id] > 3 || thrice > 1 {
			a.Errorf("%s, night %d: dead %s was asked %d times for its list and %d times for its account, on %d nights",
				told, night, id, list, tx, nights[id])
		}
	}
}

// A rerun reads the feed first: what has ended since the run is not called for.
func TestARerunReadsTheFeed(t *testing.T) {
	t.Parallel()
	l := newLab(t, ngsim.Options{Consents: 6}, banksim.Options{})
	l.importNG(6)
	clear := l.fault(sandbox.Rule{PathPrefix: "/v1/debt/", Action: sandbox.Action{Kind: sandbox.AnswerStatus, Status: 404}})
	n := l.start(nodeOptions{})
	root := l.run(n, debt)
	clear()
	l.ng.Revoke(l.ng.Consent(2).ID)
	l.forgetFeed("1 minute")
	before := l.calls(2)
	rerun, _ := l.rerun(n, root.Run, plan.Selection{})
	if rerun.Run.Expected != 5 || l.calls(2) != before {
		t.Errorf("%d items, and %d calls for the consent that has ended", rerun.Run.Expected, l.calls(2)-before)
	}
}

// The status of one consent whose call is refused as with a bad token is not known, and stops no other;
// where those of all are refused so, it is the connection's trouble.
func TestAStatusThatIsRefused(t *testing.T) {
	t.Parallel()
	l := newLab(t, ngsim.Options{Consents: 8}, banksim.Options{})
	l.importNG(8)
	n := l.start(nodeOptions{})
	l.forgetFeed("8 days")
	refused := sandbox.Action{Kind: sandbox.AnswerStatus, Status: 401}
	l.fault(sandbox.Rule{Template: statusTemplate, Subject: l.ng.Consent(3).ID, Action: refused})
	if r := l.run(n, debt); r.Run.Verdict != queue.VerdictComplete || r.Over.Parked || len(r.Over.Refused) > 0 {
		t.Errorf("one is refused: %s, %+v", r.Run.Verdict, r.Over)
	}
	l.forgetFeed("8 days")
	l.fault(sandbox.Rule{Template: statusTemplate, Action: refused})
	if r := l.run(n, debt); r.Run.Verdict != queue.VerdictFailed || len(r.Over.Refused) != 1 {
		t.Errorf("all are refused: %s, %+v", r.Run.Verdict, r.Over)
	}
}

// However the answers are spread over time, nobody is asked beyond those whose refusals park the connection: in doubt
// one is asked at a time.
func TestInDoubtOneIsAskedAtATime(t *testing.T) {
	t.Parallel()
	const consents, enough = 60, 13
	a := newAggregator(t, consents, "a1")
	a.rules = consentRules
	n := a.start(nodeOptions{more: a, concurrency: 8, batchSize: 30})
	for i := range consents {
		late := time.Duration(i*5%8) * 40 * time.Millisecond
		a.answers(fmt.Sprintf("c%d/accounts", i), func(w http.ResponseWriter, _ *http.Request) {
			<-time.After(late)
			w.WriteHeader(403)
		})
	}
	r := a.run(n, a.name)
	calls := a.number("SELECT count(*) FROM calls WHERE purpose = 'data'")
	if !r.Over.Parked || calls > enough {
		t.Errorf("parked %v after %d data calls, want at most %d", r.Over.Parked, calls, enough)
	}
}
