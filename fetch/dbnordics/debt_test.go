package dbnordics

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"syncer/finance"
)

var (
	swedish   = company{country: "se", number: "5560391954"}
	norwegian = company{country: "no", number: "914778271"}
)

const (
	seRemark   = `{"amount":{"amount":"41250","currency":"SEK"},"date":{"year":2026,"month":8,"day":17},"creditor":{"name":"Skatteverket"},"type":{"code":"OKL"},"description":"UNCLASSIFIED"}`
	sePetition = `{"amount":{"amount":"18900.50","currency":"SEK"},"date":{"year":2026,"month":9,"day":3},"creditor":{"name":"Simvirke AB","address":{"town":"Solna"}},"type":{"code":"BFA"},"caseType":"new"}`
	seBalance  = `"financialCommitments":{"debtBalance":{"currentDebtBalance":{"date":"2026W44","privateClaimsCount":1,"publicClaimsCount":2,"claimsCount":3,"privateClaimsAmount":{"amount":"18900","currency":"SEK"},"publicClaimsAmount":{"amount":"42350","currency":"SEK"}},"historicalDebtBalance":[{"date":{"year":2026,"month":9},"balance":{"amount":"61250","currency":"SEK"}}]}}`
	seRating   = `"creditRatings":{"currentCreditRating":{"code":"B","description":"Credit against security","date":{"year":2026,"month":10,"day":1}},"historicalCreditRatings":[]},"ratingCreditLimits":{"currentRatingCreditLimit":{"amount":{"amount":"50000","currency":"SEK"},"date":{"year":2026,"month":10,"day":1}}}`
	noState    = `{"amount":{"monetaryAmount":{"amount":"5000","currency":"NOK"}},"date":{"year":2026,"month":5,"day":4},"creditor":"FJELLSTRØM AS","type":"DEBT_COLLECTION","source":"SVIPTIK AS","reference":"R-1","dueDate":{"year":2026,"month":3,"day":1}}`
	noNewer    = `{"amount":{"monetaryAmount":{"amount":"5600.25","currency":"NOK"}},"date":{"year":2026,"month":6,"day":20},"creditor":"FJELLSTRØM AS","type":"DISTRAINT_2","source":"NAMSFOGDEN","reference":"R-1"}`
	noPledge   = `{"amount":{"monetaryAmount":{"amount":"250000","currency":"NOK"}},"date":{"year":2024,"month":1,"day":9},"creditor":"EKSEMPELBANK ASA","type":"LEASING_AGREEMENT","source":"LØSØREREGISTERET","diaryNumber":"2024000123"}`
)

// report is an answer about a company with the sections given.
func report(about company, sections ...string) string {
	return `{"companyInformation":{"companyName":{"registeredName":{"name":"Sim Bygg AB"}},"identifiers":{"dunsNumber":"354000111","registrationNumber":"` +
		about.number + `"}},"risk":{` + strings.Join(sections, ",") + `}}`
}

func remarks(count string, list ...string) string {
	return `"paymentRemarks":{"count":` + count + `,"paymentRemarks":[` + strings.Join(list, ",") + `]}`
}

func petitions(count string, list ...string) string {
	return `"petitions":{"count":` + count + `,"petitions":[` + strings.Join(list, ",") + `]}`
}

func group(states ...string) string { return `{"paymentRemarks":[` + strings.Join(states, ",") + `]}` }

func groups(list ...string) string {
	return `"paymentRemarks":{"paymentRemarksGroups":[` + strings.Join(list, ",") + `]}`
}

func amount(s string) finance.Amount {
	a, err := finance.ParseAmount(s)
	if err != nil {
		panic(err)
	}
	return a
}

func date(year int, month time.Month, day int) time.Time {
	return time.Date(year, month, day, 0, 0, 0, 0, time.UTC)
}

// compare checks an answer's records, whose ids beginnings are those of the wanted ones.
func compare(t *testing.T, about company, body string, want []finance.Debt) {
	t.Helper()
	page, _, err := decodeDebt([]byte(body), about, false)
	if err != nil {
		t.Fatal(err)
	}
	got := page.Records.Debts
	for i := range got {
		if before, _, ok := strings.Cut(got[i].ID, ":"); ok && !strings.HasPrefix(got[i].ID, "total:") {
			if len(got[i].ID) != len(before)+25 {
				t.Errorf("id %q", got[i].ID)
			}
			got[i].ID = before + ":"
		}
	}
	if diff := cmp.Diff(want, got, cmp.Comparer(finance.Amount.Equal)); diff != "" {
		t.Error(diff)
	}
	if page.Partial != "" || page.Whole == nil || page.Whole.Prefix != "" || !page.Done || len(page.Rejects) > 0 {
		t.Errorf("partial %q, whole %v, done %t, rejects %v", page.Partial, page.Whole, page.Done, page.Rejects)
	}
}

func TestASwedishCompanyIsReadWhole(t *testing.T) {
	body := report(swedish, seRating,
		`"paymentRemarks":{"count":1,"amount":{"amount":"41250","currency":"SEK"},"paymentRemarks":[`+seRemark+`]}`,
		petitions("1", sePetition), seBalance,
		`"creditInquiries":{"count":4,"creditInquiries":[]},"actionsOfDistraint":{"actionsOfDistraint":[{"code":{"code":"M"}}]},"trade":{"paymentIndex":{}},"bankruptcy":null`)
	day := finance.Debt{TermsLeft: -1, CoBorrower: -1, Currency: "SEK"}
	remark, total, petition, balance, rating := day, day, day, day, day
	remark.Place, remark.ID, remark.Kind, remark.Creditor = 3, "remark:", "payment_remark/OKL", "Skatteverket"
	remark.OriginalBalance, remark.ReportedAt = amount("41250"), date(2026, 8, 17)
	remark.Extra = []byte(`{"date":"2026-08-17","description":"UNCLASSIFIED"}`)
	total.Place, total.ID, total.Kind, total.OriginalBalance = 4, "total:remark", "payment_remark_total", amount("41250")
	total.Extra = []byte(`{"count":"1"}`)
	petition.Place, petition.ID, petition.Kind, petition.Creditor = 5, "petition:", "petition/BFA", "Simvirke AB"
	petition.OriginalBalance, petition.ReportedAt = amount("18900.5"), date(2026, 9, 3)
	petition.Extra = []byte(`{"caseType":"new","date":"2026-09-03","creditor.address":{"town":"Solna"}}`)
	balance.Place, balance.ID, balance.Kind, balance.Balance, balance.ReportedAt = 6, "balance", "debt_balance", amount("61250"), date(2026, 10, 26)
	balance.Extra = []byte(`{"claimsCount":3,"privateClaimsAmount":"18900","privateClaimsCount":"1","publicClaimsAmount":"42350","publicClaimsCount":"2",` +
		`"debtBalance.historicalDebtBalance":[{"date":{"year":2026,"month":9},"balance":{"amount":"61250","currency":"SEK"}}]}`)
	rating.ID, rating.Kind, rating.CreditLimit, rating.ReportedAt = "rating", "rating", amount("50000"), date(2026, 10, 1)
	rating.Extra = []byte(`{"code":"B","date":"2026-10-01","description":"Credit against security","limit.date":"2026-10-01","ratings.historicalCreditRatings":[]}`)
	compare(t, swedish, body, []finance.Debt{remark, total, petition, balance, rating})
}

func TestANorwegianCompanyIsReadWhole(t *testing.T) {
	body := report(norwegian, `"creditLimits":{"currentRatingCreditLimit":{"amount":{"amount":"7","currency":"NOK"}}}`,
		`"paymentRemarks":{"paymentRemarksGroups":[`+group(noNewer, noState)+`,`+group()+`],"voluntaryRegistrations":[`+noPledge+`]}`)
	day := finance.Debt{TermsLeft: -1, CoBorrower: -1, Currency: "NOK"}
	incident, pledge, rating := day, day, day
	incident.Place, incident.ID, incident.Kind, incident.Creditor = 1, "remark:", "payment_remark/DISTRAINT_2", "FJELLSTRØM AS"
	incident.Balance, incident.OriginalBalance, incident.ReportedAt = amount("5600.25"), amount("5000"), date(2026, 6, 20)
	incident.Extra = []byte(`{"date":"2026-06-20","reference":"R-1","source":"NAMSFOGDEN","states":[` + noNewer + `,` + noState + `]}`)
	pledge.Place, pledge.ID, pledge.Kind, pledge.Creditor = 3, "voluntary:", "voluntary_registration/LEASING_AGREEMENT", "EKSEMPELBANK ASA"
	pledge.OriginalBalance, pledge.ReportedAt = amount("250000"), date(2024, 1, 9)
	pledge.Extra = []byte(`{"date":"2024-01-09","diaryNumber":"2024000123","source":"LØSØREREGISTERET"}`)
	rating.ID, rating.Kind, rating.CreditLimit = "rating", "rating", amount("7")
	compare(t, norwegian, body, []finance.Debt{incident, pledge, rating})
}

func TestAPercentageIsNoSum(t *testing.T) {
	percent := strings.Replace(noNewer, `{"monetaryAmount":{"amount":"5600.25","currency":"NOK"}}`, `{"percentage":"12.5"}`, 1)
	page, _, err := decodeDebt([]byte(report(norwegian, groups(group(percent, noState)))), norwegian, false)
	if err != nil || len(page.Records.Debts) != 1 {
		t.Fatal(err)
	}
	d := page.Records.Debts[0]
	if d.Balance.Valid || d.OriginalBalance.String() != "5000" || d.Currency != "NOK" || !strings.Contains(string(d.Extra), `"percentage":"12.5"`) {
		t.Errorf("%+v %s", d, d.Extra)
	}
	euro := strings.Replace(noState, "NOK", "EUR", 1)
	page, _, err = decodeDebt([]byte(report(norwegian, groups(group(noNewer, euro)))), norwegian, false)
	if d := page.Records.Debts[0]; err != nil || d.Currency != "NOK" || d.Balance.String() != "5600.25" || d.OriginalBalance.Valid {
		t.Errorf("two currencies in one record: %+v, error %v", d, err)
	}
}

func TestWhatIsWhole(t *testing.T) {
	broken := strings.Replace(seRemark, `"41250"`, `"41 250"`, 1)
	for _, c := range []struct {
		name, body string
		records    int
		partial    string
		rejects    int
	}{
		{"all", report(swedish, seRating, remarks("1", seRemark), petitions("1", sePetition), seBalance), 4, "", 0},
		{"nothing", report(swedish, remarks("0"), petitions("0")), 0, "", 0},
		{"sections left out", report(swedish), 0, "", 0},
		{"sections null", report(swedish, `"paymentRemarks":null,"petitions":null,"creditRatings":null,"ratingCreditLimits":null,"financialCommitments":{"debtBalance":null}`), 0, "", 0},
		{"everything within null", report(swedish, `"paymentRemarks":{"count":null,"amount":null,"paymentRemarks":null}`,
			`"creditRatings":{"currentCreditRating":null}`, `"financialCommitments":{"debtBalance":{"currentDebtBalance":null,"historicalDebtBalance":null}}`), 0, "", 0},
		{"capped remarks", report(swedish, remarks("40", seRemark)), 1, "39 of 40 payment remarks are missing from the answer", 0},
		{"capped to nothing", report(swedish, remarks("2")), 0, "2 of 2 payment remarks are missing from the answer", 0},
		{"count without a list", report(swedish, `"petitions":{"count":3}`), 0, "3 of 3 petitions are missing from the answer", 0},
		{"capped both", report(swedish, remarks("2", seRemark), petitions("9", sePetition)), 2,
			"1 of 2 payment remarks are missing from the answer; 8 of 9 petitions are missing from the answer", 0},
		{"count as text", report(swedish, remarks(`"2"`, seRemark)), 1, "1 of 2 payment remarks are missing from the answer", 0},
		{"count below the list", report(swedish, remarks("1", seRemark, seRemark)), 2, "", 0},
		{"count that is none", report(swedish, remarks(`{"n":1}`, seRemark)), 1, "", 0},
		{"a Norwegian count", report(norwegian, `"paymentRemarks":{"count":3,"paymentRemarksGroups":[`+group(noNewer, noState)+`]}`), 1,
			"1 of 3 payment remarks are missing from the answer", 0},
		{"no segment", `{"companyInformation":{"identifiers":{"registrationNumber":"5560391954"}}}`, 0, "the answer has no segment of risk", 0},
		{"segment null", `{"companyInformation":{"identifiers":{"registrationNumber":"5560391954"}},"risk":null}`, 0, "the answer has no segment of risk", 0},
		{"broken remark", report(swedish, remarks("2", broken, seRemark)), 1, "", 1},
		{"broken and capped", report(swedish, remarks("3", broken, seRemark)), 1, "1 of 3 payment remarks are missing from the answer", 1},
		{"remark of nothing", report(swedish, remarks("1", `{"description":"?"}`)), 0, "", 1},
		{"remark null", report(swedish, remarks("1", `null`)), 0, "", 1},
		{"broken state", report(norwegian, groups(group(noNewer, `{"date":7}`), group(noPledge))), 1, "", 1},
		{"broken balance", report(swedish, strings.Replace(seBalance, "18900", "x", 1), remarks("1", seRemark)), 1, "", 1},
		{"broken limit", report(swedish, strings.Replace(seRating, "50000", "x", 1), remarks("1", seRemark)), 1, "", 1},
		{"flat", `{"registrationNumber":"5560391954","name":"Sim Bygg AB","risk":{` + remarks("1", seRemark) + `}}`, 1, "", 0},
		{"flat to the bottom", `{"registrationNumber":"5560391954",` + remarks("1", seRemark) + `}`, 1, "", 0},
	} {
		about := swedish
		if strings.Contains(c.body, norwegian.number) {
			about = norwegian
		}
		page, _, err := decodeDebt([]byte(c.body), about, false)
		if err != nil || page.Records.Len() != c.records || page.Partial != c.partial || len(page.Rejects) != c.rejects {
			t.Errorf("%s: %d records, partial %q, rejects %v, error %v", c.name, page.Records.Len(), page.Partial, page.Rejects, err)
		}
		if (page.Whole != nil) != (c.partial == "" && c.rejects == 0) {
			t.Errorf("%s: whole %v", c.name, page.Whole)
		}
	}
	page, _, err := decodeDebt([]byte(report(swedish, remarks("1", seRemark))), swedish, true)
	if err != nil || page.Whole != nil || !strings.Contains(page.Partial, "207") || page.Records.Len() != 1 {
		t.Errorf("a 207: partial %q, whole %v, error %v", page.Partial, page.Whole, err)
	}
}

// TestABrokenRecordLeavesNothingBehind: neither in its neighbours nor among the records.
func TestABrokenRecordLeavesNothingBehind(t *testing.T) {
	good := decodeOne(t, report(swedish, remarks("1", seRemark)))
	for name, broken := range map[string]string{
		"an element":     remarks("2", strings.Replace(seRemark, `"date":{"year":2026`, `"leftover":[1],"date":{"year":"x"`, 1), seRemark),
		"a state":        `"petitions":null,"paymentRemarks":{"paymentRemarksGroups":[` + group(`{"leftover":1,"date":7}`) + `],"paymentRemarks":[` + seRemark + `]}`,
		"an incident":    `"paymentRemarks":{"paymentRemarksGroups":[{"leftover":1,"paymentRemarks":[{"date":00}]}],"paymentRemarks":[` + seRemark + `]}`,
		"an older state": `"paymentRemarks":{"paymentRemarksGroups":[` + group(`{"leftover":1,"reference":"a"}`, `{"date":7}`) + `],"paymentRemarks":[` + seRemark + `]}`,
		"a total":        `"paymentRemarks":{"count":1,"amount":{"leftover":1,"amount":"x"},"paymentRemarks":[` + seRemark + `]}`,
		"the balance":    strings.NewReplacer(`"claimsCount":3`, `"leftover":3`, `"42350"`, `"x"`).Replace(seBalance) + "," + remarks("1", seRemark),
		"the rating":     strings.NewReplacer(`"code":"B"`, `"leftover":3`, `"year":2026`, `"year":"x"`).Replace(seRating) + "," + remarks("1", seRemark),
	} {
		page, _, err := decodeDebt([]byte(report(swedish, broken)), swedish, false)
		if err != nil || len(page.Records.Debts) != 1 || len(page.Rejects) == 0 || page.Whole != nil {
			t.Errorf("%s: %v, rejects %v, error %v", name, page.Records.Debts, page.Rejects, err)
			continue
		}
		got := page.Records.Debts[0]
		if got.Place = good.Place; !cmp.Equal(good, got, cmp.Comparer(finance.Amount.Equal)) {
			t.Errorf("%s: %s", name, cmp.Diff(good, got, cmp.Comparer(finance.Amount.Equal)))
		}
	}
}

func TestAnEmptyIncidentIsNone(t *testing.T) {
	good, after := decodeOne(t, report(swedish, remarks("1", seRemark))), decodeOne(t, report(swedish,
		`"paymentRemarks":{"paymentRemarksGroups":[{"leftover":1,"paymentRemarks":[]},{}],"paymentRemarks":[`+seRemark+`]}`))
	if after.Place = good.Place; !cmp.Equal(good, after, cmp.Comparer(finance.Amount.Equal)) {
		t.Error(cmp.Diff(good, after, cmp.Comparer(finance.Amount.Equal)))
	}
}

func TestTheBalance(t *testing.T) {
	balance := func(members string) string {
		return report(swedish, `"financialCommitments":{"debtBalance":{"currentDebtBalance":{`+members+`}}}`)
	}
	for members, want := range map[string]string{
		`"privateClaimsAmount":{"amount":"1.10"},"publicClaimsAmount":{"amount":"2.20"}`:                    "3.3",
		`"privateClaimsCount":0,"publicClaimsCount":2,"publicClaimsAmount":{"amount":"7","currency":"SEK"}`: "7",
		`"privateClaimsCount":2,"privateClaimsAmount":{"amount":""},"publicClaimsAmount":{"amount":"7"}`:    "", // two claims of nobody knows how much
		`"claimsCount":3`: "",
		`"privateClaimsAmount":{"amount":"1","currency":"EUR"},"publicClaimsAmount":{"amount":"2","currency":"SEK"}`:     "refused",
		`"privateClaimsAmount":{"amount":"9999999999999999999"},"publicClaimsAmount":{"amount":"9999999999999999999.5"}`: "refused",
	} {
		page, _, err := decodeDebt([]byte(balance(members)), swedish, false)
		switch {
		case err != nil:
			t.Errorf("%s: %v", members, err)
		case len(page.Rejects) > 0 && want == "refused":
		case len(page.Records.Debts) != 1 || page.Records.Debts[0].Balance.String() != want:
			t.Errorf("%s: %v, rejects %v", members, page.Records.Debts, page.Rejects)
		}
	}
	// A new week alone is no new version; a week that can't be is kept as it was told.
	var h finance.Hasher
	first, second := decodeOne(t, report(swedish, seBalance)), decodeOne(t, report(swedish, strings.Replace(seBalance, "2026W44", "2026W45", 1)))
	if h.Debt(&first) != h.Debt(&second) || first.ReportedAt.Equal(second.ReportedAt) {
		t.Errorf("week 44: %+v\nweek 45: %+v", first, second)
	}
	odd := decodeOne(t, report(swedish, strings.Replace(seBalance, "2026W44", "2026W99", 1)))
	if !odd.ReportedAt.IsZero() || !strings.Contains(string(odd.Extra), `"date":"2026W99"`) {
		t.Errorf("week 99: %+v %s", odd, odd.Extra)
	}
}

func decodeOne(t *testing.T, body string) finance.Debt {
	t.Helper()
	page, _, err := decodeDebt([]byte(body), swedish, false)
	if err != nil || len(page.Records.Debts) != 1 {
		t.Fatalf("%d records, error %v", len(page.Records.Debts), err)
	}
	return page.Records.Debts[0]
}

func TestWrongAnswersStoreNothing(t *testing.T) {
	sole := company{country: "se", number: trader, person: true}
	for name, c := range map[string]struct {
		body  string
		about company
	}{
		"another company":     {report(swedish, remarks("1", seRemark)), company{country: "se", number: "5560160680"}},
		"another country":     {report(swedish, remarks("1", seRemark)), norwegian},
		"another person":      {report(company{number: "8502019709"}, remarks("1", seRemark)), sole},
		"nobody":              {`{"risk":{` + remarks("1", seRemark) + `}}`, swedish},
		"nobody, by null":     {`{"companyInformation":{"identifiers":{"registrationNumber":null}},"risk":{}}`, swedish},
		"two companies":       {`{"registrationNumber":"5560160680",` + report(swedish)[1:], swedish},
		"an array":            {`[]`, swedish},
		"nothing":             {``, swedish},
		"cut":                 {report(swedish, remarks("1", seRemark))[:200], swedish},
		"bytes behind":        {report(swedish) + `x`, swedish},
		"the same key twice":  {report(swedish, remarks("1", seRemark), remarks("1", seRemark)), swedish},
		"a section that is a": {report(swedish, `"financialCommitments":7`), swedish},
	} {
		page, _, err := decodeDebt([]byte(c.body), c.about, false)
		if err == nil || page.Records.Len() > 0 {
			t.Errorf("%s: %d records, error %v", name, page.Records.Len(), err)
		} else if strings.Contains(err.Error(), "5560") || strings.Contains(err.Error(), "8502") {
			t.Errorf("%s: the error tells who: %v", name, err)
		}
	}
}
