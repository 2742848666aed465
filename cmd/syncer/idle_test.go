package main

import (
	"strings"
	"testing"

	"syncer/proof/lab"
)

// A run without anybody to read says why, reason by reason.
func TestARunOfNobodySaysWhy(t *testing.T) {
	t.Parallel()
	l := lab.New(t, lab.Options{})
	runs := func(want string) {
		t.Helper()
		out, _ := l.Command(nil, "run", "money1").CombinedOutput()
		if said := strings.Join(strings.Fields(string(out)), " "); !strings.Contains(said, want) {
			t.Errorf("the run does not say %q:\n%s", want, out)
		}
	}
	runs("Nothing was read: no consent of bank1 is active: there is none.")
	l.ImportBank("bank1", 0, 5)
	l.Says(0, []string{"consents", "revoke", "1", "2"})
	for id, change := range []string{
		"valid_until = now()",
		"valid_from = now() + interval '1 day', valid_until = NULL",
		"status = 'reauth_required', ended_at = now()",
	} {
		_, err := l.DB.Pool.Exec(t.Context(), "UPDATE consents SET "+change+" WHERE id = $1", id+3)
		if err != nil {
			t.Fatal(err)
		}
	}
	runs("no consent of bank1 is active: 2 revoked, 1 expired, 1 not valid yet, " +
		"1 reauth required. `syncer consents import")
}
