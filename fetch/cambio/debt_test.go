package cambio

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"syncer/finance"
)

const patientID = "0b5c1d2e-7a44-4a6a-a1d1-3c3f0f0b7a10"

func amount(s string) finance.Amount {
	a, err := finance.ParseAmount(s)
	if err != nil {
		panic(err)
	}
	return a
}

// bill is an invoice with one member after the other replaced, or left out for an empty value.
func bill(changes ...string) string {
	members := [][2]string{
		{"resourceType", `"Invoice"`}, {"id", `"a1"`}, {"meta", `{"versionId":"3","lastUpdated":"2026-11-03T10:00:00+01:00"}`},
		{"identifier", `[{"system":"urn:oid:1.2","value":"F2026-1"}]`}, {"status", `"issued"`}, {"type", `{"text":"Patientavgift"}`},
		{"subject", `{"reference":"Patient/` + patientID + `","display":"Rikard Simlund","identifier":{"value":"19460907-3277"}}`},
		{"date", `"2026-11-01"`}, {"issuer", `{"reference":"Organization/1","display":"Region Simland"}`},
		{"lineItem", `[{"chargeItemCodeableConcept":{"text":"secret care"}}]`},
		{"totalGross", `{"value":300.50,"currency":"SEK"}`}, {"paymentTerms", `"30 dagar"`},
	}
	for i := 0; i < len(changes); i += 2 {
		found := false
		for n := range members {
			if members[n][0] == changes[i] {
				members[n][1], found = changes[i+1], true
			}
		}
		if !found {
			members = append(members, [2]string{changes[i], changes[i+1]})
		}
	}
	var parts []string
	for _, m := range members {
		if m[1] != "" {
			parts = append(parts, `"`+m[0]+`":`+m[1])
		}
	}
	return "{" + strings.Join(parts, ",") + "}"
}

func bundleOf(resources ...string) string {
	var entries []string
	for _, r := range resources {
		entries = append(entries, `{"fullUrl":"x","resource":`+r+`,"search":{"mode":"match"}}`)
	}
	return `{"resourceType":"Bundle","type":"searchset","total":` + string(rune('0'+len(resources))) + `,"link":[{"relation":"self","url":"s"}],"entry":[` + strings.Join(entries, ",") + `]}`
}

func TestAnInvoiceIsReadWhole(t *testing.T) {
	b, err := decodeInvoices([]byte(bundleOf(bill("dueDays", `{"a": [1]}`))), patientID, person)
	if err != nil {
		t.Fatal(err)
	}
	want := []finance.Debt{{
		ID: "invoice-a1", Creditor: "Region Simland", Kind: "invoice", Currency: "SEK", Balance: amount("300.5"), TermsLeft: -1, CoBorrower: -1,
		ReportedAt: time.Date(2026, 11, 3, 9, 0, 0, 0, time.UTC),
		Extra:      []byte(`{"date":"2026-11-01","dueDays":{"a":[1]},"identifier":"F2026-1","paymentTerms":"30 dagar","type":{"text":"Patientavgift"}}`),
	}}
	if diff := cmp.Diff(want, b.debts, cmp.Comparer(finance.Amount.Equal)); diff != "" {
		t.Error(diff)
	}
	if b.entries != 1 || b.total != 1 || !b.counted || b.next != "" || len(b.rejects)+len(b.notes) > 0 {
		t.Errorf("%+v", b)
	}
}

func TestWhatIsOwed(t *testing.T) {
	for name, c := range map[string]struct {
		resource string
		balance  string // empty: nothing is owed
		reject   string
	}{
		"issued":                {bill(), "300.5", ""},
		"paid":                  {bill("status", `"balanced"`), "", ""},
		"a draft":               {bill("status", `"draft"`), "", ""},
		"cancelled":             {bill("status", `"cancelled"`), "", ""},
		"a mistake":             {bill("status", `"entered-in-error"`), "", ""},
		"a state of tomorrow":   {bill("status", `"paused"`), "", "state"},
		"no state":              {bill("status", ""), "", "state"},
		"a credit note":         {bill("totalGross", `{"value":-20}`), "", ""},
		"nothing to pay":        {bill("totalGross", `{"value":0.00}`), "", ""},
		"only net":              {bill("totalGross", `null`, "totalNet", `{"value":7}`), "7", ""},
		"money as a text":       {bill("totalGross", `{"value":"300.50","currency":"SEK"}`), "300.5", ""},
		"no total":              {bill("totalGross", ""), "", "total"},
		"a value that is null":  {bill("totalGross", `{"value":null}`), "", "total"},
		"not money":             {bill("totalGross", `{"value":"three"}`), "", "amount"},
		"too exact":             {bill("totalGross", `{"value":1e400}`), "", "exact"},
		"no id":                 {bill("id", ""), "", "id"},
		"an id with a slash":    {bill("id", `"a/b"`), "", "id"},
		"an id that is a man":   {bill("id", `"`+person+`"`), "", "id"},
		"turned round":          {bill("modifierExtension", `[{"url":"x"}]`), "", "modifierExtension"},
		"nothing turned round":  {bill("modifierExtension", `null`), "300.5", ""},
		"nulls where there may": {bill("issuer", `null`, "identifier", `null`, "type", `null`, "meta", `null`, "date", `null`, "subject", `null`), "300.5", ""},
		"two equal keys":        {`{"resourceType":"Invoice","id":"a","id":"b"}`, "", "twice"},
		"another resource":      {`{"resourceType":"Encounter","id":"a"}`, "", "no invoice"},
		"a NUL":                 {bill("paymentTerms", `"\u0000"`), "", "not a character"},
	} {
		b, err := decodeInvoices([]byte(bundleOf(c.resource)), patientID, person)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		got, reject := "", ""
		if len(b.debts) == 1 {
			got = b.debts[0].Balance.String()
		}
		if len(b.rejects) == 1 {
			reject = b.rejects[0].Reason
		}
		if got != c.balance || (reject == "") != (c.reject == "") || !strings.Contains(reject, c.reject) || b.entries != 1 {
			t.Errorf("%s: balance %q, refused for %q, %d entries", name, got, reject, b.entries)
		}
	}
}

// The order of keys means nothing, and what is not an invoice says something or nothing.
func TestEntriesBesideInvoices(t *testing.T) {
	warning := `{"search":{"mode":"outcome"},"resource":` + strings.Replace(outcomeOf("incomplete", "not all of "+person, ""), "error", "warning", 1) + `}`
	hint := `{"resource":` + strings.Replace(outcomeOf("informational", "slow", ""), "error", "information", 1) + `,"search":{"mode":"outcome"}}`
	included := `{"search":{"mode":"include"},"resource":{"resourceType":"Organization","id":"1","name":"x"}}`
	backwards := `{"search":{"mode":"match"},"resource":{"totalGross":{"currency":"EUR","value":1},"status":"issued","id":"z","resourceType":"Invoice"}}`
	body := `{"entry":[` + strings.Join([]string{warning, hint, included, backwards, backwards}, ",") + `],"link":[{"url":"n","relation":"next"},{"url":"s","relation":"self"}],"resourceType":"Bundle"}`
	b, err := decodeInvoices([]byte(body), patientID, person)
	if err != nil {
		t.Fatal(err)
	}
	if len(b.debts) != 2 || b.debts[0].ID != "invoice-z" || b.debts[0].Currency != "EUR" || b.debts[0].Place != 3 || b.next != "n" || b.counted {
		t.Errorf("%+v", b)
	}
	if diff := cmp.Diff([]string{"incomplete: not all of [number]"}, b.notes); diff != "" {
		t.Error(diff)
	}
}

func TestExtraTellsNobody(t *testing.T) {
	b, err := decodeInvoices([]byte(bundleOf(bill("reference", `"paid by 460907-3277"`, "note", `[{"text":"x"}]`, "recipient", `{"display":"y"}`))), patientID, person)
	if err != nil || len(b.debts) != 1 || !strings.Contains(string(b.debts[0].Extra), `"paid by [number]"`) {
		t.Fatalf("%+v, %v", b, err)
	}
	for _, word := range []string{"3277", "Simlund", "secret care", `"note"`, `"recipient"`} {
		if strings.Contains(string(b.debts[0].Extra), word) {
			t.Errorf("%s stands in %s", word, b.debts[0].Extra)
		}
	}
	b, err = decodeInvoices([]byte(bundleOf(bill("reference", person))), patientID, person) // a number, not a text
	if err != nil || len(b.debts) != 1 || b.debts[0].Extra != nil {
		t.Errorf("%+v, %v", b, err)
	}
}

func TestAnInvoiceOfAnotherPatientRefusesThePage(t *testing.T) {
	for subject, foreign := range map[string]bool{
		`{"reference":"Patient/` + patientID + `"}`:                                        false,
		`{"reference":"https://gw.test/fhir/Patient/` + patientID + `"}`:                   false,
		`{"reference":"Patient/` + patientID + `/_history/2"}`:                             false,
		`{"reference":"Group/7"}`:                                                          false,
		`{"identifier":{"value":"` + person + `"}}`:                                        false,
		`{"identifier":{"value":"460907-3277"}}`:                                           false,
		`{"identifier":{"value":"reserve 17"}}`:                                            false,
		`{}`:                                                                               false,
		`{"reference":"Patient/other"}`:                                                    true,
		`{"reference":"https://gw.test/fhir/Patient/other/_history/1"}`:                    true,
		`{"identifier":{"value":"198001072381"}}`:                                          true,
		`{"reference":"Patient/` + patientID + `","identifier":{"value":"19800107-2381"}}`: true,
	} {
		for _, state := range []string{`"issued"`, `"balanced"`} {
			b, err := decodeInvoices([]byte(bundleOf(bill("subject", subject, "status", state))), patientID, person)
			if (err != nil) != foreign || foreign && (b != nil || strings.Contains(err.Error(), "8001")) {
				t.Errorf("%s, %s: %v", subject, state, err)
			}
		}
	}
}

func TestWhatIsNoBundle(t *testing.T) {
	for name, body := range map[string]string{
		"another resource": `{"resourceType":"Patient"}`, "nothing": `{}`, "a list": `[]`, "cut": bundleOf(bill())[:200],
		"more behind": bundleOf(bill()) + "{}", "entries that are none": `{"resourceType":"Bundle","entry":{}}`,
	} {
		if b, err := decodeInvoices([]byte(body), patientID, person); err == nil {
			t.Errorf("%s: %+v", name, b)
		}
		if id, err := decodePatient([]byte(body), person); err == nil {
			t.Errorf("%s: patient %q", name, id)
		}
	}
	if b, err := decodeInvoices([]byte(`{"resourceType":"Bundle","total":0}`), patientID, person); err != nil || b.entries != 0 {
		t.Errorf("an empty bundle: %v", err)
	}
}

func TestThePatient(t *testing.T) {
	man := func(id, number string) string {
		return `{"name":[{"family":"Simlund"}],"identifier":[{"system":"x","value":"reserve"},{"value":"` + number + `"}],"id":"` + id + `","resourceType":"Patient"}`
	}
	for name, c := range map[string]struct{ body, id, err string }{
		"one":              {bundleOf(man("p1", person)), "p1", ""},
		"with a hyphen":    {bundleOf(man("p1", "19460907-3277")), "p1", ""},
		"ten digits":       {bundleOf(man("p1", "460907-3277")), "p1", ""},
		"nobody":           {bundleOf(), "", ""},
		"somebody else":    {bundleOf(man("p1", "198001072381")), "", "wrong subject"},
		"one too many":     {bundleOf(man("p1", person), man("p2", person)), "", "more than one"},
		"also another":     {bundleOf(man("p1", person), man("p2", "198001072381")), "", "wrong subject"},
		"without a number": {bundleOf(`{"resourceType":"Patient","id":"p1"}`), "", "wrong subject"},
		"without an id":    {bundleOf(man("", person)), "", "no id"},
		"with a bad id":    {bundleOf(man("../x", person)), "", "no id"},
		"id is the number": {bundleOf(man(person, person)), "", "personnummer"},
		"and an outcome":   {bundleOf(man("p1", person), outcomeOf("informational", "", "")), "p1", ""},
	} {
		id, err := decodePatient([]byte(c.body), person)
		if id != c.id || (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%s: %q, %v", name, id, err)
		}
		if err != nil && (strings.Contains(err.Error(), "3277") || strings.Contains(err.Error(), "Simlund")) {
			t.Errorf("%s: the error tells who: %v", name, err)
		}
	}
}

// seen is a care contact with a fee.
func seen(fee string, change ...string) string {
	text := `{"contactEHRExtract":[{"ehrId":{"root":"1.2","extension":"SE9-Sim_U:EhrId:` + person + `"},"timeCreated":{"value":"20261103091500"},
		"contact":{"rcId":{"root":"1.2","extension":"SE9-Sim_U:RcId:Contact:77"},"contactInternalID":"7001","contactTypeOfVisit":"Psykiatri","contactActive":true,
		"contactStatus":"Avslutad","contactBeginDateTime":{"value":"20260701080000"},"contactEndDateTime":null,"contactPatientFee":` + fee + `,"discharge":null},
		"patient":{"patientID":{"root":"1.2.752.129.2.1.3.1","extension":"` + person + `"}},
		"contactPerformingUnit":{"unitName":"Psykiatrimottagningen"},
		"contactResponsibleUnit":{"unitName":"Kliniken"},
		"contactHeadCareProviderUnit":{"unitID":{"extension":"SE9999"},"unitName":"Region Simland"}}]}`
	return strings.NewReplacer(change...).Replace(text)
}

func TestAVisitIsReadWithItsFeeAndNoMore(t *testing.T) {
	page, err := decodeVisits([]byte("["+seen(`"250,50"`)+"]"), person, swedishTime())
	if err != nil {
		t.Fatal(err)
	}
	want := []finance.Debt{{
		ID: "visit-7001", Creditor: "Region Simland", Kind: "visit_fee", Currency: "SEK", OriginalBalance: amount("250.5"), TermsLeft: -1, CoBorrower: -1,
		ReportedAt: time.Date(2026, 11, 3, 8, 15, 0, 0, time.UTC), Extra: []byte(`{"contactBeginDateTime":"20260701080000","contactStatus":"Avslutad"}`),
	}}
	if diff := cmp.Diff(want, page.Records.Debts, cmp.Comparer(finance.Amount.Equal)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(&finance.Whole{Prefix: "visit-"}, page.Whole); diff != "" || !page.Done {
		t.Error(diff)
	}
}

func TestVisits(t *testing.T) {
	for name, c := range map[string]struct {
		element string
		fee     string // empty: no debt
		reject  string
	}{
		"kronor":              {seen(`"200"`), "200", ""},
		"kronor and öre":      {seen(`"200.00"`), "200", ""},
		"a number":            {seen(`200.5`), "200.5", ""},
		"blanks":              {seen(`" 200 "`), "200", ""},
		"free":                {seen(`"0"`), "", ""},
		"free, in öre":        {seen(`"0.00"`), "", ""},
		"empty":               {seen(`""`), "", ""},
		"null":                {seen(`null`), "", ""},
		"paid back":           {seen(`"-100"`), "", ""},
		"a word":              {seen(`"gratis"`), "", "not a fee"},
		"thousands":           {seen(`"1,200"`), "", "not a fee"},
		"not active":          {seen(`"200"`, `"contactActive":true`, `"contactActive":false`), "", ""},
		"active is null":      {seen(`"200"`, `"contactActive":true`, `"contactActive":null`), "200", ""},
		"only a record id":    {seen(`"200"`, `"contactInternalID":"7001",`, ``), "200", ""},
		"an id as a number":   {seen(`"200"`, `"7001"`, `7001`), "200", ""},
		"no id":               {seen(`"200"`, `"contactInternalID":"7001"`, `"x":1`, `"SE9-Sim_U:RcId:Contact:77"`, `null`), "", "id"},
		"an id that is a man": {seen(`"200"`, `"7001"`, `"`+person+`"`), "", "id"},
		"not a moment":        {seen(`"200"`, `20261103091500`, `2026-11-03`), "", "moment"},
		"no such moment":      {seen(`"200"`, `20260701080000`, `20260732080000`), "", "moment"},
		"a day":               {seen(`"200"`, `20260701080000`, `20260701`), "200", ""},
		"a moment is null":    {seen(`"200"`, `{"value":"20261103091500"}`, `null`), "200", ""},
		"capital letters":     {seen(`"200"`, `contactEHRExtract`, `ContactEHRExtract`, `"contact":`, `"Contact":`, `contactPatientFee`, `ContactPatientFee`), "200", ""},
		"nothing known":       {`{"JournalNoteEHRExtract":[]}`, "", "contactEHRExtract"},
		"no records":          {`{"contactEHRExtract":[]}`, "", ""},
		"unknown members":     {seen(`"200"`, `"discharge":null`, `"drifted":{"a":[1]}`), "200", ""},
	} {
		page, err := decodeVisits([]byte("["+c.element+"]"), person, time.UTC)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		fee, reject := "", ""
		for _, d := range page.Records.Debts {
			fee = d.OriginalBalance.String()
		}
		for _, r := range page.Rejects {
			reject = r.Reason
		}
		if fee != c.fee || (reject == "") != (c.reject == "") || !strings.Contains(reject, c.reject) || (page.Whole == nil) != (reject != "") {
			t.Errorf("%s: fee %q, refused for %q, whole %v", name, fee, reject, page.Whole)
		}
	}
}

// Midnight of the first day of year 1 lies in the year before in UTC.
func TestAMomentThatIsNone(t *testing.T) {
	page, err := decodeVisits([]byte("["+seen(`"200"`, "20261103091500", "00010101000000")+"]"), person, swedishTime())
	if err != nil || len(page.Records.Debts) != 1 || !page.Records.Debts[0].ReportedAt.IsZero() {
		t.Errorf("%+v, %v", page, err)
	}
}

// One visit is one debt, however often it is listed.
func TestVisitsAreListedOnce(t *testing.T) {
	page, err := decodeVisits([]byte("["+seen(`"200"`)+","+seen(`"100"`, "7001", "7002")+","+seen(`"200"`)+"]"), person, time.UTC)
	if err != nil || len(page.Records.Debts) != 2 || page.Records.Debts[1].Place != 1 {
		t.Errorf("%+v, %v", page, err)
	}
}

func TestTheCreditorIsTheCareProvider(t *testing.T) {
	for want, change := range map[string][]string{
		"Region Simland": nil,
		"SE9999":         {`"unitName":"Region Simland"`, `"unitName":null`},
		"Kliniken":       {`"contactHeadCareProviderUnit"`, `"other"`},
		"":               {`"contactHeadCareProviderUnit"`, `"other"`, `"contactResponsibleUnit"`, `"another"`},
	} {
		page, err := decodeVisits([]byte("["+seen(`"200"`, change...)+"]"), person, time.UTC)
		if err != nil || len(page.Records.Debts) != 1 || page.Records.Debts[0].Creditor != want {
			t.Errorf("want %q: %+v, %v", want, page.Records.Debts, err)
		}
	}
}

func TestVisitsOfAnotherPatientAreRefused(t *testing.T) {
	for name, change := range map[string][]string{
		"the record's": {"EhrId:" + person, "EhrId:198001072381"},
		"the patient":  {`extension":"` + person, `extension":"198001072381`},
		"both":         {person, "198001072381"},
	} {
		page, err := decodeVisits([]byte("["+seen(`"200"`)+","+seen(`"0"`, change...)+"]"), person, time.UTC)
		if err == nil || page.Records.Len() > 0 || strings.Contains(err.Error(), "8001") {
			t.Errorf("%s: %+v, %v", name, page.Records, err)
		}
	}
	if _, err := decodeVisits([]byte("["+seen(`"200"`, person, "reserve-17")+"]"), person, time.UTC); err != nil {
		t.Errorf("a reserve number proves nothing: %v", err)
	}
}

func TestCursors(t *testing.T) {
	good := []cursor{
		{}, {At: atVisits}, {At: atInvoices, Patient: patientID}, {At: atInvoices, Patient: "p", Again: 2},
		{At: atInvoices, Patient: "p", Link: "https://x/fhir?a=b", Seen: 40, Holes: true, Earlier: []string{"invoice-a"}},
	}
	for _, c := range good {
		text := c.String()
		if c.At == "" {
			text = ""
		}
		c.V = 1
		got, err := readCursor(text)
		if diff := cmp.Diff(c, got); err != nil || diff != "" {
			t.Errorf("%s: %v %s", text, err, diff)
		}
	}
	for _, text := range []string{
		"x", "{}", "null", `{"v":2,"at":"visits"}`, `{"v":1}`, `{"v":1,"at":"moon"}`, `{"v":1,"at":"invoices"}`, `{"v":1,"at":"visits","link":"x"}`,
		`{"v":1,"at":"invoices","patient":"a/b"}`, `{"v":1,"at":"invoices","patient":"p","again":-1}`, `{"v":1,"at":"visits"}x`,
		`{"v":1,"at":"invoices","patient":"p","seen":3}`, `{"v":1,"at":"visits","more":1}`,
	} {
		if c, err := readCursor(text); err == nil {
			t.Errorf("%s was read as %+v", text, c)
		}
	}
}
