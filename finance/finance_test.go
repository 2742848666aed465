package finance

import (
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestParseDate(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"2026-01-05", "2026-01-05"},
		{"2026-01-05T00:00:00", "2026-01-05"},
		{"2026-01-05T00:00:00+02:00", "2026-01-05"},
		{"2024-02-29", "2024-02-29"},
		{"", ""},
	} {
		got, err := ParseDate(c.in)
		if err != nil || got.String() != c.want {
			t.Errorf("ParseDate(%q) = %v, %v; want %s", c.in, got, err, c.want)
		}
	}
	for _, in := range []string{"2026-02-29", "2026-13-01", "2026-1-5", "20260105", "2026/01/05", "x", "2026-01-0x", "0000-01-01"} {
		if got, err := ParseDate(in); err == nil {
			t.Errorf("ParseDate(%q) = %v, want an error", in, got)
		}
	}
}

func TestDateAgreesWithTime(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := Date(rapid.Int32Range(1, 3_600_000).Draw(t, "days"))
		if back := DateOf(d.Time()); back != d {
			t.Fatalf("%d became %d by way of %s", d, back, d.Time())
		}
		read, err := ParseDate(d.String())
		if err != nil || read != d {
			t.Fatalf("ParseDate(%s) = %d, %v; want %d", d, read, err, d)
		}
		n := rapid.IntRange(-300, 300).Draw(t, "n")
		if int(d)+n > 0 {
			if want := d.Time().AddDate(0, 0, n); d.AddDays(n).Time() != want {
				t.Fatalf("%s + %d = %s", d, n, d.AddDays(n))
			}
		}
	})
}

func TestAmountIsExact(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"-58.000", "-58"}, {"0.29", "0.29"}, {"8450.25", "8450.25"}, {"-0", "0"}, {"1e2", "100"}, {"1.50", "1.5"},
	} {
		a, err := ParseAmount(c.in)
		if err != nil || a.String() != c.want {
			t.Errorf("ParseAmount(%q) = %s, %v; want %s", c.in, a, err, c.want)
		}
	}
	for _, in := range []string{"", "1e400", "NaN", "12345678901234567890", "0.12345678901234567891", "1,5", "abc"} {
		if a, err := ParseAmount(in); err == nil {
			t.Errorf("ParseAmount(%q) = %s, want an error", in, a)
		}
	}
	if a, err := MinorUnits(1834500, 2); err != nil || a.String() != "18345" {
		t.Errorf("MinorUnits(1834500, 2) = %s, %v", a, err)
	}
}

func TestAmountKeepsItsNumber(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		units := rapid.Int64Range(-1<<53, 1<<53).Draw(t, "units")
		decimals := rapid.IntRange(0, 5).Draw(t, "decimals")
		a, err := MinorUnits(units, decimals)
		if err != nil {
			t.Fatal(err)
		}
		got, ok := new(big.Rat).SetString(a.String())
		want := big.NewRat(units, 1)
		want.Quo(want, new(big.Rat).SetInt(new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(decimals)), nil)))
		if !ok || got.Cmp(want) != 0 {
			t.Fatalf("%d with %d decimals became %s", units, decimals, a)
		}
	})
}

func TestHashSeesEveryColumn(t *testing.T) {
	one := Amount{Valid: true}
	base := Transaction{Status: Booked}
	changes := map[string]func(*Transaction){
		"status":            func(x *Transaction) { x.Status = Pending },
		"booked":            func(x *Transaction) { x.BookedOn = 1 },
		"value":             func(x *Transaction) { x.ValueOn = 1 },
		"amount":            func(x *Transaction) { x.Amount = one },
		"currency":          func(x *Transaction) { x.Currency = "a" },
		"text":              func(x *Transaction) { x.Text = "a" },
		"kind":              func(x *Transaction) { x.Kind = "a" },
		"code":              func(x *Transaction) { x.Code = "a" },
		"account":           func(x *Transaction) { x.CounterpartyAccount = "a" },
		"name":              func(x *Transaction) { x.CounterpartyName = "a" },
		"reference":         func(x *Transaction) { x.Reference = "a" },
		"merchant":          func(x *Transaction) { x.MerchantName = "a" },
		"category":          func(x *Transaction) { x.MerchantCategory = "a" },
		"purchased":         func(x *Transaction) { x.PurchasedOn = 1 },
		"original":          func(x *Transaction) { x.OriginalAmount = one },
		"original currency": func(x *Transaction) { x.OriginalCurrency = "a" },
		"rate":              func(x *Transaction) { x.ExchangeRate = one },
		"extra":             func(x *Transaction) { x.Extra = []byte("{}") },
	}
	var h Hasher
	seen := map[Hash]string{h.Transaction(&base): "base"}
	for name, change := range changes {
		x := base
		change(&x)
		sum := h.Transaction(&x)
		if other, ok := seen[sum]; ok {
			t.Errorf("a change of %s hashes like %s", name, other)
		}
		seen[sum] = name
	}
	x := base
	x.Place = 7
	if h.Transaction(&x) != h.Transaction(&base) {
		t.Error("the place in the answer is not content")
	}
}

func TestHashOfEqualNumbersIsEqual(t *testing.T) {
	var h Hasher
	a, _ := ParseAmount("-58.000")
	b, _ := ParseAmount("-58")
	if h.Balance(&Balance{Amount: a}) != h.Balance(&Balance{Amount: b}) {
		t.Error("-58.000 and -58 are the same amount and must hash alike")
	}
}

func TestDebtHashIgnoresWhenItWasReported(t *testing.T) {
	var h Hasher
	a := Debt{Creditor: "FJORDKREDITT AS"}
	b := a
	b.ReportedAt = time.Unix(1, 0)
	if h.Debt(&a) != h.Debt(&b) {
		t.Error("a new time of report alone must not make a new version")
	}
	b.TermsLeft = 3
	if h.Debt(&a) == h.Debt(&b) {
		t.Error("a new number of terms must make a new version")
	}
}

func TestSubjectIsNeverPrinted(t *testing.T) {
	s := NewSubject([]byte{1}, "29868099311", func(string) []byte { return []byte{1} })
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		if got := fmt.Sprintf(verb, Consent{Subject: s}); strings.Contains(got, "298680") || strings.Contains(got, "323938363830") {
			t.Errorf("%s printed %s", verb, got)
		}
	}
	if plain, ok := s.Reveal(); !ok || plain != "29868099311" {
		t.Error("Reveal must give the number")
	}
	if !s.Is("29868099311") || NewSubject([]byte{2}, "", func(string) []byte { return []byte{1} }).Is("x") {
		t.Error("Is must compare the keyed hashes")
	}
}

func TestCallIDIsCanonical(t *testing.T) {
	id := CallID{0x01, 0x9a, 0xbc, 0xde, 0xf0, 0x12, 0x73, 0x45, 0x86, 0x78, 0x9a, 0xbc, 0xde, 0xf0, 0x12, 0x34}
	if got, want := id.String(), "019abcde-f012-7345-8678-9abcdef01234"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestIsNationalID(t *testing.T) {
	for s, want := range map[string]bool{
		"14842249091": true, "29868099311": true, // published test persons, months moved by 80
		"14842249092": false, "1484224909": false, "14842249o91": false, "": false, "00000000000": false,
	} {
		if got := IsNationalID(s); got != want {
			t.Errorf("IsNationalID(%q) = %v", s, got)
		}
	}
}

func TestIsPersonnummer(t *testing.T) {
	for s, want := range map[string]bool{
		"194609073277": true, "198001072381": true, "194902142696": true, "197702202396": true, "202103172389": true, // published test persons
		"19460907-3277": true, "4609073277": true, "460907-3277": true, "460907+3277": true,
		"194609673274": true, // a coordination number
		"460967-3274":  true,
		"0002290005":   true, // 2000 was a leap year
		"190002290005": false, "0102290004": false,
		"194609073278": false, "194613073271": false, "194609003274": false, "194609323276": false, "174609073277": false,
		"1946090-73277": false, "1946090732-77": false, "19460907 3277": false, "46090732771": false, "": false, "-": false, "-3277": false,
		"46o9073277": false, "000000000000": false, "0000000000": false, "5560360793": false, // a company
		"14842249091": false, "19460907--3277": false, "460907\u00b23277": false,
	} {
		if got := IsPersonnummer(s); got != want {
			t.Errorf("IsPersonnummer(%q) = %v", s, got)
		}
		if digits, ok := FullPersonnummer(s); ok != (want && len(strings.Trim(s, "+-")) >= 12) || ok && (len(digits) != 12 || !strings.HasPrefix(s, digits[:8])) {
			t.Errorf("FullPersonnummer(%q) = %q, %v", s, digits, ok)
		}
	}
}

func TestPersonnummerHasOneCheckDigit(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		day := Date(rapid.Int32Range(int32(NewDate(1900, 1, 1)), int32(NewDate(2026, 1, 1))).Draw(t, "day")).Time()
		number := rapid.IntRange(0, 999).Draw(t, "number")
		plus := rapid.SampledFrom([]int{0, 60}).Draw(t, "plus")
		stem := fmt.Sprintf("%s%02d%03d", day.Format("200601"), day.Day()+plus, number)
		var right []int
		for check := range 10 {
			twelve := fmt.Sprintf("%s%d", stem, check)
			if IsPersonnummer(twelve) != IsPersonnummer(twelve[2:8]+"-"+twelve[8:]) {
				t.Fatalf("%s: with and without a century differ", twelve)
			}
			if IsPersonnummer(twelve) {
				right = append(right, check)
			}
		}
		if len(right) != 1 {
			t.Fatalf("%s has the check digits %v", stem, right)
		}
	})
}

func TestHoldsNationalID(t *testing.T) {
	for text, want := range map[string]bool{
		"for 14842249091, he says":  true,
		"for 148422 49091":          true,
		"for 148422-49091.":         true,
		"since 2026-11-29 20:15:00": false,
		"case 471112 47111":         false,
		"148422":                    false,
	} {
		if got := HoldsNationalID(text); got != want {
			t.Errorf("HoldsNationalID(%q) = %v", text, got)
		}
	}
}
