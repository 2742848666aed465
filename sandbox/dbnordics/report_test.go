package dbnordics_test

import (
	"encoding/json"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"syncer/sandbox"
	"syncer/sandbox/dbnordics"
	"syncer/sandbox/sandboxtest"
)

// list is a section of an answer that says how much it holds.
type list struct {
	Count   int `json:"count"`
	Remarks []struct {
		Amount   *struct{ Amount, Currency string } `json:"amount"`
		Creditor struct{ Name string }
	} `json:"paymentRemarks"`
	Petitions []json.RawMessage `json:"petitions"`
}

type answer struct {
	RegistrationNumber string `json:"registrationNumber"`
	CompanyInformation *struct {
		Identifiers struct {
			RegistrationNumber string `json:"registrationNumber"`
		} `json:"identifiers"`
	} `json:"companyInformation"`
	CorrelationID string            `json:"correlationId"`
	Events        []json.RawMessage `json:"events"`
	Risk          *struct {
		PaymentRemarks *struct {
			list
			Groups    []struct{ PaymentRemarks []map[string]any } `json:"paymentRemarksGroups"`
			Voluntary []json.RawMessage                           `json:"voluntaryRegistrations"`
		} `json:"paymentRemarks"`
		Petitions            *list `json:"petitions"`
		FinancialCommitments *struct {
			DebtBalance struct {
				Current *struct {
					Date          string
					PrivateAmount struct{ Amount string } `json:"privateClaimsAmount"`
					PublicCount   int                     `json:"publicClaimsCount"`
				} `json:"currentDebtBalance"`
			} `json:"debtBalance"`
		} `json:"financialCommitments"`
	} `json:"risk"`
}

func (v *vendor) answer(t *testing.T, c dbnordics.CompanyInfo, more string) (a answer) {
	t.Helper()
	got := v.credit(t, c, more)
	if got.Status != http.StatusOK && got.Status != http.StatusMultiStatus {
		t.Fatalf("%+v: %d %s", c, got.Status, got.Body)
	}
	got.Decode(t, &a)
	return a
}

func TestTheSameSeedIsTheSameBytes(t *testing.T) {
	o := dbnordics.Options{Capped: 0.3, Clean: 0.2, Incomplete: 0.2}
	one, two := open(t, o), open(t, o)
	for i := range 30 {
		if a, b := one.credit(t, one.Company(i), ""), two.credit(t, two.Company(i), ""); a.Body != b.Body || a.Status != b.Status {
			t.Errorf("company %d:\n%s\n%s", i, a.Body, b.Body)
		}
	}
}

func TestASwedishReport(t *testing.T) {
	v := open(t, dbnordics.Options{Capped: 1, ListCap: 4, EmptyAmounts: true})
	texts := regexp.MustCompile(`"amount":"(\d*(\.\d\d)?)","currency":"SEK"`)
	empty := 0
	for _, c := range v.Companies() {
		if c.Country != "SE" {
			continue
		}
		got := v.credit(t, c, "")
		a := v.answer(t, c, "")
		if a.CompanyInformation.Identifiers.RegistrationNumber != c.RegistrationNumber || a.CorrelationID != "" {
			t.Fatalf("%s", got.Body)
		}
		remarks := a.Risk.PaymentRemarks
		if len(remarks.Remarks) != 4 || remarks.Count <= 4 {
			t.Errorf("%d remarks are shown of %d, with a cap of 4", len(remarks.Remarks), remarks.Count)
		}
		current := a.Risk.FinancialCommitments.DebtBalance.Current
		if current.Date != "2026W45" || current.PublicCount != remarks.Count {
			t.Errorf("%+v", current)
		}
		if strings.Count(got.Body, `"amount":"`) != len(texts.FindAllString(got.Body, -1)) {
			t.Errorf("an amount is no text of the vendor's pattern: %s", got.Body)
		}
		empty += strings.Count(got.Body, `"amount":""`)
	}
	if empty == 0 {
		t.Error("no amount is empty")
	}
	v.Kit.Clock.Advance(7 * 24 * time.Hour)
	if date := v.answer(t, v.find(t, in("SE", false)), "").Risk.FinancialCommitments.DebtBalance.Current.Date; date != "2026W46" {
		t.Errorf("a week later it is %s", date)
	}
}

func TestANorwegianReport(t *testing.T) {
	v := open(t, dbnordics.Options{})
	percentages, unreferenced := 0, 0
	for _, c := range v.Companies() {
		if c.Country != "NO" {
			continue
		}
		for _, g := range v.answer(t, c, "").Risk.PaymentRemarks.Groups {
			last := "9999-99-99"
			for _, state := range g.PaymentRemarks {
				d := state["date"].(map[string]any)
				at := time.Date(int(d["year"].(float64)), time.Month(int(d["month"].(float64))), int(d["day"].(float64)), 0, 0, 0, 0, time.UTC).Format(time.DateOnly)
				if at >= last {
					t.Errorf("a state of %s stands behind one of %s", at, last)
				}
				last = at
				amount := state["amount"].(map[string]any)
				if len(amount) != 1 {
					t.Errorf("an amount of two kinds: %v", amount)
				}
				if amount["percentage"] != nil {
					percentages++
				}
				if state["reference"] == nil {
					unreferenced++
				}
			}
		}
	}
	if percentages == 0 || unreferenced == 0 {
		t.Errorf("%d percentages, %d states without a reference", percentages, unreferenced)
	}
}

func TestSwitches(t *testing.T) {
	se := in("SE", false)
	clean := open(t, dbnordics.Options{Clean: 1})
	if a := clean.answer(t, clean.find(t, se), ""); a.Risk.PaymentRemarks == nil || a.Risk.PaymentRemarks.Count != 0 || a.Risk.Petitions == nil {
		t.Errorf("clean: %+v", a.Risk)
	}
	omitted := open(t, dbnordics.Options{Clean: 1, OmitEmpty: true})
	for _, country := range []string{"SE", "NO"} {
		if a := omitted.answer(t, omitted.find(t, in(country, false)), ""); a.Risk.PaymentRemarks != nil || a.Risk.Petitions != nil || a.Risk.FinancialCommitments != nil {
			t.Errorf("clean and left out: %+v", a.Risk)
		}
	}
	part := open(t, dbnordics.Options{Incomplete: 1})
	if got := part.credit(t, part.find(t, se), ""); got.Status != 207 || strings.Contains(got.Body, "petitions") {
		t.Errorf("incomplete: %d %s", got.Status, got.Body)
	}
	flat := open(t, dbnordics.Options{FlatSweden: true, CorrelationInReports: true})
	c := flat.find(t, se)
	if a := flat.answer(t, c, ""); a.RegistrationNumber != c.RegistrationNumber || a.CompanyInformation != nil || len(a.CorrelationID) != 36 {
		t.Errorf("flat: %+v", a)
	}
	if a := flat.answer(t, flat.find(t, in("NO", false)), ""); a.CompanyInformation == nil {
		t.Error("Norway is flat too")
	}
	plain := open(t, dbnordics.Options{SoleTraders: 1, Norwegian: -1})
	sole := plain.find(t, in("SE", true))
	if a := plain.answer(t, sole, `,"segments":["EVENTS"]`); a.Risk != nil || len(a.Events) == 0 || a.CompanyInformation.Identifiers.RegistrationNumber != sole.RegistrationNumber {
		t.Errorf("events only: %+v", a)
	}
	long := sole
	long.RegistrationNumber = "19" + sole.RegistrationNumber
	if a, b := plain.credit(t, long, ""), plain.credit(t, sole, ""); a.Body != b.Body || a.Status != 200 {
		t.Errorf("with a century: %d %s", a.Status, a.Body)
	}
	if sv := plain.credit(t, sole, `,"language":"SV"`); !strings.Contains(sv.Body, "Oklassificerad") {
		t.Errorf("in Swedish: %s", sv.Body)
	}
}

func TestRefusals(t *testing.T) {
	for envelope, field := range map[string]string{"": "subErrors", "detail": "validationErrors", "errors": "errorMessage", "generic": "Request body contains one or more errors"} {
		v := open(t, dbnordics.Options{Envelope: envelope})
		c := v.find(t, in("SE", false))
		short := c
		short.RegistrationNumber = "12"
		if got := v.credit(t, short, ""); got.Status != 400 || !strings.Contains(got.Body, field) || envelope == "generic" == strings.Contains(got.Body, "egistration") {
			t.Errorf("%q: %d %s", envelope, got.Status, got.Body)
		}
		for _, more := range []string{`,"language":"en"`, `,"segments":["DEBTS"]`, `,`} {
			if got := v.credit(t, c, more); got.Status != 400 {
				t.Errorf("%s: %d %s", more, got.Status, got.Body)
			}
		}
		stranger := c
		stranger.RegistrationNumber = "5560160680"
		if got := v.credit(t, stranger, ""); got.Status != 404 || v.Asked(c.Index) != 0 {
			t.Errorf("an unknown company: %d %s", got.Status, got.Body)
		}
		abroad := c
		abroad.Country = "NO"
		if got := v.credit(t, abroad, ""); got.Status != 400 {
			t.Errorf("a Swedish number in Norway: %d %s", got.Status, got.Body)
		}
	}
}

func TestWhatHappensToACompany(t *testing.T) {
	v := open(t, dbnordics.Options{})
	se, no := v.find(t, in("SE", false)), v.find(t, in("NO", false))
	before := v.answer(t, se, "")
	v.Petition(se.Index)
	v.RemoveRemark(se.Index)
	after := v.answer(t, se, "")
	if after.Risk.Petitions.Count != before.Risk.Petitions.Count+1 || after.Risk.PaymentRemarks.Count != before.Risk.PaymentRemarks.Count-1 ||
		after.Risk.FinancialCommitments.DebtBalance.Current.PrivateAmount == before.Risk.FinancialCommitments.DebtBalance.Current.PrivateAmount {
		t.Errorf("before %+v, after %+v", before.Risk, after.Risk)
	}
	states := len(v.answer(t, no, "").Risk.PaymentRemarks.Groups[0].PaymentRemarks)
	v.Advance(no.Index)
	if now := len(v.answer(t, no, "").Risk.PaymentRemarks.Groups[0].PaymentRemarks); now != states+1 {
		t.Errorf("an incident of %d states has %d", states, now)
	}
	if v.Asked(se.Index) != 2 || v.Asked(no.Index) != 2 {
		t.Errorf("asked %d and %d times", v.Asked(se.Index), v.Asked(no.Index))
	}
	for _, step := range []struct {
		fate   string
		status int
	}{{"unknown", 404}, {"withheld", 451}, {"", 200}} {
		v.control(t, "decree?company="+strconv.Itoa(se.Index)+"&fate="+step.fate, 204)
		if got := v.credit(t, se, ""); got.Status != step.status {
			t.Errorf("%q: %d", step.fate, got.Status)
		}
	}
	v.control(t, "petition?company=-1", 404)
	v.control(t, "advance?company=100", 404)
	if got := v.do(t, "GET", "/_sandbox/dbnordics/companies", "", ""); strings.Count(got.Body, "\n") != 101 {
		t.Errorf("the list of companies: %s", got.Body)
	}
}

func (v *vendor) control(t *testing.T, verb string, status int) {
	t.Helper()
	if got := v.do(t, "POST", "/_sandbox/dbnordics/"+verb, "", ""); got.Status != status {
		t.Errorf("%s: %d %s", verb, got.Status, got.Body)
	}
}

func TestFaultsAndJournal(t *testing.T) {
	v := open(t, dbnordics.Options{SoleTraders: 0.5, Quota: sandbox.Quota{Calls: 3, Period: time.Minute}})
	sole := v.find(t, in("SE", true))
	v.Rule(t, sandbox.Rule{Subject: sole.Subject, Times: 1, Action: sandbox.Action{Kind: sandbox.WrongSubject}})
	token := v.token(t, dbnordics.SandboxToken, "credit_data_companies")
	post := func() sandboxtest.Reply {
		return v.do(t, "POST", dbnordics.CreditData+"/companies/se", token, `{"registrationNumber":"`+sole.RegistrationNumber+`"}`)
	}
	if got := post(); got.Status != 200 || strings.Contains(got.Body, sole.RegistrationNumber) {
		t.Errorf("a wrong subject: %d %s", got.Status, got.Body)
	}
	if got := post(); got.Status != 200 || !strings.Contains(got.Body, sole.RegistrationNumber) {
		t.Errorf("the right subject: %d %s", got.Status, got.Body)
	}
	post()
	if got := post(); got.Status != 429 || got.Header.Get("Retry-After") == "" || !strings.Contains(got.Body, "statusText") {
		t.Errorf("over the quota: %d %v %s", got.Status, got.Header, got.Body)
	}
	entries := v.Entries(t)
	text, err := json.Marshal(entries)
	if err != nil || strings.Contains(string(text), sole.RegistrationNumber) {
		t.Errorf("a personal number stands in the journal, or %v", err)
	}
	if len(entries) != 5 || !entries[0].Token || entries[1].Subject != sole.Subject || entries[1].Template != dbnordics.CreditData+"/companies/se" || entries[1].Bucket != dbnordics.DefaultClient().ID {
		t.Errorf("%s", text)
	}
	if n := v.Kit.ExpireTokens("dbnordics"); n != 1 {
		t.Errorf("%d tokens were live", n)
	}
}

func TestSearch(t *testing.T) {
	v := open(t, dbnordics.Options{Companies: 300})
	token := v.token(t, dbnordics.SandboxToken, "credit_data_companies")
	search := func(body string) (r sandboxtest.Reply, hits, count int) {
		r = v.do(t, "POST", dbnordics.CreditData+"/companies", token, body)
		var a struct {
			Companies []struct{ Country string }
			Paging    struct{ ResultCount, Limit int } `json:"_paging"`
		}
		if r.Status == 200 {
			r.Decode(t, &a)
		}
		return r, len(a.Companies), a.Paging.ResultCount
	}
	_, all, total := search(`{"country":"SE","name":" AB","limit":200}`)
	if _, none, count := search(`{"country":"SE","name":" AB","limit":0}`); none != 0 || count != total || all != total || total == 0 {
		t.Errorf("%d of %d; counting: %d of %d", all, total, none, count)
	}
	if _, n, _ := search(`{"country":"SE","name":" AB"}`); n != 20 {
		t.Errorf("%d hits without a limit", n)
	}
	if _, n, count := search(`{"country":"SE","name":" AB","offset":` + strconv.Itoa(total-3) + `}`); n != 3 || count != total {
		t.Errorf("%d hits at the end, of %d", n, count)
	}
	c := v.find(t, in("NO", false))
	if r, n, _ := search(`{"country":"NO","registrationNumber":"` + c.RegistrationNumber + `"}`); n != 1 || !strings.Contains(r.Body, c.Name) {
		t.Errorf("by number: %s", r.Body)
	}
	for _, bad := range []string{`{"name":"x"}`, `{"country":"SE"}`, `{"country":"SE","name":"x","limit":201}`, `{"country":"SE","name":"x","offset":9990}`, `[`} {
		if r, _, _ := search(bad); r.Status != 400 {
			t.Errorf("%s: %d", bad, r.Status)
		}
	}
	if v.Asked(c.Index) != 0 {
		t.Error("a search was charged as a report")
	}
}

func TestDecisionsAreKept(t *testing.T) {
	v := open(t, dbnordics.Options{})
	c := v.find(t, in("SE", false))
	body := `{"registrationNumber":"` + c.RegistrationNumber + `","rulesetKey":"1-1111-2222-3333","reference":"APP-1"}`
	token := v.token(t, dbnordics.ProductionToken, "rgs-decision-test") // tests too take tokens from production
	got := v.do(t, "POST", dbnordics.Decisions+"/company/se", token, body)
	var a struct {
		CorrelationID string `json:"correlationId"`
	}
	if got.Decode(t, &a); got.Status != 200 || len(a.CorrelationID) != 36 || !strings.Contains(got.Body, `"reference":"APP-1"`) {
		t.Fatalf("%d %s", got.Status, got.Body)
	}
	path := dbnordics.Decisions + "/company/" + a.CorrelationID
	if again := v.do(t, "GET", path, token, ""); again.Body != got.Body {
		t.Errorf("read again: %s", again.Body)
	}
	if other := v.do(t, "POST", dbnordics.Decisions+"/company/se", token, body); strings.Contains(other.Body, a.CorrelationID) {
		t.Error("two decisions have one correlation id")
	}
	if got := v.do(t, "GET", dbnordics.Decisions+"/person/"+a.CorrelationID, token, ""); got.Status != 404 {
		t.Errorf("as a person's: %d", got.Status)
	}
	if got := v.do(t, "POST", dbnordics.Decisions+"/company/se", token, `{"rulesetKey":"short"}`); got.Status != 400 {
		t.Errorf("a short ruleset key: %d", got.Status)
	}
	if got := v.do(t, "GET", path, v.token(t, dbnordics.SandboxToken, "bci"), ""); got.Status != 403 {
		t.Errorf("another scope: %d", got.Status)
	}
}

func TestPersonSearch(t *testing.T) {
	for _, miss := range []struct {
		o      dbnordics.Options
		status int
	}{{dbnordics.Options{SoleTraders: 1}, 204}, {dbnordics.Options{SoleTraders: 1, MissIsEmpty200: true}, 200}} {
		v := open(t, miss.o)
		c := v.find(t, in("SE", true))
		token := v.token(t, dbnordics.SandboxToken, "bci")
		find := func(number string) sandboxtest.Reply {
			return v.do(t, "GET", dbnordics.Persons+"/person/search?sourceCountry=SE&legalId="+number, token, "")
		}
		if got := find("19" + c.RegistrationNumber); got.Status != 200 || !strings.Contains(got.Body, `"preferredFirstName":null`) {
			t.Errorf("%d %s", got.Status, got.Body)
		}
		if got := find("191212121212"); got.Status != miss.status || got.Body != "" {
			t.Errorf("a miss: %d %q", got.Status, got.Body)
		}
		if got := v.do(t, "GET", dbnordics.Persons+"/?legalId=1", token, ""); got.Status != 400 {
			t.Errorf("without a country: %d", got.Status)
		}
	}
}
