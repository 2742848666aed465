package persist_test

import (
	"testing"
	"time"

	"syncer/finance"
	"syncer/persist"
)

// Each rule finds what breaks it, and a healthy house breaks none.
func TestVerifyFindsWhatIsBroken(t *testing.T) {
	const someCall = "'00000000-0000-7000-8000-000000000001'"
	const record = "'\\x00', " + someCall + ", 0"
	for rule, breakIt := range map[string]string{
		"cursor-has-call":         "INSERT INTO cursors (consent_id, dataset, position, mid_pass, call_id) VALUES (1, 'debt', 'p', false, " + someCall + ")",
		"page-has-call":           "INSERT INTO pages (consent_id, dataset, page_key, body_hash, call_id, facts) VALUES (1, 'debt', '', '', " + someCall + ", '{}')",
		"answer-has-call":         "INSERT INTO answers (call_id, body_hash, bytes, body, keep_until) VALUES (" + someCall + ", '', 1, '', now())",
		"done-means-decided":      "UPDATE batches SET state = 'done', finished_at = now()",
		"settled-means-done":      "UPDATE runs SET verdict = 'partial', settled_at = now()",
		"complete-means-proven":   "UPDATE runs SET verdict = 'complete', settled_at = now()",
		"expected-means-there":    "UPDATE runs SET expected = expected + 1",
		"rows-mean-records":       "UPDATE items SET outcome = 'rows', finished_at = now()",
		"accounts-have-calls":     "INSERT INTO accounts (consent_id, account_id, content_hash, call_id, place) VALUES (1, 'a', " + record + ")",
		"balances-have-calls":     "INSERT INTO balances (consent_id, account_id, kind, amount, currency, content_hash, call_id, place) VALUES (1, 'a', 'booked', 1, 'NOK', " + record + ")",
		"transactions-have-calls": "INSERT INTO transactions (consent_id, account_id, transaction_id, status, booked_on, amount, currency, content_hash, call_id, place) VALUES (1, 'a', 't', 'booked', now(), 1, 'NOK', " + record + ")",
		"debts-have-calls":        "INSERT INTO debts (consent_id, debt_id, creditor, kind, currency, content_hash, call_id, place) VALUES (1, 'd', 'c', 'k', 'NOK', " + record + ")",
		"no-call-after-the-end":   "UPDATE consents SET status = 'revoked', ended_at = now() - interval '1 hour'",
		"spent-once":              "UPDATE consents SET single_use = true",
	} {
		t.Run(rule, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t)
			id := h.consents(t, 1)[0]
			h.plan(t, 10)
			must(t, h.Record(t.Context(), newCall(debtStream(id)), newCall(debtStream(id))))
			if broken, err := h.Verify(t.Context()); len(broken) != 0 || err != nil {
				t.Fatalf("a healthy house: %v, %v", broken, err)
			}
			h.exec(t, breakIt)
			broken, err := h.Verify(t.Context())
			must(t, err)
			if !slicesHasRule(broken, rule) {
				t.Errorf("not found; verify says %v", broken)
			}
		})
	}
}

// A page that is committed in order breaks nothing.
func TestVerifyAfterAPage(t *testing.T) {
	h := newHouse(t)
	id := h.consents(t, 1)[0]
	_, batches := h.plan(t, 10, finance.Transactions)
	c := claim(t, h.Store, batches[0])
	s := transactionsStream(id, "acc")
	p := transactionsPage(s, "p1", "t1", "bread")
	p.Scope = finance.Scope{Run: c.Run, Batch: c.ID, Fence: c.Fence, Dataset: finance.Transactions, Consent: &finance.Consent{ID: id}}
	commitAll(t, newWriter(h.pool), p)
	must(t, h.DecideItem(t.Context(), c.ID, c.Fence, id, finance.Transactions, persist.Decision{Outcome: finance.Rows, Call: p.Call.ID}))
	must(t, h.Finish(t.Context(), c.ID, c.Fence))
	if v, _, err := h.Settle(t.Context(), c.Run); v != persist.VerdictComplete || err != nil {
		t.Errorf("settled as %q, %v", v, err)
	}
	if broken, err := h.Verify(t.Context()); len(broken) != 0 || err != nil {
		t.Errorf("verify: %v, %v", broken, err)
	}
	r, err := h.RunReport(t.Context(), c.Run)
	if err != nil || len(r.Counts) != 1 || r.Counts[0].Records != 1 || r.Counts[0].Inserted != 1 || r.Wall <= 0 || r.Wall > time.Minute {
		t.Errorf("report %+v, %v", r, err)
	}
}
