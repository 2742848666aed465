package sandbox_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"syncer/sandbox"
)

const ms = time.Millisecond

// hand writes a journal: a demand is announced when its answer was written.
func arrival(seq uint64, at time.Duration, bucket string) sandbox.Entry {
	return sandbox.Entry{Seq: seq, At: at, Provider: "p", Bucket: bucket, Done: at + ms, Status: 200}
}

func demand(seq uint64, at, pause time.Duration, bucket string) sandbox.Entry {
	e := arrival(seq, at, bucket)
	e.Status, e.Pause, e.Announced = 429, pause, at+10*ms
	return e
}

func TestInsideWindowsFindsEveryPlantedViolation(t *testing.T) {
	narrow := demand(1, 0, 100*ms, "a")
	narrow.PauseSubject = "s"
	forSubject := func(seq uint64, at time.Duration, subject string) sandbox.Entry {
		e := arrival(seq, at, "a")
		e.Subject = subject
		return e
	}
	unwritten := demand(1, 0, 100*ms, "a")
	unwritten.Announced = 0
	cases := map[string]struct {
		journal []sandbox.Entry
		flight  time.Duration
		want    map[uint64]time.Duration // early by
	}{
		"clean":              {[]sandbox.Entry{demand(1, 0, 100*ms, "a"), arrival(2, 110*ms, "a")}, 0, nil},
		"last instant":       {[]sandbox.Entry{demand(1, 0, 100*ms, "a"), arrival(2, 110*ms-1, "a")}, 0, map[uint64]time.Duration{2: 1}},
		"before it was told": {[]sandbox.Entry{demand(1, 0, 100*ms, "a"), arrival(2, 10*ms, "a")}, 0, nil},
		"right after":        {[]sandbox.Entry{demand(1, 0, 100*ms, "a"), arrival(2, 10*ms+1, "a")}, 0, map[uint64]time.Duration{2: 100*ms - 1}},
		"on its way":         {[]sandbox.Entry{demand(1, 0, 100*ms, "a"), arrival(2, 12*ms, "a"), arrival(3, 20*ms, "a")}, 5 * ms, map[uint64]time.Duration{3: 90 * ms}},
		"other bucket":       {[]sandbox.Entry{demand(1, 0, 100*ms, "a"), arrival(2, 50*ms, "b")}, 0, nil},
		"never told":         {[]sandbox.Entry{unwritten, arrival(2, 50*ms, "a")}, 0, nil},
		"longest counts": {[]sandbox.Entry{demand(1, 0, 100*ms, "a"), demand(2, 1*ms, 500*ms, "a"), arrival(3, 60*ms, "a")}, 0,
			map[uint64]time.Duration{3: 451 * ms}},
		"a demand may be a violation": {[]sandbox.Entry{demand(1, 0, 100*ms, "a"), demand(2, 60*ms, 10*ms, "a")}, 0,
			map[uint64]time.Duration{2: 50 * ms}},
		"one subject": {[]sandbox.Entry{narrow, forSubject(2, 50*ms, "s"), forSubject(3, 60*ms, "t")}, 0,
			map[uint64]time.Duration{2: 60 * ms}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got := make(map[uint64]time.Duration)
			for _, v := range sandbox.InsideWindows(c.journal, c.flight) {
				got[v.Arrival.Seq] = v.Early
			}
			if len(got) == 0 && len(c.want) == 0 {
				return
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestIdleTimeComparesDemandAndRest(t *testing.T) {
	got := sandbox.IdleTime([]sandbox.Entry{
		demand(1, 0, 100*ms, "a"), arrival(2, 5*ms, "a"), arrival(3, 30*ms, "b"), arrival(4, 150*ms, "a"),
		demand(5, 200*ms, 50*ms, "a"),
	})
	want := []sandbox.Window{
		{Seq: 1, Provider: "p", Bucket: "a", From: 10 * ms, Demanded: 100 * ms, Idle: 140 * ms, Next: 4},
		{Seq: 5, Provider: "p", Bucket: "a", From: 210 * ms, Demanded: 50 * ms},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestMaxInWindow(t *testing.T) {
	var journal []sandbox.Entry
	for i, at := range []time.Duration{0, 400 * ms, 900 * ms, 1000 * ms, 1399 * ms, 5000 * ms} {
		journal = append(journal, arrival(uint64(i+1), at, "a"), arrival(uint64(i+100), at, "other"))
	}
	for span, want := range map[time.Duration]int{1: 1, 100 * ms: 1, 101 * ms: 2, time.Second: 4, 10 * time.Second: 6} {
		if got := sandbox.MaxInWindow(journal, "p", "a", span); got != want {
			t.Errorf("in %v: %d, want %d", span, got, want)
		}
	}
	if got := sandbox.MaxInWindow(journal, "p", "unknown", time.Second); got != 0 {
		t.Errorf("an unknown bucket has %d", got)
	}
}

// The proof holds on real answers: a demand, a call inside it and its record.
func TestWindowsOnTheWire(t *testing.T) {
	s := newStand(t, sandbox.BasicRaw)
	s.add(t, sandbox.Rule{Times: 1, Action: sandbox.Action{Kind: "status", Status: 429, RetryAfter: sandbox.RetryAfter{Seconds: 60}}})
	s.get(t, "/debt/1")
	if v := s.journal(t).InsideWindows(0); len(v) != 0 {
		t.Fatalf("the announcing call itself counts: %+v", v)
	}
	s.get(t, "/debt/2")
	v := s.journal(t).InsideWindows(0)
	if len(v) != 1 || v[0].Arrival.Subject != "2" || v[0].Early > time.Minute || v[0].Early < 50*time.Second {
		t.Fatalf("got %+v, want the call for 2 found", v)
	}
	if n := s.journal(t).CountSubject("bank", "2"); n != 1 {
		t.Errorf("subject 2 was asked for %d times", n)
	}
}

func TestJournalStaysBoundedAndCountsOn(t *testing.T) {
	var sink bytes.Buffer
	j := sandbox.NewJournal(sandbox.JournalOptions{Keep: 10, Sink: &sink})
	for range 100 {
		r := &http.Request{Method: "GET", URL: &url.URL{Path: "/x"}}
		j.Arrive(sandbox.Call{Provider: "p", Subject: "s"}, r).Finish(200)
	}
	kept := j.Entries()
	if len(kept) < 10 || len(kept) >= 20 || kept[len(kept)-1].Seq != 100 {
		t.Errorf("kept %d entries up to %d", len(kept), kept[len(kept)-1].Seq)
	}
	if j.Arrivals() != 100 || j.CountBySubject("p")["s"] != 100 || j.Totals()[sandbox.Total{Provider: "p", Status: 200}] != 100 {
		t.Errorf("counted %d arrivals, %v, %v", j.Arrivals(), j.CountBySubject("p"), j.Totals())
	}
	lines := strings.Split(strings.TrimSpace(sink.String()), "\n")
	var last sandbox.Entry
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &last); err != nil || len(lines) != 100 {
		t.Fatalf("%d lines, %v", len(lines), err)
	}
	if diff := cmp.Diff(kept[len(kept)-1], last, cmp.Comparer(func(a, b time.Time) bool { return a.Equal(b) })); diff != "" {
		t.Error(diff)
	}
	if j.Reset(); j.Arrivals() != 0 || len(j.Entries()) != 0 {
		t.Error("reset kept something")
	}
}
