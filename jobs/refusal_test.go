package jobs_test

import (
	"strings"
	"testing"
	"time"

	"syncer/finance"
	"syncer/persist/consents"
	"syncer/persist/plan"
	"syncer/persist/queue"
	"syncer/persist/read"
	"syncer/sandbox"
	ngsim "syncer/sandbox/norskgjeld"
	banksim "syncer/sandbox/sbanken"
)

// Thirty consents refused at once are a broken provider: the connection is parked, no consent stays ended, nothing
// counts as excused, and a rerun of what failed brings everything.
func TestMassRefusalsEndNoConsent(t *testing.T) {
	t.Parallel()
	l := newLab(t, ngsim.Options{Consents: 30}, banksim.Options{})
	l.importNG(30)
	clear := l.fault(sandbox.Rule{PathPrefix: "/v1/debt/", Action: sandbox.Action{Kind: sandbox.AnswerStatus, Status: 403,
		Body: `{"error":"no valid consent","error_description":"","trace_id":"t"}`}})
	n := l.start(nodeOptions{})
	root := l.run(n, debt)

	if c := root.Counts[0]; root.Run.Verdict != queue.VerdictFailed || c.Failed != 30 {
		t.Errorf("verdict %s, %+v", root.Run.Verdict, c)
	}
	if ended := l.number("SELECT count(*) FROM consents WHERE status <> 'active'"); ended != 0 {
		t.Errorf("%d consents have ended", ended)
	}
	conn, err := l.store.Connections.ByName(t.Context(), ng)
	if err != nil || !conn.Parked || !strings.Contains(conn.ParkedReason, "nothing was revoked") {
		t.Errorf("the connection: %+v, %v", conn, err)
	}
	if calls := l.kit.Journal.Arrivals(); calls > 20 {
		t.Errorf("%d calls were made before anybody stopped", calls)
	}

	clear()
	l.must(l.store.Connections.Open(t.Context(), ng))
	if _, root = l.rerun(n, root.Run, plan.Selection{Failed: true}); root.Run.Verdict != queue.VerdictComplete {
		t.Errorf("after the provider was mended: %s, %+v", root.Run.Verdict, root.Counts)
	}
}

// A consent that ends between two of its calls is not called for again, and what was committed of it stays.
func TestRevokedMidRunIsLeftAlone(t *testing.T) {
	t.Parallel()
	l := newLab(t, ngsim.Options{}, banksim.Options{Customers: 1, Transactions: 300})
	l.importBank(1)
	arrived := 0
	n := l.start(nodeOptions{step: func(step string) {
		if step == "commit.done" && arrived == 0 && l.number("SELECT count(*) FROM transactions") > 0 {
			changed, err := l.store.Consents.End(t.Context(), 1, finance.ConsentRevoked, "withdrawn", consents.FromFeed, finance.CallID{})
			if err != nil || !changed {
				t.Errorf("end the consent: %v, %v", changed, err)
			}
			arrived = l.kit.Journal.Arrivals()
		}
	}})
	r := l.run(n, money)
	// A page is fetched while the last one is committed: one call may have been on its way.
	if got := l.kit.Journal.Arrivals(); arrived == 0 || got > arrived+1 {
		t.Errorf("%d calls when the consent ended, %d at the end", arrived, got)
	}
	last := r.NotComplete[len(r.NotComplete)-1]
	if last.Outcome != finance.Excused || !strings.Contains(last.Reason, "revoked") || l.number("SELECT count(*) FROM transactions") == 0 {
		t.Errorf("%+v", r.NotComplete)
	}
}

// Wrong credentials are parked at once, for as long as they are the same; the run fails. Good ones are used as soon as they are
// there, and a rerun completes it.
func TestWrongCredentialsParkTheConnection(t *testing.T) {
	t.Parallel()
	l := newLab(t, ngsim.Options{Consents: 12}, banksim.Options{})
	l.importNG(12)
	bad := l.start(nodeOptions{secret: "wrong"})
	root := l.run(bad, debt)
	if c := root.Counts[0]; root.Run.Verdict != queue.VerdictFailed || c.Failed != 12 {
		t.Errorf("verdict %s, %+v", root.Run.Verdict, c)
	}
	conn, err := l.store.Connections.ByName(t.Context(), ng)
	if err != nil || conn.Parked || len(conn.Refused) != 1 || conn.Refused[0].Class != "fatal" {
		t.Errorf("the connection: %+v, %v", conn, err)
	}
	if calls := l.kit.Journal.Arrivals(); calls > 8 {
		t.Errorf("%d token calls with credentials that are wrong", calls)
	}
	bad.stop()

	worse := l.start(nodeOptions{secret: "wrong"}) // another process with the same credentials
	before := l.kit.Journal.Arrivals()
	if again, _ := l.rerun(worse, root.Run, plan.Selection{}); again.Run.Verdict != queue.VerdictFailed || l.kit.Journal.Arrivals() != before {
		t.Errorf("while parked: %s after %d calls", again.Run.Verdict, l.kit.Journal.Arrivals()-before)
	}
	worse.stop()
	good := l.start(nodeOptions{})
	if _, root = l.rerun(good, root.Run, plan.Selection{}); root.Run.Verdict != queue.VerdictComplete {
		t.Errorf("after the credentials were mended: %s, %+v", root.Run.Verdict, root.NotComplete)
	}
}

// A pause that is longer than a worker waits parks the batch and frees the worker; the sweep wakes the batch when the
// pause is over, and nothing is sent in between.
func TestLongPauseParksTheBatch(t *testing.T) {
	t.Parallel()
	l := newLab(t, ngsim.Options{Consents: 5}, banksim.Options{Customers: 1, Transactions: 20})
	l.importNG(5)
	l.importBank(1)
	l.fault(sandbox.Rule{Provider: ngsim.Name, Only: "api", After: 2, Times: 1, Action: sandbox.Action{
		Kind: sandbox.AnswerStatus, Status: 429, RetryAfter: sandbox.RetryAfter{Seconds: 3}}})
	n := l.start(nodeOptions{maxWait: time.Second, concurrency: 1})
	run := l.fire(n, debt)
	var parked read.Report
	l.eventually("a parked batch", func() bool {
		var err error
		parked, err = l.store.Read.Report(t.Context(), run.ID)
		l.must(err)
		return parked.Batches.Parked == 1
	})
	if !strings.Contains(parked.ParkReason, "too many requests") || time.Until(parked.ParkedUntil) > 3*time.Second {
		t.Errorf("parked until %s because %q", parked.ParkedUntil, parked.ParkReason)
	}
	if held := l.number("SELECT count(*) FROM batches WHERE holder IS NOT NULL"); held != 0 {
		t.Errorf("%d batches are held while they are parked", held)
	}
	if r := l.run(n, money); r.Run.Verdict != queue.VerdictComplete { // the worker has other things to do
		t.Errorf("the other job: %s", r.Run.Verdict)
	}
	if r := l.settled(n, run); r.Run.Verdict != queue.VerdictComplete || r.Pauses != 1 {
		t.Errorf("%s after %d pauses: %+v", r.Run.Verdict, r.Pauses, r.NotComplete)
	}
	l.must(l.kit.Journal.WaitForAnswers(t.Context()))
	if inside := l.kit.Journal.InsideWindows(0); len(inside) != 0 {
		t.Errorf("calls inside the pause: %+v", inside)
	}
}

// The same with three processes at once, and a check that passes: the first refusals that are too many stop them all,
// whatever was believed until then is undone, and everybody who asks is told why.
func TestMassRefusalsStopEveryProcess(t *testing.T) {
	t.Parallel()
	const consents, batches, side, processes = 120, 2, 4, 3
	l := newLab(t, ngsim.Options{Consents: consents}, banksim.Options{})
	l.importNG(consents)
	l.fault(sandbox.Rule{Template: debtTemplate, Action: sandbox.Action{Kind: sandbox.AnswerStatus, Status: 403,
		Body: `{"error":"no valid consent","error_description":"","trace_id":"t"}`}})
	var nodes [processes]*node
	for i := range nodes {
		nodes[i] = l.start(nodeOptions{concurrency: side, batchSize: 10})
	}
	root := l.run(nodes[0], debt)
	if c := root.Counts[0]; root.Run.Verdict != queue.VerdictFailed || c.Failed != consents || c.Excused != 0 {
		t.Errorf("verdict %s, %+v", root.Run.Verdict, c)
	}
	for _, item := range root.NotComplete {
		if item.Class != finance.Fatal || !strings.Contains(item.Reason, "nobody was answered: a broken token or provider") {
			t.Errorf("consent %d does not say why: %s, %s", item.Consent, item.Class, item.Reason)
		}
	}
	if n := l.number("SELECT count(*) FROM consents WHERE status <> 'active' OR ended_at IS NOT NULL"); n != 0 {
		t.Errorf("%d consents have ended", n)
	}
	if ended, back := l.number("SELECT count(*) FROM consent_events WHERE source = 'answer' AND to_status = 'revoked'"),
		l.number("SELECT count(*) FROM consent_events WHERE source = 'answer' AND to_status = 'active'"); ended != back || ended < 5 {
		t.Errorf("%d were believed and %d of them undone, want all of them", ended, back)
	}
	// Each of those who work side by side may have one call out, and those that were believed went on to another.
	if n := l.number("SELECT count(*) FROM calls WHERE purpose = 'data'"); n < 5 || n > 15+processes*batches*side {
		t.Errorf("%d calls were made before everybody stopped", n)
	}
	if _, err := l.store.Read.Report(t.Context(), root.Run.ID); err != nil {
		t.Error(err)
	}
}
