package jobs

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"syncer/fetch"
	"syncer/finance"
	"syncer/persist/queue"
)

// filled gives each member of a record alone a value, by the member's name in Go.
func filled[T any](zero T) map[string]T {
	all := map[string]T{}
	typ := reflect.TypeFor[T]()
	for i := range typ.NumField() {
		one := zero
		field := reflect.ValueOf(&one).Elem().Field(i)
		switch field.Interface().(type) {
		case string:
			field.SetString("x")
		case finance.Amount:
			field.Set(reflect.ValueOf(finance.Amount{Valid: true}))
		case finance.Date, int32:
			field.SetInt(1)
		case time.Time:
			field.Set(reflect.ValueOf(time.Unix(1, 0)))
		default: // where it stood, and what has no column
			continue
		}
		all[typ.Field(i).Name] = one
	}
	return all
}

func testColumns[T any](t *testing.T, columns []column[T], zero T, keys ...string) {
	t.Helper()
	for _, c := range columns {
		if c.held(&zero) {
			t.Errorf("%T: nothing is held in %s", zero, c.name)
		}
	}
	for name, rec := range filled(zero) {
		var held []string
		for _, c := range columns {
			if c.held(&rec) {
				held = append(held, strings.ReplaceAll(c.name, "_", ""))
			}
		}
		var want []string
		if !slices.Contains(keys, name) {
			want = []string{strings.ToLower(name)}
		}
		if diff := cmp.Diff(want, held); diff != "" {
			t.Errorf("%T with %s alone (-want +got):\n%s", zero, name, diff)
		}
	}
}

// Every column but a key is counted, by its name.
func TestEveryColumnIsCounted(t *testing.T) {
	t.Parallel()
	testColumns(t, accountColumns(), finance.Account{}, "ID")
	testColumns(t, balanceColumns(), finance.Balance{}, "AccountID", "Kind")
	testColumns(t, transactionColumns(), finance.Transaction{}, "AccountID", "ID", "Status")
	testColumns(t, debtColumns(), finance.Debt{TermsLeft: -1, CoBorrower: -1}, "ID")
}

func TestMembersOfExtra(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		``: "", `{}`: "", `{"a":1}`: "a", `[1]`: "",
		`{"a":"x","b":{"c":[1,2,{"d":"},\""}]},"e":null,"f":"","g":[],"h":{},"i":false}`: "a b i",
		`{"a\"b":1,"c":"\\"}`: `a\"b c`,
		`{"a`:                 "", `{"a"`: "", `{"a":`: "", `{"a":"x`: "a", `{"a":1,`: "a", `{"a":"\`: "a",
	} {
		var got []string
		eachMember([]byte(text), func(name []byte) { got = append(got, string(name)) })
		if strings.Join(got, " ") != want {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
}

// What was counted of consents comes together, and names that may be somebody's number are not counted.
func TestMembersAreCounted(t *testing.T) {
	t.Parallel()
	by := newColumns()
	var all members
	for consent := range 3 {
		var one members
		for i := range 2 {
			page := fetch.Page{Records: finance.Records{
				Accounts: []finance.Account{
					{ID: "a", Name: "x", Extra: []byte(`{"note":"x","14842249091":1}`)}, {ID: "b"},
				},
				Balances: []finance.Balance{
					{AccountID: "a", Kind: "booked", Currency: "NOK"}, {AccountID: "a", Kind: "booked", Currency: "EUR"},
					{AccountID: "b", Kind: "booked"}, {AccountID: "b", Kind: "available"},
				},
				Transactions: []finance.Transaction{
					{Status: finance.Booked, Text: "x"}, {Status: finance.Pending, Code: "x"},
				},
			}}
			if consent == 2 && i == 1 {
				page.Records.Debts = []finance.Debt{{TermsLeft: -1}}
			}
			one.page(by, &page)
		}
		all.add(&one)
	}
	var got []string
	for _, r := range all.rows(by) {
		got = append(got, fmt.Sprintf("%s.%s %d of %d", r.Kind, r.Member, r.Records, r.Consents))
	}
	slices.Sort(got)
	want := []string{
		"accounts. 12 of 3", "accounts.balance.available 6 of 0", "accounts.balance.booked 12 of 0",
		"accounts.extra.note 6 of 0", "accounts.name 6 of 0",
		"balances. 24 of 3", "balances.currency 12 of 0",
		"debts. 1 of 1", "debts.co_borrower 1 of 0",
		"pending. 6 of 3", "pending.code 6 of 0",
		"transactions. 6 of 3", "transactions.text 6 of 0",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// A provider that makes names of ids does not fill the memory.
func TestNamesAreBounded(t *testing.T) {
	t.Parallel()
	var n names
	for i := range 1000 {
		n.count(fmt.Append(nil, "name", i))
	}
	n.count([]byte("no name"))
	n.count([]byte(strings.Repeat("n", longestName+1)))
	if len(n) != namesOfConsent {
		t.Errorf("%d names", len(n))
	}
}

// BenchmarkMembers is what counting costs for a transaction with six members that have no column.
func BenchmarkMembers(b *testing.B) {
	const extra = `{"a.b":"some text","booking":{"x":[1,2,3]},"c":12.5,"d":true,"e":"x","f":"y"}`
	t := finance.Transaction{Text: "x", Extra: []byte(extra)}
	page := fetch.Page{Records: finance.Records{Transactions: slices.Repeat([]finance.Transaction{t}, 100)}}
	by := newColumns()
	var m members
	b.ReportAllocs()
	for b.Loop() {
		m.page(by, &page)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/100, "ns/record")
	if rows := m.rows(by); len(rows) == 0 || rows[0] == (queue.MemberCount{}) {
		b.Fatal("nothing was counted")
	}
}
