package dbnordics

import (
	"slices"
	"strings"
	"testing"
)

// ids are the ids of an answer's records, in its order.
func ids(t *testing.T, about company, sections ...string) (out []string) {
	t.Helper()
	page, _, err := decodeDebt([]byte(report(about, sections...)), about, false)
	if err != nil || len(page.Rejects) > 0 {
		t.Fatal(err, page.Rejects)
	}
	for _, d := range page.Records.Debts {
		out = append(out, d.ID)
	}
	return out
}

func TestSwedishIDs(t *testing.T) {
	other := strings.Replace(seRemark, "41250", "20000", 1)
	base := ids(t, swedish, remarks("2", seRemark, other))
	if base[0] == base[1] || !strings.HasPrefix(base[0], "remark:") {
		t.Fatal(base)
	}
	for name, list := range map[string][]string{
		"other order":            {other, seRemark},
		"a neighbour has gone":   {seRemark},
		"another language":       {strings.Replace(seRemark, "UNCLASSIFIED", "Oklassificerad", 1)},
		"keys in another order":  {`{"type":{"code":"OKL"},"creditor":{"name":"Skatteverket"},"date":{"day":17,"month":8,"year":2026},"amount":{"currency":"SEK","amount":"41250"}}`},
		"the amount as a number": {strings.Replace(seRemark, `"41250"`, `41250.00`, 1)},
		"other spaces and case":  {strings.Replace(seRemark, "Skatteverket", " skatteverket ", 1)},
		"a new member":           {strings.Replace(seRemark, `"description"`, `"x":{"y":[1]},"description"`, 1)},
	} {
		if got := ids(t, swedish, remarks("1", list...)); !slices.Contains(got, base[0]) {
			t.Errorf("%s: %v has lost %s", name, got, base[0])
		}
	}
	twins := ids(t, swedish, remarks("2", seRemark, seRemark))
	if twins[0] == twins[1] || twins[0] != base[0] {
		t.Errorf("twins: %v", twins)
	}
	if petition := ids(t, swedish, petitions("1", seRemark)); petition[0] == base[0] || !strings.HasPrefix(petition[0], "petition:") {
		t.Errorf("a petition with a remark's words: %v", petition)
	}
}

func TestIncidentsOutliveTheirStates(t *testing.T) {
	bare := func(s string) string { return strings.Replace(s, `"reference":"R-1"`, `"reference":null`, 1) }
	for name, c := range map[string][2]string{
		"by reference":      {noState, noNewer},
		"without reference": {bare(noState), bare(noNewer)},
	} {
		other := strings.NewReplacer("R-1", "R-2", `"5000"`, `"800"`).Replace(c[0])
		first := ids(t, norwegian, groups(group(c[0]), group(other)))
		second := ids(t, norwegian, groups(group(other), group(c[1], c[0])))
		if first[0] == first[1] || first[0] != second[1] || first[1] != second[0] {
			t.Errorf("%s: %v, then %v", name, first, second)
		}
	}
	twins := ids(t, norwegian, groups(group(noState), group(noState)))
	if twins[0] == twins[1] {
		t.Error("two incidents have one id")
	}
	later := strings.Replace(noState, `"day":4`, `"day":5`, 1)
	if a, b := ids(t, norwegian, groups(group(noState), group(later))), ids(t, norwegian, groups(group(later), group(noState))); a[0] != b[1] || a[1] != b[0] {
		t.Errorf("two incidents of one reference change places: %v, then %v", a, b)
	}
	pledges := func(list ...string) []string {
		return ids(t, norwegian, `"paymentRemarks":{"voluntaryRegistrations":[`+strings.Join(list, ",")+`]}`)
	}
	raised := strings.Replace(noPledge, `"250000"`, `"300000"`, 1)
	if a, b := pledges(noPledge), pledges(raised); a[0] != b[0] {
		t.Error("a registration with a diary number moved with its amount")
	}
}

func TestUnknownTypesAreKeptAsTheProvidersWords(t *testing.T) {
	for text, want := range map[string]string{
		`{"code":"XQ9"}`: "payment_remark/XQ9", `"SIMULATED_NEW_TYPE"`: "payment_remark/SIMULATED_NEW_TYPE", `null`: "payment_remark",
		`{"code":17,"v":2}`: "payment_remark/17", `{"code":"ÅF"}`: "payment_remark/ÅF", `{}`: "payment_remark",
	} {
		one := decodeOne(t, report(swedish, remarks("1", strings.Replace(seRemark, `{"code":"OKL"}`, text, 1))))
		if one.Kind != want {
			t.Errorf("%s is %q", text, one.Kind)
		}
	}
}

func TestNumbersOfPersonsStandNowhere(t *testing.T) {
	hostile := strings.NewReplacer("Skatteverket", "Sim "+trader[:6]+"-"+trader[6:], "UNCLASSIFIED", "re "+trader, `"OKL"`, `"`+trader+`"`).Replace(seRemark)
	hostile = strings.Replace(hostile, `"description"`, `"reference":"`+trader+`","source":"`+trader+`","debtor":{"id":`+trader+`},"description"`, 1)
	sole := company{country: "se", number: "19" + trader, person: true}
	answer := company{number: trader}
	page, _, err := decodeDebt([]byte(report(answer, remarks("1", hostile), strings.Replace(seRating, "Credit against security", trader, 1))), sole, false)
	if err != nil || len(page.Records.Debts) != 2 || page.Whole == nil {
		t.Fatal(err, page.Rejects)
	}
	for _, d := range page.Records.Debts {
		text := d.ID + d.Creditor + d.Kind + string(d.Extra)
		if strings.Contains(text, trader) || strings.Contains(text, trader[6:]) {
			t.Errorf("a number stands in %+v %s", d, d.Extra)
		}
	}
	if d := page.Records.Debts[0]; d.Creditor != "Sim [number]" || d.Kind != "payment_remark/[number]" {
		t.Errorf("%+v", d)
	}
	// An id must not be a hash of a number either: another number gives the same id.
	again, _, err := decodeDebt([]byte(report(answer, remarks("1", strings.NewReplacer(trader, "8502019709", trader[:6]+"-"+trader[6:], "850201-9709").Replace(hostile)))), sole, false)
	if err != nil || again.Records.Debts[0].ID != page.Records.Debts[0].ID {
		t.Errorf("the id depends on a personal identity number: %v", err)
	}
}
