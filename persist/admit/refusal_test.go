package admit

import (
	"testing"

	"syncer/calls"
	"syncer/finance"
)

func TestSentenceOfARefusal(t *testing.T) {
	t.Parallel()
	ask := &calls.Ask{Connection: "bank", Needs: []string{"accounts", "balances"}}
	for _, test := range []struct {
		code     string
		told     []string
		class    finance.Class
		sentence string
	}{
		{"fenced", nil, finance.Fenced, "the batch has been taken over by another worker"},
		{"parked", []string{"wrong secret"}, finance.Fatal, "connection bank is parked: wrong secret"},
		{"credentials", []string{"status 401"}, finance.Fatal, "connection bank is parked for these credentials: status 401"},
		{"unknown", nil, finance.Refused, "consent not known"},
		{"renewed", nil, finance.Renewed, "consent renewed: it goes on under another id"},
		{"ended", []string{"revoked"}, finance.Refused, "consent ended: revoked"},
		{"expired", nil, finance.Refused, "consent ended: expired"},
		{"suspected", []string{"2026-11-21T02:30:00Z", "status 404"}, finance.Suspected,
			"consent suspected: not called before 2026-11-21T02:30:00Z, because it was refused: status 404"},
		{"not_yet", []string{"2026-11-21T02:30:00Z"}, finance.Refused, "consent not valid yet: from 2026-11-21T02:30:00Z"},
		{"scope", nil, finance.Refused, "consent does not cover this: it has no scope accounts or balances"},
		{"purpose", []string{"marketing", "credit", "advice"}, finance.Refused,
			"consent was not given for this: its purpose is marketing, the job's credit or advice"},
		{"purpose", []string{"", "credit"}, finance.Refused,
			"consent was not given for this: its purpose is not known, the job's credit"},
		{"spent", []string{"2026-11-21T02:30:00Z"}, finance.Spent, "daily reads spent: next at 2026-11-21T02:30:00Z"},
		{"reserved", []string{"4"}, finance.Spent, "daily reads spent: what is left of 4 is for the runs that are no backfills"},
		{"a later one", nil, finance.Refused, "consent refused: a later one"},
	} {
		r := refusal{code: test.code, told: test.told}
		if r.class() != test.class || r.sentence(ask) != test.sentence {
			t.Errorf("%s: %q %q, want %q %q", test.code, r.class(), r.sentence(ask), test.class, test.sentence)
		}
	}
	if class := (refusal{}).class(); class != "" {
		t.Errorf("no refusal has the class %q", class)
	}
}
