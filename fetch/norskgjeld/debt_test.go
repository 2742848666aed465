package norskgjeld

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"syncer/fetch"
	"syncer/fetch/fetchtest"
	"syncer/finance"
)

const (
	person   = "14842249091"
	facility = `{"creditorName":"FJORDKREDITT AS","loan":{"type":"creditFacility","timestamp":"2026-11-03T05:12:44Z","coBorrower":0,"creditLimit":5000000,"interestBearingBalance":1834500,"nonInterestBearingBalance":221900,"nominalInterestRate":2190,"installmentCharges":4500,"installmentChargePeriod":"MONTHLY","newField":{"a":1}}}`
	loan     = `{"creditorName":"NORDLYS BANK ASA","loan":{"type":"repaymentLoan","timestamp":"2026-11-03T05:03:01.123456Z","coBorrower":2,"originalBalance":15000000,"balance":9720000,"terms":48,"nominalInterestRate":1145,"installmentCharges":5000,"installmentChargePeriod":"MONTHLY"}}`
	silence  = `{"creditorName":"SMAABANKEN","loan":null}`
)

func debtBody(missing string, loans ...string) string {
	return `{"loans":[` + strings.Join(loans, ",") + `],"numberOfCreditorsAnswered":2,"numberOfcreditorsMissing":` + missing +
		`,"ssn":"` + person + `","consent":{"id":"5B1F","exp":1798757999,"scope":"debt.unsecured.presentation"}}`
}

func consentOf(number string) *finance.Consent {
	return &finance.Consent{ID: 1, ExternalID: "5b1f", Subject: fetchtest.Subject(number)}
}

func amount(s string) finance.Amount {
	a, err := finance.ParseAmount(s)
	if err != nil {
		panic(err)
	}
	return a
}

func TestDebtIsReadWhole(t *testing.T) {
	page, err := decodeDebt([]byte(debtBody("1", facility, loan, silence)), consentOf(person))
	if err != nil {
		t.Fatal(err)
	}
	want := []finance.Debt{{
		Creditor: "FJORDKREDITT AS", Kind: "creditFacility", Currency: "NOK", Balance: amount("20564"), CreditLimit: amount("50000"),
		InterestBearing: amount("18345"), NonInterestBearing: amount("2219"), NominalRate: amount("21.9"), InstallmentCharges: amount("45"),
		InstallmentPeriod: "MONTHLY", TermsLeft: -1, ReportedAt: time.Date(2026, 11, 3, 5, 12, 44, 0, time.UTC), Extra: []byte(`{"newField":{"a":1}}`),
	}, {
		Lineage: finance.Lineage{Place: 1}, Creditor: "NORDLYS BANK ASA", Kind: "repaymentLoan", Currency: "NOK", Balance: amount("97200"),
		OriginalBalance: amount("150000"), NominalRate: amount("11.45"), InstallmentCharges: amount("50"), InstallmentPeriod: "MONTHLY",
		TermsLeft: 48, CoBorrower: 2, ReportedAt: time.Date(2026, 11, 3, 5, 3, 1, 123456000, time.UTC),
	}}
	got := page.Records.Debts
	for i := range got {
		if len(got[i].ID) != 24 {
			t.Errorf("id %q", got[i].ID)
		}
		got[i].ID = ""
	}
	if diff := cmp.Diff(want, got, cmp.Comparer(finance.Amount.Equal)); diff != "" {
		t.Error(diff)
	}
	if page.Partial != "1 of 3 creditors did not answer" || page.Whole != nil || !page.Done {
		t.Errorf("partial %q, whole %v, done %t", page.Partial, page.Whole, page.Done)
	}
}

func TestWhatIsWhole(t *testing.T) {
	for _, c := range []struct {
		name, body string
		whole      bool
		partial    bool
		rejects    int
	}{
		{"all answered", debtBody("0", facility, loan), true, false, 0},
		{"no debt", debtBody("0"), true, false, 0},
		{"counter only", debtBody("1", facility), false, true, 0},
		{"null only", debtBody("0", facility, silence), false, true, 0},
		{"broken record", debtBody("0", facility, strings.Replace(loan, `"balance":9720000`, `"balance":97200.5`, 1)), false, false, 1},
		{"no type", debtBody("0", `{"creditorName":"X","loan":{}}`), false, false, 1},
	} {
		page, err := decodeDebt([]byte(c.body), consentOf(person))
		if err != nil || (page.Whole != nil) != c.whole || (page.Partial != "") != c.partial || len(page.Rejects) != c.rejects {
			t.Errorf("%s: whole %v, partial %q, rejects %v, error %v", c.name, page.Whole, page.Partial, page.Rejects, err)
		}
	}
}

func TestWrongAnswersStoreNothing(t *testing.T) {
	other := consentOf(person)
	other.ExternalID = "another"
	for name, c := range map[string]struct {
		body    string
		consent *finance.Consent
	}{
		"another person":  {debtBody("0", loan), consentOf("29868099311")},
		"another consent": {debtBody("0", loan), other},
		"nobody":          {`{"loans":[]}`, consentOf(person)},
		"no list":         {`{"ssn":"` + person + `"}`, consentOf(person)},
		"null list":       {`{"ssn":"` + person + `","loans":null}`, consentOf(person)},
		"cut":             {debtBody("0", loan)[:200], consentOf(person)},
	} {
		page, err := decodeDebt([]byte(c.body), c.consent)
		if err == nil || page.Records.Len() > 0 {
			t.Errorf("%s: %d records, error %v", name, page.Records.Len(), err)
		} else if strings.Contains(err.Error(), person) {
			t.Errorf("%s: the error tells who: %v", name, err)
		}
	}
}

// ids are the ids of an answer's debts, in its order.
func ids(t *testing.T, loans ...string) (out []string) {
	t.Helper()
	page, err := decodeDebt([]byte(debtBody("0", loans...)), consentOf(person))
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range page.Records.Debts {
		out = append(out, d.ID)
	}
	return out
}

func TestIDsOutliveWhatMoves(t *testing.T) {
	paid := strings.NewReplacer(`"balance":9720000`, `"balance":9500000`, `"terms":48`, `"terms":47`, "1145", "1199", "05:03:01", "06:03:01").Replace(loan)
	second := strings.Replace(loan, "15000000", "8000000", 1)
	raised := strings.NewReplacer("5000000", "7000000", "1834500", "12").Replace(facility)
	twin := strings.Replace(facility, `"creditLimit":5000000`, `"creditLimit":100`, 1)

	before := ids(t, facility, loan, second)
	if after := ids(t, second, paid, raised); before[0] != after[2] || before[1] != after[1] || before[2] != after[0] {
		t.Errorf("ids moved from %v to %v", before, after)
	}
	if closed := ids(t, second); closed[0] != before[2] {
		t.Error("a loan changed its id because its neighbour was paid off")
	}
	ab, ba := ids(t, facility, twin), ids(t, twin, facility)
	if ab[0] == ab[1] || ab[0] != ba[1] || ab[1] != ba[0] {
		t.Errorf("two facilities of one creditor: %v, then %v", ab, ba)
	}
	if same := ids(t, loan, loan); same[0] == same[1] {
		t.Error("two equal loans have one id")
	}
}

func TestClassify(t *testing.T) {
	trace := `,"trace_id":"0f5b","timestamp":"2026-11-03T08:31:25.109057Z"}`
	for _, c := range []struct {
		name   string
		status int
		body   string
		want   fetch.Meaning
	}{
		{"ok", 200, `{"loans":[]}`, fetch.Meaning{Class: finance.OK}},
		{"deleted", 204, ``, fetch.Meaning{Class: finance.OK}},
		{"proxy page", 200, `<html></html>`, fetch.Meaning{Class: finance.Transient}},
		{"stale token", 403, `{"error":"Invalid access token"` + trace, fetch.Meaning{Class: finance.TokenDenied, Reason: "Invalid access token", Correlation: "0f5b"}},
		{"stale token, small", 403, `{"error":"invalid access token"` + trace, fetch.Meaning{Class: finance.TokenDenied, Reason: "invalid access token", Correlation: "0f5b"}},
		{"unauthorized", 401, ``, fetch.Meaning{Class: finance.TokenDenied}},
		{"revoked", 403, `{"error":"no valid consent"` + trace, fetch.Meaning{Class: finance.ConsentOver, Status: finance.ConsentRevoked, Named: true, Reason: "no valid consent", Correlation: "0f5b"}},
		{"expired", 403, `{"error":"invalid consent","error_description":"Consent expired at 2026-11-03T08:20:07Z"` + trace,
			fetch.Meaning{Class: finance.ConsentOver, Status: finance.ConsentExpired, Named: true, Reason: "invalid consent: Consent expired at 2026-11-03T08:20:07Z", Correlation: "0f5b"}},
		{"forbidden", 403, `{"error":"Forbidden","message":"scope","requestId":"7c1d"}`, fetch.Meaning{Class: finance.Rejected, Reason: "Forbidden: scope", Correlation: "7c1d"}},
		{"turned away", 403, `<html>`, fetch.Meaning{Class: finance.Fatal, Reason: "403 without an error document of the registry: is our address known to it?"}},
		{"conflict", 409, `{"error":"Conflict","message":"other data","requestId":"7c1d"}`, fetch.Meaning{Class: finance.Rejected, Reason: "Conflict: other data", Correlation: "7c1d"}},
		{"outage", 500, `{"error":"server error"` + trace, fetch.Meaning{Class: finance.Transient, Reason: "server error", Correlation: "0f5b"}},
		{"quota", 429, ``, fetch.Meaning{Class: finance.Throttled}},
		{"closed", 503, ``, fetch.Meaning{Class: finance.Throttled}},
	} {
		got := classify(nil, &fetch.Answer{Status: c.status, Header: http.Header{}, Body: []byte(c.body)})
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s: %s", c.name, diff)
		}
	}
}

func TestStatusInBothForms(t *testing.T) {
	now := time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC)
	for body, want := range map[string]finance.ConsentStatus{
		`{"active":true,"expires_at":1798757999}`:                finance.ConsentActive,
		`{"active":"true","expires_at":"2026-12-31T22:59:59Z"}`:  finance.ConsentActive,
		`{"active":false,"expires_at":1798757999}`:               finance.ConsentRevoked,
		`{"active":"false","expires_at":"2026-11-01T00:00:00Z"}`: finance.ConsentExpired,
		`{"active":false}`:                    finance.ConsentRevoked,
		`{}`:                                  "",
		`{"active":"maybe"}`:                  "",
		`{"active":true,"expires_at":"soon"}`: "",
	} {
		got, err := decodeStatus([]byte(body), now)
		if got.Status != want || (err != nil) != (want == "") {
			t.Errorf("%s: %q, %v", body, got.Status, err)
		}
	}
}
