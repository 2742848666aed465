package finance

import "testing"

// Each line has reasons as the program writes them, by two items, and whether they are of one kind.
func TestReasonsOfOneCauseAreOfOneKind(t *testing.T) {
	for _, c := range []struct {
		what     string
		one, two string
		alike    bool
	}{
		{"the same", "status 500", "status 500", true},
		{"another status", "status 500", "status 503", false},
		{"a status in brackets", "the answer is not ready yet (status 202)", "the answer is not ready yet (status 206)", false},
		{"another class of words", "no complete answer within 10s", "dns: api.example.com can't be resolved", false},
		{"the time that a call had", "no complete answer within 10s", "no complete answer within 1m30s", true},
		{"a moment",
			"not read to the end: daily reads spent: next at 2026-11-21T02:30:00Z",
			"not read to the end: daily reads spent: next at 2026-11-22T14:11:59Z", true},
		{"what a suspicion is about", "consent suspected: not called before 2026-11-21T02:30:00Z", "consent ended: expired", false},
		{"a moment as people write it", "status 429; no call for this one alone before 2026-11-21 02:30:07Z",
			"status 429; no call for this one alone before 2026-11-22 12:00:00Z", true},
		{"two times of an answer",
			"the provider's answer is older than the last one: a-1 from 2026-11-21T02:30:00Z to 2026-11-20T02:30:00Z; nothing was removed",
			"the provider's answer is older than the last one: b77 from 2026-11-21T03:30:00Z to 2026-11-19T02:30:00Z; nothing was removed", true},
		{"a bound", "the pass has taken 6h0m3s of its own, more than limits.pass_hours allows",
			"the pass has taken 7h0m0s of its own, more than limits.pass_hours allows", true},
		{"a command for one consent",
			"its days lie ahead: `syncer streams reset --connection bank --consent 17 --dataset debt` lets it be read from the beginning",
			"its days lie ahead: `syncer streams reset --connection bank --consent 9 --dataset debt` lets it be read from the beginning", true},
		{"the number of a consent",
			"the grant of consent 17 was given to another client, or by another authorization server",
			"the grant of consent 48122 was given to another client, or by another authorization server", true},
		{"an id that is a UUID",
			"unknown consent 6f1dbd3a-0c55-4bd8-9f6c-1a3a1d0a9b11", "unknown consent 00000000-aaaa-4bd8-bbbb-abcdefabcdef", true},
		{"a trace id", "internal error, trace 0HMVB5K7:00000012", "internal error, trace 0HMVC99A:00000002", true},
		{"an id without a digit", "no such session: AbCdEfGhIjKlMnOpQrStUvWxYz", "no such session: ZyXwVuTsRqPoNmLkJiHgFeDcBa", true},
		{"a long word is none", "gjeldsinformasjonsforetakene", "betalingstjenesteleverandøren", false},
		{"the provider's codes", "E1042: not for this client", "E1043: not for this client", false},
		{"a code that is a number", "error code 17: no access", "error code 18: no access", false},
		{"a code with letters in front", "AADSTS50011 says the server", "AADSTS70002 says the server", false},
		{"another word", "invalid_scope: Access denied", "invalid_grant: Access denied", false},
		{"another path", "GET /v1/debt/{consent}: status 404", "GET /v1/accounts/{consent}: status 404", false},
		{"how many records", "records could not be read and are in quarantine: 1", "records could not be read and are in quarantine: 17", true},
		{"the place of one", "at byte 1204: a number was expected", "at byte 77: a number was expected", true},
		{"one account and another",
			"1 of 3 accounts refused: a1 (rejected: status 404)",
			"1 of 2 accounts refused: Savings, joint (rejected: status 404)", true},
		{"more accounts of the same kind",
			"1 of 3 accounts refused: a1 (transient: status 500)",
			"4 of 9 accounts refused: x (transient: status 500), y z (transient: status 500), b4 (transient: status 500) and 1 more", true},
		{"accounts with another cause",
			"2 of 3 accounts refused: a1 (transient: status 500), a2 (rejected: status 404)",
			"2 of 3 accounts refused: a1 (transient: status 500), a2 (transient: status 500)", false},
		{"accounts behind which nobody was asked",
			"20 of 31 accounts refused: a (transient: status 500), b (transient: status 500) and 18 more; 11 more were not asked for, because 20 in a row failed",
			"20 of 44 accounts refused: c (transient: status 500), d (transient: status 500) and 18 more; 24 more were not asked for, because 20 in a row failed", true},
		{"withheld accounts", "1 of 3 accounts withheld by the provider: a1 (withheld: closed)",
			"2 of 3 accounts withheld by the provider: b (withheld: closed), c (withheld: closed)", true},
		{"a list of days", "no data for 2026-01-01 and 2026-01-03", "no data for 2026-01-01, 2026-02-03, 2026-02-07 and 2026-03-01", true},
		{"a swapped list", "the answer lists the accounts of consent 17", "the answer lists the accounts of consent 4", true},
		{"what ended since", "consent ended since: revoked; before that: failed, status 404", "consent ended since: expired; before that: failed, status 404", false},
	} {
		if one, two := KindOf(c.one), KindOf(c.two); (one == two) != c.alike {
			t.Errorf("%s:\n  %q\n  %q\nare of one kind: %t, want %t", c.what, one, two, one == two, c.alike)
		}
	}
}

// What is known to be the item's own is taken out, whatever it looks like.
func TestWhatIsTheItemsOwnIsNoPartOfAKind(t *testing.T) {
	one := KindOf("refused (ask for frodo-baggins)", "frodo-baggins", "")
	two := KindOf("refused (ask for sam)", "sam", "gamgee")
	if one != "refused (ask for …)" || two != "refused (ask for sam)" {
		t.Errorf("%q, %q: a text of three letters may be a word", one, two)
	}
	if got := KindOf("the consent is over", "the consent is over"); got != "…" {
		t.Errorf("%q", got)
	}
	if got := KindOf("a\xff b…\n", ""); got == "" {
		t.Error("a text that is no UTF-8 has no kind")
	}
}

// A kind of a kind is the kind: nothing that was put in is taken for the item's own.
func TestAKindIsItsOwnKind(t *testing.T) {
	for _, reason := range []string{"", "…", "1 of 3 accounts refused: a1 (rejected: status 404), b (rejected: 7)", "2026-11-21 02:30:00, x1 and y2"} {
		once := KindOf(reason)
		if twice := KindOf(once); twice != once {
			t.Errorf("%q became %q, then %q", reason, once, twice)
		}
	}
}

func TestFingerprintsTellCausesApart(t *testing.T) {
	const kept = int64(2063565164496521776) // as the tables have it
	if got := Fingerprint("bank", Transient, "status 500"); got != kept {
		t.Errorf("the fingerprint is %d, and the tables have %d", got, kept)
	}
	seen := map[int64]bool{}
	for _, f := range []int64{
		Fingerprint("bank", Transient, "status 500"),
		Fingerprint("bank", Transient, "status 503"),
		Fingerprint("bank", Rejected, "status 500"),
		Fingerprint("registry", Transient, "status 500"),
		Fingerprint("bank", "", "transient status 500"),
	} {
		if seen[f] {
			t.Errorf("two causes have the fingerprint %d", f)
		}
		seen[f] = true
	}
}
