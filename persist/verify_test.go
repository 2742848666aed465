package persist_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"syncer/calls"
	"syncer/finance"
	"syncer/persist/consents"
	"syncer/persist/plan"
	"syncer/persist/queue"
	"syncer/persist/read"
)

// onlyOnce makes the consents such that may be called once, from the first.
const onlyOnce = "UPDATE consents SET single_use = true; UPDATE consents SET single_use_since = NULL"

// Each rule finds what breaks it, and a healthy database breaks none.
func TestVerifyFindsWhatIsBroken(t *testing.T) {
	t.Parallel()
	const nothing = "nothing"
	const someCall = "'00000000-0000-7000-8000-000000000001'"
	const record = "'\\x00', " + someCall + ", 0"
	history := func(table, wrong, columns, values string) string { // one of its two calls is another consent's
		calls := "CASE WHEN '" + wrong + "' = 'call_id' THEN 2 ELSE 1 END"
		return "INSERT INTO " + table + "_history (consent_id, first_seen_at, changed_at, changed_xid, call_id, replaced_by, " + columns +
			") SELECT 1, now(), now(), pg_current_xact_id(), (SELECT id FROM calls WHERE consent_id = " +
			calls + " LIMIT 1), (SELECT id FROM calls WHERE consent_id = 3 - " + calls + " LIMIT 1), " + values
	}
	for rule, breakIt := range map[string]string{
		nothing: "SELECT",

		"cursor-has-call":         "INSERT INTO cursors (consent_id, dataset, position, mid_pass, call_id) VALUES (1, 'debt', 'p', false, " + someCall + ")",
		"page-has-call":           "INSERT INTO pages (consent_id, dataset, page_key, body_hash, call_id, facts) VALUES (1, 'debt', '', '', " + someCall + ", '{}')",
		"answer-has-call":         "INSERT INTO answers (call_id, body_hash, bytes, body, keep_until) VALUES (" + someCall + ", '', 1, '', now())",
		"done-means-decided":      "UPDATE batches SET state = 'done', finished_at = now()",
		"settled-means-done":      "UPDATE runs SET verdict = 'partial', settled_at = now()",
		"complete-means-proven":   "UPDATE runs SET verdict = 'complete', settled_at = now()",
		"expected-means-there":    "UPDATE runs SET expected = expected + 1",
		"rows-mean-records":       "UPDATE items SET outcome = 'rows', finished_at = now()",
		"empty-means-none":        "UPDATE items SET outcome = 'empty', records = 1, finished_at = now()",
		"accounts-have-calls":     "INSERT INTO accounts (consent_id, account_id, content_hash, call_id, place) VALUES (1, 'a', " + record + ")",
		"balances-have-calls":     "INSERT INTO balances (consent_id, account_id, kind, amount, currency, content_hash, call_id, place) VALUES (1, 'a', 'booked', 1, 'NOK', " + record + ")",
		"transactions-have-calls": "INSERT INTO transactions (consent_id, account_id, transaction_id, status, booked_on, amount, currency, content_hash, call_id, place) VALUES (1, 'a', 't', 'booked', now(), 1, 'NOK', " + record + ")",
		"debts-have-calls":        "INSERT INTO debts (consent_id, debt_id, creditor, kind, currency, content_hash, call_id, place) VALUES (1, 'd', 'c', 'k', 'NOK', " + record + ")",
		"no-call-after-the-end":   "UPDATE consents SET status = 'revoked', ended_at = now() - interval '1 hour'",
		"spent-once":              onlyOnce,
		"complete-means-all":      "UPDATE runs SET overlapped = 1, expected = 0, verdict = 'complete', settled_at = now()",
		"no-call-in-a-pause":      "INSERT INTO pauses (bucket, reason, announced_at, not_before) VALUES ('bank', 'r', now() - interval '1 hour', now() + interval '1 hour')",
		"reads-within-budget":     "UPDATE consents SET reads_per_day = 2; INSERT INTO consent_reads SELECT 1, now() + interval '1 minute' - n * interval '11 hours 59 minutes' FROM generate_series(0, 2) n",
		"no-send-forgotten":       "INSERT INTO inbox (consent_id, call_id, intended_at) VALUES (1, " + someCall + ", now() - interval '6 minutes')",
		"written-means-read":      "UPDATE items SET inserted = 1, updated = 1, records = 1",

		"accounts_history-have-calls":     history("accounts", "call_id", "account_id, content_hash, place", "'a', '', 0"),
		"balances_history-have-calls":     history("balances", "call_id", "account_id, kind, amount, currency, content_hash, place", "'a', 'k', 1, 'NOK', '', 0"),
		"transactions_history-have-calls": history("transactions", "call_id", "account_id, transaction_id, status, amount, currency, content_hash, place", "'a', 't', 'booked', 1, 'NOK', '', 0"),
		"debts_history-have-calls":        history("debts", "call_id", "debt_id, creditor, kind, currency, content_hash, place", "'d', 'c', 'k', 'NOK', '', 0"),

		"accounts_history-replaced-by-calls":     history("accounts", "replaced_by", "account_id, content_hash, place", "'a', '', 0"),
		"balances_history-replaced-by-calls":     history("balances", "replaced_by", "account_id, kind, amount, currency, content_hash, place", "'a', 'k', 1, 'NOK', '', 0"),
		"transactions_history-replaced-by-calls": history("transactions", "replaced_by", "account_id, transaction_id, status, amount, currency, content_hash, place", "'a', 't', 'booked', 1, 'NOK', '', 0"),
		"debts_history-replaced-by-calls":        history("debts", "replaced_by", "debt_id, creditor, kind, currency, content_hash, place", "'d', 'c', 'k', 'NOK', '', 0"),

		"absences-have-calls": "INSERT INTO absences (consent_id, kind, account_id, record_id, call_id) VALUES (1, 'debts', '', 'd', " + someCall + ")",
		"absences-have-rows":  "INSERT INTO absences (consent_id, kind, account_id, record_id, call_id) SELECT 1, 'debts', '', 'd', id FROM calls WHERE consent_id = 1 LIMIT 1",

		"withheld-have-calls": `INSERT INTO absences (consent_id, kind, account_id, record_id, call_id, withheld_by, withheld_call)
			SELECT 1, 'debts', '', 'd', k.id, r.id, ` + someCall + ` FROM runs r, calls k LIMIT 1`,
		"withheld-means-partial": `INSERT INTO absences (consent_id, kind, account_id, record_id, call_id, withheld_by, withheld_call)
			SELECT 1, 'debts', '', 'd', k.id, r.id, k.id FROM runs r, calls k LIMIT 1;
			UPDATE runs SET verdict = 'complete', settled_at = now()`,
		"guards-add-up": `INSERT INTO removal_guards (run_id, dataset, consents) SELECT id, 'debt', 1 FROM runs`,

		"quarantine-have-calls": "INSERT INTO quarantine (consent_id, dataset, call_id, place, reason, body_hash) SELECT 2, 'debt', id, 0, 'r', 'x' FROM calls WHERE consent_id = 1 LIMIT 1",
	} {
		t.Run(rule, func(t *testing.T) {
			t.Parallel()
			h := newFixture(t)
			two := h.consents(t, 2)
			h.plan(t, 10)
			must(t, h.Admit.Record(t.Context(), newCall(debtStream(two[0])), newCall(debtStream(two[0])), newCall(debtStream(two[1]))))
			h.exec(t, breakIt)
			broken, err := h.Read.Verify(t.Context())
			must(t, err)
			if rule == nothing {
				if len(broken) != 0 {
					t.Errorf("nothing is broken, and verify says %v", broken)
				}
				return
			}
			if !slicesHasRule(broken, rule) {
				t.Errorf("not found; verify says %v", broken)
			}
		})
	}
}

// What a rule must not take for a breach, and the breaches that are next to it.
func TestVerifyKnowsTheLimits(t *testing.T) {
	t.Parallel()
	type call struct {
		ago     time.Duration // when it was sent
		purpose calls.Purpose
		class   finance.Class
		status  int
	}
	sent := func(ago time.Duration) []call { return []call{{ago, calls.ForData, finance.OK, 200}} }
	const gone = `INSERT INTO consent_events (consent_id, at, source, from_status, to_status) VALUES
		(1, now() - interval '3 hours', 'answer', 'active', 'reauth_required'), (1, now() - interval '1 hour', 'grant', 'reauth_required', 'active')`
	const pause = `INSERT INTO pauses (bucket, reason, announced_at, not_before) VALUES ('%s', 'r', now() - interval '10 minutes', now() - interval '5 minutes')`
	for _, tt := range []struct {
		name, setup, rule string // the rule that is broken; empty: none
		calls             []call
	}{
		{"on its way when the pause was announced", fmt.Sprintf(pause, "bank"), "", sent(10 * time.Minute)},
		{"in the pause", fmt.Sprintf(pause, "bank"), "no-call-in-a-pause", sent(6 * time.Minute)},
		{"at the end, by a clock that is behind", fmt.Sprintf(pause, "bank"), "", sent(5*time.Minute + 50*time.Millisecond)},
		{"after the pause", fmt.Sprintf(pause, "bank"), "", sent(4 * time.Minute)},
		{"in another bucket's pause", fmt.Sprintf(pause, "other"), "", sent(6 * time.Minute)},
		{"before the end", gone, "", sent(4 * time.Hour)},
		{"on its way at the end", gone, "", sent(3*time.Hour - 5*time.Second)},
		{"while it was gone", gone, "no-call-after-the-end", sent(2 * time.Hour)},
		{"its status, while it was gone", gone, "no-call-after-the-end", []call{{2 * time.Hour, calls.ForStatus, finance.OK, 200}}},
		{"a token, while it was gone", gone, "", []call{{2 * time.Hour, calls.ForToken, finance.OK, 200}}},
		{"given again", gone, "", sent(30 * time.Minute)},
		{"spent after a refusal", onlyOnce, "",
			[]call{{time.Minute, calls.ForData, finance.Throttled, 429}, {0, calls.ForData, finance.OK, 200}}},
		{"spent after silence", onlyOnce, "spent-once",
			[]call{{time.Minute, calls.ForData, finance.Unanswered, 0}, {0, calls.ForData, finance.OK, 200}}},
		{"called before it was single-use", "UPDATE consents SET single_use = true", "",
			[]call{{time.Minute, calls.ForData, finance.OK, 200}, {time.Second, calls.ForData, finance.OK, 200}}},
		{"two reads a day", "INSERT INTO consent_reads SELECT 1, now() - n * interval '12 hours' FROM generate_series(0, 3) n; UPDATE consents SET reads_per_day = 2", "", nil},
		{"just sent", "INSERT INTO inbox (consent_id, call_id) VALUES (1, gen_random_uuid())", "", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := newFixture(t)
			s := debtStream(h.consents(t, 1)[0])
			h.exec(t, "UPDATE consent_events SET at = at - interval '1 day'")
			h.exec(t, tt.setup) // first: its moments must not lie behind those of the calls
			for _, c := range tt.calls {
				k := newCall(s)
				k.SentAt, k.Purpose, k.Class, k.Status = time.Now().Add(-c.ago), c.purpose, c.class, c.status
				must(t, h.Admit.Record(t.Context(), k))
			}
			broken, err := h.Read.Verify(t.Context())
			must(t, err)
			if len(broken) > 1 || len(broken) == 1 && broken[0].Rule != tt.rule || len(broken) == 0 && tt.rule != "" {
				t.Errorf("verify says %v, want %q", broken, tt.rule)
			}
		})
	}
}

// A page that is committed in order breaks nothing.
func TestVerifyAfterAPage(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	id := h.consents(t, 1)[0]
	_, batches := h.plan(t, 10, finance.Transactions)
	c := claim(t, h.Store, batches[0])
	s := transactionsStream(id, "acc")
	p := transactionsPage(s, "p1", "t1", "bread")
	p.Task = calls.Task{Run: c.Run, Batch: c.ID, Fence: c.Fence, Dataset: finance.Transactions, Consent: &finance.Consent{ID: id}}
	commitAll(t, newWriter(h.pool), p)
	must(t, h.Queue.DecideItem(t.Context(), c.ID, c.Fence, id, finance.Transactions, queue.Decision{Outcome: finance.Rows, Call: p.Call.ID}))
	must(t, h.Queue.Finish(t.Context(), c.ID, c.Fence))
	if v, _, err := h.Queue.Settle(t.Context(), c.Run); v != queue.VerdictComplete || err != nil {
		t.Errorf("settled as %q, %v", v, err)
	}
	if broken, err := h.Read.Verify(t.Context()); len(broken) != 0 || err != nil {
		t.Errorf("verify: %v, %v", broken, err)
	}
	r, err := h.Read.Report(t.Context(), c.Run)
	if err != nil || len(r.Counts) != 1 || r.Counts[0].Records != (read.Records{Read: 1, Inserted: 1}) || r.Wall <= 0 || r.Wall > time.Minute {
		t.Errorf("report %+v, %v", r, err)
	}
}

// A rerun asks only for what is missing, so an item may be proven by it without a record of its own, where an earlier attempt
// has brought some.
func TestVerifyKnowsThatARerunBringsLittle(t *testing.T) {
	t.Parallel()
	for records, want := range map[int]bool{5: false, 0: true} {
		h := newFixture(t)
		h.consents(t, 1)
		run, _ := h.plan(t, 10)
		h.exec(t, `UPDATE items SET outcome = 'partial', reason = 'an account was refused', records = $1, finished_at = now()`, records)
		h.exec(t, `UPDATE batches SET state = 'done', finished_at = now()`)
		h.exec(t, `UPDATE runs SET verdict = 'partial', settled_at = now()`)
		var batches []int64
		again, created, err := h.Plan.Rerun(t.Context(), plan.RerunSpec{OfRun: run.ID, BatchSize: 10}, listBatches(&batches))
		if err != nil || !created {
			t.Fatalf("created %v, %v", created, err)
		}
		h.exec(t, `UPDATE items SET outcome = 'rows', finished_at = now()
			WHERE batch_id IN (SELECT id FROM batches WHERE run_id = $1)`, again.ID)
		broken, err := h.Read.Verify(t.Context())
		must(t, err)
		if found := slicesHasRule(broken, "rows-mean-records"); found != want {
			t.Errorf("after %d records verify says %v", records, broken)
		}
	}
}

// Reads that were made before the budget became less were right when they were made, whoever has lowered it. One that is made
// after that is one too many.
func TestReadsBeforeALowerBudgetAreRight(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	ids := h.consents(t, 2, func(c *consents.Import) { c.ReadsPerDay = 4 })
	reads := "INSERT INTO consent_reads (consent_id, at, call_id) SELECT id, %s, gen_random_uuid() FROM consents"
	for _, at := range []string{"now() - interval '3 hours'", "now() - interval '1 hour'", "now() + interval '3 minutes'"} {
		h.exec(t, fmt.Sprintf(reads, at)) // the slot of the last lies ahead
	}
	broken := func() string {
		all, err := h.Read.Verify(t.Context())
		must(t, err)
		for _, v := range all {
			if v.Rule == "reads-within-budget" {
				return v.What
			}
		}
		return ""
	}
	h.exec(t, "UPDATE consents SET reads_per_day = 2")
	if got := broken(); got != "" {
		t.Errorf("what was right when it was made is called wrong: %s", got)
	}
	h.exec(t, "UPDATE consents SET reads_per_day = 3 WHERE id = $1", ids[0]) // a higher one lowers nothing
	h.exec(t, "UPDATE consents SET reads_per_day = 2 WHERE id = $1", ids[1])
	h.exec(t, fmt.Sprintf(reads, "clock_timestamp()"))
	if got := broken(); !strings.Contains(got, fmt.Sprint(ids[0])) || !strings.Contains(got, fmt.Sprint(ids[1])) {
		t.Errorf("reads beyond the budget are not told: %q", got)
	}
}
