package persist_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgxpool"

	"syncer/finance"
	"syncer/persist/persisttest"
	"syncer/persist/write"
)

// accountsPage is a list of accounts that one answer shows whole.
func accountsPage(consent int64, ids string) write.PageWrite {
	p := newPage(finance.Stream{Consent: consent, Dataset: finance.Accounts}, "")
	for i, id := range strings.Fields(ids) {
		a := finance.Account{ID: id, Name: p.Call.ID.String(), Currency: "NOK"}
		a.Place = int32(i)
		p.Records.Accounts = append(p.Records.Accounts, a)
	}
	p.Facts.Records, p.Whole, p.Opens = p.Records.Len(), &finance.Whole{}, true
	return p
}

func newConnection(t *testing.T, pool *pgxpool.Pool, name string) {
	t.Helper()
	_, err := pool.Exec(t.Context(), `INSERT INTO connections (name, provider) VALUES ($1, 'rest')`, name)
	must(t, err)
}

// A list of accounts that is another consent's is refused, and nothing else is: neither an account of two
// people, nor a renewed consent, nor ids that are numbers within a consent.
func TestAnotherConsentsAccountsAreRefused(t *testing.T) {
	t.Parallel()
	pool := persisttest.New(t)
	w := newWriter(pool)
	cases := []struct {
		what    string
		before  []string // of each consent "subject status: accounts", ours first; > is a night later, ? has no subject
		tonight string
		other   int // the consent whose list it is, counted from 0; 0: it is this one's
	}{
		{"another's whole list", []string{"p active: a b", "q active: x y"}, "x y", 1},
		{"a part of it", []string{"p active: a b", "q active: x y"}, "y", 1},
		{"its own", []string{"p active: a b", "q active: x y"}, "a b", 0},
		{"its own and another's", []string{"p active: a b", "q active: x y"}, "a x", 0},
		{"another's, and one that is new", []string{"p active: a b", "q active: x y"}, "n x", 1},
		{"another's, and new ones", []string{"p active: a b", "q active: x y"}, "x n y m", 1},
		{"a part of it is two others'", []string{"p active: a", "q active: x y", "r active: x"}, "x y n", 1},
		{"it had others once", []string{"p active: a > ", "q active: x"}, "x", 1},
		{"it had this one once", []string{"p active: a x > a", "q active: x"}, "x", 0},
		{"another had it once", []string{"p active: a", "q active: x y > y"}, "x", 0},
		{"spouses, who had an account in common", []string{"p active: a j > a", "q active: j y"}, "y", 0},
		{"all are new", []string{"p active: a b", "q active: x y"}, "n m", 0},
		{"none", []string{"p active: a b", "q active: x y"}, "", 0},
		{"it had none", []string{"p active: ", "q active: x y"}, "x y", 0},
		{"spouses with one account", []string{"p active: j", "q active: j"}, "j", 0},
		{"spouses, and one is given another too", []string{"p active: j", "q active: j y"}, "y", 0},
		{"the same person's other consent", []string{"p active: a", "p active: x"}, "x", 0},
		{"the same person's, and another's", []string{"p active: a", "p expired: x", "q active: x"}, "x", 0},
		{"another's renewed consent", []string{"p active: a", "q expired: x", "q active: x"}, "x", 2},
		{"the same person's in part", []string{"p active: a", "p active: x", "q active: x y"}, "x y n", 0},
		{"two others'", []string{"p active: a", "q active: x", "r active: x"}, "x", 0},
		{"of two others each a part", []string{"p active: a", "q active: x", "r active: y"}, "x y", 0},
		{"numbers within a consent", []string{"p active: 1 2", "q active: 1 3", "r active: 1 3 4"}, "3 4 5", 0},
		{"subjects are not known", []string{"? active: a", "? active: x"}, "x", 1},
		{"not known, and ended: it may have been renewed", []string{"? active: a", "? revoked: x"}, "x", 0},
		{"the other's subject is not known", []string{"p active: a", "? active: x"}, "x", 1},
	}
	for i, c := range cases {
		connection := fmt.Sprintf("bank%d", i)
		newConnection(t, pool, connection)
		var consents []int64
		for n, text := range c.before {
			head, ids, _ := strings.Cut(text, ": ")
			subject, status, _ := strings.Cut(head, " ")
			id := queryInt(t, pool, `INSERT INTO consents (connection, external_id, subject_hmac, status, ended_at)
				VALUES ($1, $2, decode(md5(nullif($3, '?')), 'hex'), $4, CASE WHEN $4 <> 'active' THEN now() END)
				RETURNING id`, connection, fmt.Sprint(n), subject, status)
			consents = append(consents, id)
			for night, ids := range strings.Split(ids, ">") {
				list := accountsPage(id, ids)
				list.NewStream = night == 0
				commitAll(t, w, list)
			}
		}
		rows := func() []string {
			return queryAll(t, pool, `SELECT consent_id, account_id, name, removed_at FROM accounts
				WHERE consent_id = ANY ($1) ORDER BY 1, 2`, consents)
		}
		before := rows()
		err := w.Commit(t.Context(), []write.PageWrite{accountsPage(consents[0], c.tonight)})[0].Err
		swapped, refused := errors.AsType[*write.SwappedError](err)
		switch {
		case c.other == 0 && err != nil:
			t.Errorf("%s: %v", c.what, err)
		case c.other == 0:
		case !refused || swapped.Other != consents[c.other] || swapped.Consent != consents[0]:
			t.Errorf("%s: %v, want the accounts of consent %d", c.what, err, consents[c.other])
		default:
			if diff := cmp.Diff(before, rows()); diff != "" {
				t.Errorf("%s: rows have changed: %s", c.what, diff)
			}
		}
	}
}

// Two lists that are swapped are refused both, also when they are written together, and hold up nobody
// else's.
func TestSwappedListsWrittenTogether(t *testing.T) {
	t.Parallel()
	pool := persisttest.New(t)
	w := newWriter(pool)
	newConnection(t, pool, "bank")
	var ids []int64
	for i, accounts := range []string{"a b", "x y", "o"} {
		ids = append(ids, queryInt(t, pool, `INSERT INTO consents (connection, external_id)
			VALUES ('bank', $1) RETURNING id`, fmt.Sprint(i)))
		first := accountsPage(ids[i], accounts)
		first.NewStream = true
		commitAll(t, w, first)
	}
	results := w.Commit(t.Context(), []write.PageWrite{
		accountsPage(ids[0], "x y"), accountsPage(ids[2], "o p"), accountsPage(ids[1], "a b"),
	})
	for i, other := range map[int]int64{0: ids[1], 2: ids[0]} {
		if swapped, ok := errors.AsType[*write.SwappedError](results[i].Err); !ok || swapped.Other != other {
			t.Errorf("page %d: %v, want the accounts of consent %d", i, results[i].Err, other)
		}
	}
	if results[1].Err != nil {
		t.Errorf("the one beside them: %v", results[1].Err)
	}
	want := []string{fmt.Sprint(ids[0], " a b"), fmt.Sprint(ids[1], " x y"), fmt.Sprint(ids[2], " o p")}
	got := queryAll(t, pool, `SELECT consent_id, string_agg(account_id, ' ' ORDER BY account_id) FROM accounts
		WHERE removed_at IS NULL GROUP BY 1 ORDER BY 1`)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
}

// What counts is what was known before the run, so it is all the same whose list comes first.
func TestSwappedListsInAnyOrder(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	w := newWriter(h.pool)
	for i, c := range []struct {
		what    string
		before  [2]string
		tonight [2]string
		refused [2]bool
	}{
		{"swapped, and one is new", [2]string{"a b", "x y"}, [2]string{"x y n", "a b"}, [2]bool{true, true}},
		{"moved on, and one is empty", [2]string{"a b", "x y"}, [2]string{"", "a b"}, [2]bool{false, true}},
		{"both have a new one in common", [2]string{"a", "x"}, [2]string{"j", "j"}, [2]bool{false, false}},
	} {
		for _, order := range [][]int{{0, 1}, {1, 0}} {
			connection := fmt.Sprintf("bank%d-%d", i, order[0])
			newConnection(t, h.pool, connection)
			var consents [2]int64
			for n := range consents {
				consents[n] = queryInt(t, h.pool, `INSERT INTO consents (connection, external_id)
					VALUES ($1, $2) RETURNING id`, connection, fmt.Sprint(n))
				first := accountsPage(consents[n], c.before[n])
				first.NewStream = true
				commitAll(t, w, first)
			}
			run := queryInt(t, h.pool, `INSERT INTO runs (job, connection, kind, scheduled_for, datasets)
				VALUES ('nightly', $1, 'manual', clock_timestamp(), '{accounts}') RETURNING id`, connection)
			for _, n := range order {
				p := accountsPage(consents[n], c.tonight[n])
				p.Task.Run, p.Call.Task.Run = run, run
				err := w.Commit(t.Context(), []write.PageWrite{p})[0].Err
				if _, refused := errors.AsType[*write.SwappedError](err); refused != c.refused[n] {
					t.Errorf("%s, consent %d, in the order %v: %v", c.what, n, order, err)
				}
			}
		}
	}
}
