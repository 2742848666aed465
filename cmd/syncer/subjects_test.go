package main

import (
	"testing"

	"syncer/cli"
	"syncer/proof/lab"
)

// A national id that can't be opened hides no consent from the commands, and its run goes on with the others.
func TestASubjectThatCantBeOpened(t *testing.T) {
	t.Parallel()
	l := lab.New(t, lab.Options{})
	l.ImportBank("bank1", 0, 3)
	_, err := l.DB.Pool.Exec(t.Context(), "UPDATE consents SET subject_sealed = 'other bytes' WHERE id = 2")
	if err != nil {
		t.Fatal(err)
	}
	l.Says(cli.ExitPartial, []string{"run", "money1"}, "the national id of consent 2", "--replace-national-ids")
	if n := l.Number("SELECT count(DISTINCT consent_id) FROM calls WHERE purpose = 'data'"); n != 2 {
		t.Errorf("calls were made for %d consents, want 2", n)
	}
	l.Says(0, []string{"consents", "list"}, "agreement-000001", "agreement-000002")
	l.Says(0, []string{"consents", "show", "2"}, "the national id of consent 2 can't be opened")
	l.Says(0, []string{"consents", "show", "2", "--json"}, `"subject_unopened": "the national id of consent 2`)
	l.Says(0, []string{"consents", "revoke", "2"}, "Consent 2 is revoked")
	l.Says(0, []string{"consents", "restore", "2", "--reason", "the key is back"}, "Consent 2 is active again")
}
