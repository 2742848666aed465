package rest

import (
	"io/fs"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"syncer/calls"
	"syncer/fetch"
	"syncer/fetch/fetchtest"
	"syncer/finance"
	"syncer/sandbox"
	sim "syncer/sandbox/rest"
	"syncer/sandbox/sandboxtest"
)

func theBank(t *testing.T, o sim.BankOptions) (*sim.BankSimulator, *world) {
	return theBankBy(t, sandboxtest.Serve, o)
}

func theBankBy(t *testing.T, serve sandboxtest.Mount, o sim.BankOptions) (*sim.BankSimulator, *world) {
	o.Kit = sandboxtest.NewKit(today.Time().Add(11 * time.Hour))
	bank, client := sim.NewBank(o), sim.BankClient()
	host := serve(t, o.Kit, sim.Bank, bank.Handler())
	return bank, start(t, host, "fjordbank.yaml", fetchtest.Credentials(client.ID, client.Secret))
}

func theCollector(t *testing.T, o sim.CollectorOptions) (*sim.CollectorSimulator, *world) {
	return theCollectorBy(t, sandboxtest.Serve, o)
}

func theCollectorBy(t *testing.T, serve sandboxtest.Mount, o sim.CollectorOptions) (*sim.CollectorSimulator, *world) {
	o.Kit = sandboxtest.NewKit(today.Time().Add(11 * time.Hour))
	collector, client := sim.NewCollector(o), sim.CollectorClient()
	credentials := fetchtest.Credentials(client.ID, client.Secret)
	credentials["api_key"] = fetch.NewSecret(sim.CollectorKey())
	host := serve(t, o.Kit, sim.Collector, collector.Handler())
	return collector, start(t, host, "nordvik.yaml", credentials)
}

func consentOf(c sim.ConsentInfo) finance.Consent {
	return finance.Consent{ID: 7, ExternalID: c.ID, Subject: fetchtest.Subject(c.NationalID), Status: finance.ConsentActive}
}

func streamOf(c finance.Consent, d finance.Dataset, account string) fetch.Stream {
	return fetch.Stream{
		Stream: finance.Stream{Consent: c.ID, Dataset: d, Account: account}, Task: calls.Task{Dataset: d, Consent: &c},
		Since: today.AddDays(-120), Today: today, Lookback: 10,
	}
}

// kept is what a table of transactions would hold after the pages: it is what removed_at is decided by.
func kept(table map[string]finance.Transaction, pages []fetch.Page) {
	for i := range pages {
		now := map[string]bool{}
		for _, x := range pages[i].Records.Transactions {
			table[x.ID], now[x.ID] = x, true
		}
		if w := pages[i].Whole; w != nil {
			for _, id := range w.Earlier {
				now[id] = true
			}
			for id, x := range table {
				if !now[id] && x.Status == w.Status {
					delete(table, id)
				}
			}
		}
	}
}

func TestAPendingPurchaseBecomesABookedOne(t *testing.T) {
	bank, w := theBank(t, sim.BankOptions{PageSize: 7})
	consent := consentOf(bank.Consent(3))
	s := streamOf(consent, finance.Transactions, accountOf(t, w, consent))
	c := fetchtest.Dial(t, Provider(), w.conn)
	table := map[string]finance.Transaction{}
	from := ""
	for day := range 6 {
		s.Today = today.AddDays(day)
		got, err := c.Read(t.Context(), s, from)
		if err != nil {
			t.Fatal(err)
		}
		kept(table, got)
		from = got[len(got)-1].Next
		fresh := map[string]finance.Transaction{} // what somebody who begins today would have
		all, err := c.Read(t.Context(), s, "")
		if err != nil {
			t.Fatal(err)
		}
		kept(fresh, all)
		for id, x := range fresh {
			if other, ok := table[id]; !ok || other.Status != x.Status || !other.Amount.Equal(x.Amount) {
				t.Errorf("day %d: %s is %q in the table and %q at the bank", day, id, other.Status, x.Status)
			}
		}
		pending := 0
		for id, x := range table {
			if x.Status == finance.Pending {
				if pending++; fresh[id].ID == "" {
					t.Errorf("day %d: pending %s of %s is still there", day, id, x.ValueOn)
				}
			}
		}
		if day == 0 && pending == 0 {
			t.Error("nothing is pending: nothing is proven")
		}
		w.Kit.Clock.Advance(24 * time.Hour)
	}
}

// A pass that was begun yesterday and goes on today asks for no day after yesterday, and then the bank shows nothing
// that is pending: that must not be taken for their end.
func TestAPassOfYesterdayEndsNoPendingPurchase(t *testing.T) {
	bank, w := theBank(t, sim.BankOptions{PageSize: 7})
	consent := consentOf(bank.Consent(3))
	s := streamOf(consent, finance.Transactions, accountOf(t, w, consent))
	c := fetchtest.Dial(t, Provider(), w.conn)
	first, err := c.Read(t.Context(), s, "")
	if err != nil || len(first) < 3 || first[len(first)-1].Whole == nil {
		t.Fatal(len(first), err)
	}
	w.Kit.Clock.Advance(24 * time.Hour)
	s.Today++
	rest, err := c.Read(t.Context(), s, first[0].Next)
	if err != nil {
		t.Fatal(err)
	}
	if last := rest[len(rest)-1]; last.Whole != nil || !last.Done || last.Next != first[len(first)-1].Next {
		t.Errorf("whole %v, next %s", last.Whole, last.Next)
	}
	backfill := s
	backfill.Until = today.AddDays(-30)
	if old, err := c.Read(t.Context(), backfill, ""); err != nil || old[len(old)-1].Whole != nil {
		t.Errorf("a backfill declares something whole, or fails: %v", err)
	}
}

func TestManyPagesOfClaims(t *testing.T) {
	collector, w := theCollector(t, sim.CollectorOptions{MaxClaims: 400})
	consent := consentOf(collector.Consent(2))
	c := fetchtest.Dial(t, Provider(), w.conn)
	s := streamOf(consent, finance.Debts, "")
	whole, err := c.Read(t.Context(), s, "")
	if err != nil || len(whole) < 3 {
		t.Fatal(len(whole), err)
	}
	want := idsOf(whole)
	seen := map[string]bool{}
	for _, id := range want {
		if seen[id] {
			t.Errorf("%s comes twice", id)
		}
		seen[id] = true
	}
	last := whole[len(whole)-1]
	if last.Whole == nil || last.Partial != "" || last.Next != "" {
		t.Fatalf("whole %v, partial %q, next %q", last.Whole, last.Partial, last.Next)
	}
	for i := range whole[:len(whole)-1] {
		other := fetchtest.Dial(t, Provider(), w.conn)
		rest, err := other.Read(t.Context(), s, whole[i].Next)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, append(idsOf(whole[:i+1]), idsOf(rest)...)); diff != "" {
			t.Errorf("resumed behind page %d: %s", i, diff)
		}
		if rest[len(rest)-1].Whole != nil {
			t.Errorf("resumed behind page %d: a set is declared whole of which another pass had read the beginning", i)
		}
	}
	for i := range whole {
		for _, d := range whole[i].Records.Debts {
			if strings.Contains(string(d.Extra), "national_id") || d.Currency != "NOK" || !d.Balance.Valid {
				t.Errorf("%+v", d)
			}
		}
	}
}

func TestWhatTheSimulatorsRefuse(t *testing.T) {
	bank, atBank := theBank(t, sim.BankOptions{})
	collector, atCollector := theCollector(t, sim.CollectorOptions{Closed: 2})
	_, unknown := theCollector(t, sim.CollectorOptions{Unknown: 1})
	bank.Revoke(bank.Consent(1).ID)
	collector.Revoke(collector.Consent(1).ID)
	wrongKey := *atCollector
	wrongKey.conn.Credentials = maps.Clone(wrongKey.conn.Credentials)
	wrongKey.conn.Credentials["api_key"] = fetch.NewSecret("another-key")
	stranger := consentOf(collector.Consent(4))
	stranger.Subject = fetchtest.Subject(collector.Consent(5).NationalID)
	for name, c := range map[string]struct {
		w       *world
		consent finance.Consent
		dataset finance.Dataset
		class   finance.Class
		status  finance.ConsentStatus
	}{
		"a withdrawn consent":     {atBank, consentOf(bank.Consent(1)), finance.Accounts, finance.ConsentOver, finance.ConsentRevoked},
		"no debt at the bank":     {atBank, consentOf(bank.Consent(0)), finance.Debts, finance.Rejected, ""},
		"a withdrawn mandate":     {atCollector, consentOf(collector.Consent(1)), finance.Debts, finance.ConsentOver, finance.ConsentRevoked},
		"another debtor":          {atCollector, stranger, finance.Debts, finance.Rejected, ""},
		"a wrong key":             {&wrongKey, consentOf(collector.Consent(0)), finance.Debts, finance.Fatal, ""},
		"nobody knows the person": {unknown, consentOf(collector.Consent(0)), finance.Debts, finance.Withheld, ""},
	} {
		cl := fetchtest.Dial(t, Provider(), c.w.conn)
		_, err := cl.Read(t.Context(), streamOf(c.consent, c.dataset, ""), "")
		e, ok := err.(*fetch.Error)
		if !ok || e.Class != c.class || e.Consent != c.status {
			t.Errorf("%s: %v", name, err)
		} else if c.w != atBank && c.dataset == finance.Debts && c.class != finance.Rejected && !strings.HasPrefix(e.Correlation, "nvk-") {
			t.Errorf("%s: correlation %q", name, e.Correlation)
		}
	}
	atBank.Kit.Clock.Advance(100 * 24 * time.Hour)
	cl := fetchtest.Dial(t, Provider(), atBank.conn)
	_, err := cl.Read(t.Context(), streamOf(consentOf(bank.Consent(0)), finance.Accounts, ""), "")
	if e, ok := err.(*fetch.Error); !ok || e.Consent != finance.ConsentExpired {
		t.Errorf("an old consent: %v", err)
	}
}

func TestWhatPasses(t *testing.T) {
	collector, w := theCollector(t, sim.CollectorOptions{Closed: 3, Waiting: 1})
	cl := fetchtest.Dial(t, Provider(), w.conn)
	for i := range 3 { // the third call says register_closed and is made again
		got, err := cl.Read(t.Context(), streamOf(consentOf(collector.Consent(i)), finance.Debts, ""), "")
		if err != nil {
			t.Fatal(err)
		}
		if last := got[len(got)-1]; last.Partial != "1 creditors have not reported yet" || last.Whole != nil {
			t.Errorf("partial %q, whole %v", last.Partial, last.Whole)
		}
	}
	w.Rule(t, sandbox.Rule{Times: 1, Action: sandbox.Action{Kind: sandbox.AnswerStatus, Status: 429,
		Body: `{"error":{"code":"rate_limited","message":"slow","request_id":"nvk-r","retry_after_seconds":1}}`}})
	w.Rule(t, sandbox.Rule{Times: 1, Action: sandbox.Action{Kind: sandbox.ExpireTokens}})
	before := time.Now()
	if _, err := cl.Read(t.Context(), streamOf(consentOf(collector.Consent(5)), finance.Debts, ""), ""); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(before); took < time.Second || len(cl.Store.Pauses()) != 1 {
		t.Errorf("the pause in the body was not kept: %s, pauses %v", took, cl.Store.Pauses())
	}
	if n := collector.Tokens().Requests(); n != 2 {
		t.Errorf("%d tokens", n)
	}
}

// The columns of both examples, spelled out.
func TestTheExamplesColumns(t *testing.T) {
	read := func(file string, dataset finance.Dataset, body string) finance.Records {
		text, err := fs.ReadFile(Examples(), file)
		if err != nil {
			t.Fatal(err)
		}
		page, err := decodedAs(t, dataset, string(text), body)
		if err != nil || len(page.Rejects) > 0 {
			t.Fatal(file, err, page.Rejects)
		}
		return page.Records
	}
	number := func(text string) finance.Amount { return amount(t, text) }
	got := read("fjordbank.yaml", finance.Transactions, `{"account":{"resourceId":"acc-1","iban":"NO1"},"transactions":{"booked":[
		{"transactionId":"FB1","bookingDate":"2026-11-18","valueDate":"2026-11-19","transactionAmount":{"currency":"NOK","amount":"-58.00"},
		 "creditorName":"KAFFE","creditorAccount":{"bban":"86011234567"},"remittanceInformationUnstructured":"KAFFE OSLO","bankTransactionCode":"PMNT",
		 "merchantCategoryCode":"5812","instructedAmount":{"currency":"EUR","amount":"-4.98"},
		 "currencyExchange":[{"sourceCurrency":"EUR","exchangeRate":"11.6543"}],"terminalId":"T1","merchantX":null}],"_links":{}}}`)
	tx := []finance.Transaction{{
		AccountID: "acc-1", ID: "FB1", Status: "booked", BookedOn: finance.NewDate(2026, 11, 18), ValueOn: finance.NewDate(2026, 11, 19),
		Amount: number("-58"), Currency: "NOK", Text: "KAFFE OSLO", Code: "PMNT", CounterpartyName: "KAFFE", CounterpartyAccount: "86011234567",
		MerchantCategory: "5812", OriginalAmount: number("-4.98"), OriginalCurrency: "EUR", ExchangeRate: number("11.6543"),
		Extra: []byte(`{"currencyExchange.0.sourceCurrency":"EUR","terminalId":"T1"}`),
	}}
	if diff := cmp.Diff(finance.Records{Transactions: tx}, got, exactly); diff != "" {
		t.Error(diff)
	}
	got = read("nordvik.yaml", finance.Debts, `{"mandate_id":"c-1","debtor":{"national_id":"14842249091"},"creditors_pending":0,"paging":{"total":1},"claims":[
		{"claim_id":"NV-1","claim_type":"loan","creditor":{"name":"TELEVIK","org_no":"912345678"},"currency":"NOK","principal_ore":123456,"interest_part_ore":29,
		 "outstanding_ore":150,"sign":"C","interest_rate_bp":1150,"instalment":{"fee_ore":4500,"period":"monthly","left":7},"registered_on":"20240115",
		 "updated_at":1795170600,"co_debtor":{"national_id":"29868099311"},"case_handler":"team-1"}]}`)
	debts := []finance.Debt{{
		ID: "NV-1", Creditor: "TELEVIK", Kind: "loan", Currency: "NOK", Balance: number("-1.5"), OriginalBalance: number("1234.56"),
		InterestBearing: number("0.29"), NominalRate: number("11.5"), InstallmentCharges: number("45"), InstallmentPeriod: "monthly", TermsLeft: 7,
		CoBorrower: -1, ReportedAt: time.Date(2026, 11, 20, 10, 30, 0, 0, time.UTC),
		Extra: []byte(`{"case_handler":"team-1","creditor.org_no":"912345678","registered_on":"20240115"}`),
	}}
	if diff := cmp.Diff(finance.Records{Debts: debts}, got, exactly); diff != "" {
		t.Error(diff)
	}
}
