package persist_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"syncer/calls"
	"syncer/finance"
	"syncer/persist/queue"
)

// Planning, final pulls and admission say the same of every kind of consent. A call of no run, such as for the consent's
// status, is made for a suspected one and for whatever purpose.
func TestPlanningAndAdmissionAgree(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name     string
		set      string        // what is changed of an active consent for credit that ends in an hour
		planned  bool          // in a run, and in a final pull
		admitted finance.Class // of the run's call
		alone    finance.Class // of a call of no run
	}{
		{"active", "purpose = 'credit'", true, "", ""},
		{"another of the job's purposes", "purpose = 'advice'", true, "", ""},
		{"another purpose", "purpose = 'marketing'", false, finance.Refused, ""},
		{"no purpose", "purpose = ''", false, finance.Refused, ""},
		{"suspected, to be asked again", suspectedUntil("- interval '1 minute'"), true, "", ""},
		{"suspected", suspectedUntil("+ interval '1 minute'"), false, finance.Suspected, ""},
		{"suspected and over", suspectedUntil("- interval '1 minute'") + ", valid_until = now()", false, finance.Refused, finance.Refused},
		{"not begun", "valid_from = now() + interval '10 minutes'", false, finance.Refused, finance.Refused},
		{"over by the clock", "valid_until = now()", false, finance.Refused, finance.Refused},
		{"revoked", endedAs("revoked"), false, finance.Refused, finance.Refused},
		{"expired", endedAs("expired"), false, finance.Refused, finance.Refused},
		{"consumed", endedAs("consumed"), false, finance.Refused, finance.Refused},
		{"consumed, perhaps", endedAs("consumed_unknown"), false, finance.Refused, finance.Refused},
		{"to be given anew", endedAs("reauth_required"), false, finance.Refused, finance.Refused},
	}
	h := newFixture(t)
	ids := h.consents(t, len(cases), endsIn(time.Hour))
	for i, c := range cases {
		h.exec(t, "UPDATE consents SET purpose = 'credit' WHERE id = $1", ids[i])
		h.exec(t, "UPDATE consents SET "+c.set+" WHERE id = $1", ids[i])
	}
	purposes := []string{"credit", "advice"}

	f := finalSpec(finance.Debts)
	f.Purposes = purposes
	_, final := h.planFinal(t, h.Store, f)
	s := spec(time.Now(), len(cases), finance.Debts)
	s.Job, s.Kind, s.Purposes = "by hand", queue.Manual, purposes
	var batches []int64
	run, _, err := h.Plan.Run(t.Context(), s, listBatches(&batches))
	must(t, err)
	rows, err := h.pool.Query(t.Context(), "SELECT consent_id FROM items WHERE batch_id = $1", batches[0])
	planned, err := collect[int64](rows, err)
	must(t, err)
	if run.Skipped != len(cases)-len(planned) {
		t.Errorf("%d consents are counted as left out, and %d are not planned", run.Skipped, len(cases)-len(planned))
	}

	fence := claim(t, h.Store, batches[0]).Fence
	for i, c := range cases {
		if got := slices.Contains(planned, ids[i]); got != c.planned {
			t.Errorf("%s: planned %v, want %v", c.name, got, c.planned)
		}
		if got := slices.Contains(final, ids[i]); got != c.planned {
			t.Errorf("%s: pulled for the last time %v, want %v", c.name, got, c.planned)
		}
		a := ask(0)
		a.Task = calls.Task{Run: run.ID, Batch: batches[0], Fence: fence, Consent: &finance.Consent{ID: ids[i]}}
		if got := admission(t, h.Store, a); got.Refusal != c.admitted {
			t.Errorf("%s: admission says %q (%s), want %q", c.name, got.Refusal, got.Reason, c.admitted)
		} else if older := olderReason(t, h, batches[0], fence, ids[i]); older != got.Reason {
			t.Errorf("%s: an older program is told %q, this one %q", c.name, older, got.Reason)
		}
		a.Task = calls.Task{Consent: a.Task.Consent}
		if got := admission(t, h.Store, a); got.Refusal != c.alone {
			t.Errorf("%s: of a call of no run admission says %q (%s), want %q", c.name, got.Refusal, got.Reason, c.alone)
		}
	}
}

// olderReason is what a program of the release before is told of a call, which the database made a sentence of.
func olderReason(t *testing.T, h *fixture, batch, fence, consent int64) string {
	t.Helper()
	told := queryAll(t, h.pool, `SELECT coalesce(reason, '') FROM admit_calls_v2('{bank}', '{bank}', '{0}', '{f}', ARRAY[$1::bigint],
		ARRAY[$2::bigint], ARRAY[$3::bigint], '{null}', '{""}', '{0}', '{f}', '{""}', '{""}', '{0}', '{""}', '{0}', '{""}')`,
		batch, fence, consent)
	return told[0]
}

func suspectedUntil(from string) string {
	return "status = 'suspected', suspected_at = now(), suspected_as = 'revoked', suspected_until = now() " + from
}

func endedAs(status string) string { return "status = '" + status + "', ended_at = now()" }

// What each code stands for, and that the first rule that refuses is the one that is told.
func TestConsentRefusal(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	const soon, ago = "now() + interval '1 hour'", "now() - interval '1 hour'"
	for asked, want := range map[string]string{
		"status => NULL, suspected_until => NULL":                                                         "unknown",
		"status => 'active', suspected_until => NULL":                                                     "none",
		"status => 'active', suspected_until => NULL, external_id => 'new', called_as => 'old'":           "renewed",
		"status => 'active', suspected_until => NULL, external_id => 'new', called_as => ''":              "none",
		"status => 'revoked', suspected_until => NULL, external_id => 'new', called_as => 'old'":          "renewed",
		"status => 'revoked', suspected_until => NULL, valid_until => " + ago:                             "ended",
		"status => 'suspected', suspected_until => " + soon + ", valid_until => " + ago:                   "suspected",
		"status => 'suspected', suspected_until => " + soon + ", of_run => false":                         "none",
		"status => 'suspected', suspected_until => " + ago + ", valid_until => " + ago:                    "expired",
		"status => 'active', suspected_until => NULL, valid_until => now()":                               "expired",
		"status => 'active', suspected_until => NULL, valid_from => now(), valid_until => " + soon:        "none",
		"status => 'active', suspected_until => NULL, valid_from => " + soon + ", purposes => '{a}'":      "not_yet",
		"status => 'active', suspected_until => NULL, scopes => '{a,b.50}', needs => 'b c'":               "none",
		"status => 'active', suspected_until => NULL, scopes => '{a}', needs => 'b c'":                    "scope",
		"status => 'active', suspected_until => NULL, scopes => '{}', needs => 'b c'":                     "none",
		"status => 'active', suspected_until => NULL, purpose => 'b', purposes => '{a}'":                  "purpose",
		"status => 'active', suspected_until => NULL, purpose => 'b', purposes => '{a}', of_run => false": "none",
		"status => 'active', suspected_until => NULL, purpose => 'b', purposes => '{a,b}'":                "none",
		"status => 'active', suspected_until => NULL, purpose => 'b', purposes => '{}'":                   "none",
	} {
		sql := "SELECT coalesce(consent_refusal(moment => now(), " + asked + "), 'none')"
		if got := queryAll(t, h.pool, sql); !slices.Equal(got, []string{want}) {
			t.Errorf("%s: %v, want %s", asked, got, want)
		}
	}
}

// Planning asks for every consent of a connection: the rules must become a part of its statements, which a function that
// is called for each row would not.
func TestConsentRulesAreInlined(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	for _, sql := range []string{
		"SELECT FROM consents c WHERE c.connection = 'bank' AND consent_usable(c, now(), '{credit}')",
		"SELECT FROM ending_consents('bank', 'nightly', '{debt}', '{credit}', now(), '1 hour', '1 hour')",
		"SELECT FROM unproven_items(1, false, false, NULL, NULL)",
		"SELECT FROM reported_items(1, false)",
		"SELECT FROM window_runs('nightly', 'bank', '2026-01-01', '2026-02-01')",
	} {
		plan := strings.Join(queryAll(t, h.pool, "EXPLAIN (VERBOSE) "+sql), "\n")
		for _, name := range []string{"consent_usable(", "consent_refusal(", "serves(", "Function Scan"} {
			if strings.Contains(plan, name) {
				t.Errorf("%s is called in the plan of %s:\n%s", name, sql, plan)
			}
		}
	}
}
