package persist_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"syncer/persist/connections"
	"syncer/persist/queue"
)

// countedRun settles a run of a connection whose batch has counted: "records consents member=n ...", of
// transactions. Words in front of it say more: job:NAME, reader:NAME, and killed, which leaves out the counts
// of a claim before it.
func (h *fixture) countedRun(t *testing.T, connection, counts string) queue.Run {
	t.Helper()
	fields := strings.Fields(counts)
	job, reader, claims := "nightly", "", 1
	for len(fields) > 0 && fields[0][0] > '9' {
		word, name, _ := strings.Cut(fields[0], ":")
		switch word {
		case "job":
			job = name
		case "reader":
			reader = name
		case "killed":
			claims = 2
		}
		fields = fields[1:]
	}
	run := queryInt(t, h.pool, `INSERT INTO runs (job, connection, kind, scheduled_for, datasets)
		VALUES ($2, $1, 'manual', clock_timestamp(), '{transactions}') RETURNING id`, connection, job)
	batch := queryInt(t, h.pool, `INSERT INTO batches (run_id, seq, state, fence, claims, finished_at)
		VALUES ($1, 1, 'done', 3, $2, now()) RETURNING id`, run, claims)
	var list []queue.MemberCount
	if len(fields) > 0 {
		total := queue.MemberCount{Kind: "transactions"}
		if _, err := fmt.Sscan(fields[0]+" "+fields[1], &total.Records, &total.Consents); err != nil {
			t.Fatal(err)
		}
		list = append(list, total)
		for _, f := range fields[2:] {
			member, n, _ := strings.Cut(f, "=")
			one := queue.MemberCount{Kind: "transactions", Member: member}
			if _, err := fmt.Sscan(n, &one.Records); err != nil {
				t.Fatal(err)
			}
			list = append(list, one)
		}
	}
	late := []queue.MemberCount{{Kind: "transactions", Member: "text", Records: 999}}
	must(t, h.Queue.CountMembers(t.Context(), batch, 2, reader, late))
	must(t, h.Queue.CountMembers(t.Context(), batch, 3, reader, list))
	if _, settled, err := h.Queue.Settle(t.Context(), run); err != nil || !settled {
		t.Fatalf("settled is %t: %v", settled, err)
	}
	report, err := h.Read.Report(t.Context(), run)
	must(t, err)
	return queue.Run{ID: run, Connection: report.Run.Connection}
}

// drifted are the members that a run has missed.
func (h *fixture) drifted(t *testing.T, run queue.Run) string {
	t.Helper()
	list, err := h.Read.DriftsOf(t.Context(), run.ID)
	must(t, err)
	var names []string
	for _, d := range list {
		names = append(names, d.Member)
	}
	return strings.Join(names, " ")
}

func TestDriftIsWhatMostHadAndNoneHas(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	type nights []string // counts, and behind an arrow what has drifted
	for i, c := range []struct {
		what string
		nights
	}{
		{"the first run says nothing", nights{"1000 100 text=0 ->"}},
		{"most had it", nights{"1000 100 text=900 code=100 ->", "200 20 ->text"}},
		{"all of a connector", nights{
			"1000 100 text=900 currency=1000 booked_on=1000 ->", "500 50 ->booked_on currency text",
		}},
		{"half had it", nights{"1000 100 text=500 ->", "1000 100 ->"}},
		{"one still has it", nights{"1000 100 text=900 ->", "1000 100 text=1 ->"}},
		{"too few records", nights{"1000 100 text=900 ->", "199 100 ->"}},
		{"too few consents", nights{"1000 100 text=900 ->", "1000 19 ->"}},
		{"too few records to compare with", nights{"150 100 text=150 ->", "1000 100 ->"}},
		{"quiet nights tell nothing", nights{"1000 100 text=900 ->", "5 2 ->", "", "19 19 ->", "300 30 ->text"}},
		{"a great first load has one vote", nights{
			"100000 100 text=0 other=100000 ->", "300 30 text=300 ->other", "300 30 text=300 ->",
			"300 30 ->text",
		}},
		{"it is said until most runs lack it", nights{
			"900 90 text=900 ->", "900 90 text=900 ->", "900 90 text=900 ->",
			"900 90 ->text", "900 90 ->text", "900 90 ->text",
			"900 90 ->",
		}},
		{"only the last runs count", nights{
			"900 90 text=900 ->", "900 90 text=900 ->", "900 90 text=9 ->", "900 90 text=9 ->", "900 90 text=9 ->",
			"900 90 text=9 ->", "900 90 text=9 ->", "900 90 text=9 ->", "900 90 text=9 ->", "900 90 ->",
		}},
		{"two jobs for other subjects", nights{
			"job:p 900 90 holder=900 ->", "job:b 900 90 org=900 ->", "job:p 900 90 holder=900 ->",
			"job:b 900 90 org=900 ->", "job:p 900 90 ->holder", "job:b 900 90 ->org",
		}},
		{"other jobs take no place of those that are compared", nights{
			"job:p 900 90 holder=900 ->", "900 90 ->", "900 90 ->", "900 90 ->", "900 90 ->", "900 90 ->",
			"900 90 ->", "900 90 ->", "900 90 ->", "job:p 900 90 ->holder",
		}},
		{"a member has a column now", nights{
			"reader:1 900 90 extra.ref=900 ->", "reader:1 900 90 extra.ref=900 ->",
			"reader:2 900 90 code=900 ->", "reader:2 900 90 code=900 ->",
		}},
		{"a column is not read any more", nights{"reader:1 900 90 text=900 ->", "reader:2 900 90 ->text"}},
		{"it was mended in the description", nights{
			"reader:1 900 90 text=900 ->", "reader:1 900 90 extra.note=900 ->text",
			"reader:1 900 90 extra.note=900 ->", "reader:2 900 90 text=900 ->", "reader:2 900 90 text=900 ->",
		}},
		{"it moved without a column, under one description", nights{
			"reader:1 900 90 extra.ref=900 ->", "reader:2 900 90 extra.ref=900 ->", "reader:2 900 90 ->extra.ref",
		}},
		{"it moved back", nights{
			"900 90 text=900 ->", "900 90 text=900 ->", "900 90 extra.note=900 ->text",
			"900 90 extra.note=900 ->text", "900 90 extra.note=900 ->", "900 90 extra.note=900 ->",
			"900 90 extra.note=900 ->", "900 90 text=900 ->", "900 90 text=900 ->",
		}},
		{"a killed run has no vote", nights{
			"900 90 text=900 ->", "killed 900 90 ->text", "killed 900 90 other=900 ->text", "900 90 ->text",
		}},
	} {
		connection := fmt.Sprintf("bank%d", i)
		must(t, h.Connections.Use(t.Context(), connection, connections.Endpoint{Provider: "rest"}))
		for n, night := range c.nights {
			counts, want, _ := strings.Cut(night, "->")
			run := h.countedRun(t, connection, counts)
			if got := h.drifted(t, run); got != want {
				t.Errorf("%s, night %d: %q has drifted, want %q", c.what, n, got, want)
			}
		}
		kept := queryInt(t, h.pool, `SELECT max(n) FROM (
			SELECT count(DISTINCT m.run_id) AS n FROM run_members m JOIN runs r ON r.id = m.run_id
			WHERE m.connection = $1
			GROUP BY r.job) x`, connection)
		if kept > 7 {
			t.Errorf("%s: the counts of %d runs are kept", c.what, kept)
		}
	}
}

// A drift is listed until a run reads the member again.
func TestDriftsEnd(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	listed := func() (list []string) {
		t.Helper()
		drifts, err := h.Read.Drifts(t.Context())
		must(t, err)
		for _, d := range drifts {
			list = append(list, fmt.Sprintf("run %d %s: %s", d.Run, d.Connection, d))
		}
		return list
	}
	must(t, h.Connections.Use(t.Context(), "other", connections.Endpoint{Provider: "rest"}))
	h.countedRun(t, "bank", "1000 100 text=900 code=800")
	first := h.countedRun(t, "bank", "400 40")
	h.countedRun(t, "other", "400 40 text=400 code=400")
	h.countedRun(t, "bank", "job:weekly 400 40 text=400 code=400")
	second := h.countedRun(t, "bank", "300 30 code=1")
	if first.ID == second.ID {
		t.Fatal("the runs are one")
	}
	want := []string{fmt.Sprintf("run %d bank: transactions.text: in 900 of 1000 records of the run before, "+
		"in none of 400 records of 40 consents", first.ID)}
	if diff := cmp.Diff(want, listed()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	report, err := h.Read.Report(t.Context(), first.ID)
	must(t, err)
	if len(report.Drifts) != 2 || report.Drifts[0].Member != "code" || report.Drifts[1].Member != "text" {
		t.Errorf("the report has %+v", report.Drifts)
	}
	h.countedRun(t, "bank", "10 3 text=1")
	if got := listed(); len(got) != 0 {
		t.Errorf("listed still: %s", got)
	}
}
