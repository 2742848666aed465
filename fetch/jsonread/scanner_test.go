package jsonread

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/big"
	"reflect"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"syncer/finance"
)

// tree reads any value through the public methods, so that a comparison with encoding/json covers all of them.
func tree(s *Scanner) any {
	switch s.Peek() {
	case '{':
		m := map[string]any{}
		for o := s.Object(); o.Next(); {
			m[o.Key()] = tree(s)
		}
		return m
	case '[':
		l := []any{}
		for a := s.Array(); a.Next(); {
			l = append(l, tree(s))
		}
		return l
	case '"':
		return s.Text()
	case 't', 'f':
		return s.Bool()
	case '0':
		return json.Number(s.Word())
	}
	if !s.Null() {
		s.Fail("not a value")
	}
	return nil
}

func TestScannerRefuses(t *testing.T) {
	deep := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	for _, in := range []string{
		``, ` `, `{`, `[`, `"`, `"a`, `"a\`, `{"a"`, `{"a":`, `{"a":1`, `{"a":1,`, `[1`, `[1,`, `tru`, `nul`, `-`, `1.`, `1e`, `{"long":1,"cut`,
		`{"a":1}x`, `[1]]`, `[1] 2`, `[,]`, `[1,]`, `{,}`, `{"a":1,}`, `{a:1}`, `{"a" 1}`, `[1 2]`, `{"a":1 "b":2}`, `[}`, `{]`,
		`01`, `-01`, `+1`, `.5`, `1.e3`, `0x1`, `NaN`, `Infinity`, `[1`, `True`,
		"\"\xff\"", "\"\xed\xa0\x80\"", "\"\xc0\x80\"", `"\u0000"`, `"\ud800"`, `"\udc00"`, `"\ud800\u0041"`, `"\ud800x"`, `"\u12g4"`, `"\x"`,
		"\"a\nb\"", "\"\x00\"", `{"a":1,"a":2}`, `{"a":1,"\u0061":2}`, `{"":1,"":2}`,
		deep(65), `"` + strings.Repeat("x", maxString+1) + `"`, strings.Repeat("1", 65), "\ufeff{}",
	} {
		s := Scan([]byte(in))
		tree(s)
		if err := s.End(); err == nil {
			t.Errorf("reading %.40q: accepted", in)
		}
		s = Scan([]byte(in)) // what nobody reads is checked as closely, equal keys apart
		s.Raw()
		if err := s.End(); err == nil && !strings.HasPrefix(in, `{"a":1,"`) && in != `{"":1,"":2}` {
			t.Errorf("skipping %.40q: accepted", in)
		}
	}
	for _, in := range []string{`null`, deep(64), "\"\u00e6\u00f8\u00e5 \U0001f600 \\ud83d\\ude00 \\\"\\\\\\/\\b\\f\\n\\r\\t\"", ` { "a" : [ 1 , -0.50e+3 ] } `} {
		s := Scan([]byte(in))
		got := tree(s)
		if err := s.End(); err != nil {
			t.Errorf("%q: %v", in, err)
		}
		if want, _ := stdlib([]byte(in)); !reflect.DeepEqual(got, want) {
			t.Errorf("%q: got %v, want %v", in, got, want)
		}
	}
}

func TestABrokenRecordCostsOnlyItself(t *testing.T) {
	for name, bad := range map[string]string{
		"invalid UTF-8":  "{\"n\":\"\xff\"}",
		"NUL":            `{"n":"\u0000"}`,
		"lone surrogate": `{"n":"\ud83d"}`,
		"leading zero":   `{"n":"x","a":007}`,
		"equal keys":     `{"n":"x","n":"y"}`,
		"wrong type":     `{"n":{"deep":[1,{"er":"}]"}]}}`,
		"inexact amount": `{"n":"x","a":0.12345678901234567891}`,
		"huge amount":    `{"n":"x","a":1e400}`,
		"too deep":       `{"n":"x","other":` + strings.Repeat("[", 70) + strings.Repeat("]", 70) + `}`,
		"far too deep":   `{"n":"x","other":` + strings.Repeat(`[{"a":`, 100_000) + `0` + strings.Repeat("}]", 100_000) + `}`,
		"a line feed":    "{\"n\":\"Gift for\nKari\"}",
		"one in a key":   "{\"n\":\"x\",\"other\n\":1}",
		"a raw NUL":      "{\"n\":\"a\x00\"}",
		"no record":      `17`,
		"long string":    `{"n":"` + strings.Repeat("x", maxString+1) + `"}`,
		"connector's no": `{"n":"refuse"}`,
	} {
		s := Scan([]byte(`{"items":[{"n":"a"},` + bad + `,{"n":"c","a":1.50}],"n":3}`))
		var names, broken []string
		var n int64
		for o := s.Object(); o.Next(); {
			switch o.Key() {
			case "items":
				for a := s.Array(); a.Next(); {
					name, _ := record(s)
					if why := a.Broken(); why != "" {
						broken = append(broken, fmt.Sprintf("%d", a.Place()))
						continue
					}
					names = append(names, name)
				}
			case "n":
				n, _ = s.Int()
			}
		}
		if err := s.End(); err != nil || !slices.Equal(names, []string{"a", "c"}) || !slices.Equal(broken, []string{"1"}) || n != 3 {
			t.Errorf("%s: read %q, broken at %q, n=%d, error %v", name, names, broken, n, err)
		}
	}
}

func record(s *Scanner) (name string, a finance.Amount) {
	for o := s.Object(); o.Next(); {
		switch o.Key() {
		case "n":
			if name = s.Text(); name == "refuse" {
				s.Fail("refused")
			}
		case "a":
			a = s.Amount()
		}
	}
	return name, a
}

func TestABrokenStructureFailsTheAnswer(t *testing.T) {
	for _, in := range []string{
		`[{"n":"a},{"n":"b"}]`,                  // a quote is missing: where does the record end?
		`[{"n":"a"} {"n":"b"}]`,                 // a comma
		`[{"n":"a","a":007`,                     // cut
		`[{"n":"a","x" 1},{"n":"b"}]`,           // a colon
		"[{\"n\":\"a,\n\"a\":1},{\"n\":\"b\"}]", // a quote is missing, and the string goes on in the next line
	} {
		s := Scan([]byte(in))
		for a := s.Array(); a.Next(); {
			record(s)
			a.Broken()
		}
		if err := s.End(); err == nil {
			t.Errorf("%s: accepted", in)
		}
	}
}

func TestScannerGetters(t *testing.T) {
	s := Scan([]byte(`[null,null,null,null,null,null,null,null,"-58.000",-16.410,12,"12",714,"AB","2026-01-05T00:00:00","2026-11-02T10:11:12.500000001Z",true]`))
	a := s.Array()
	next := func() {
		if !a.Next() {
			t.Fatal(s.Err())
		}
	}
	next()
	if s.Text() != "" {
		t.Error("a null text")
	}
	next()
	if s.Amount().Valid {
		t.Error("a null amount")
	}
	next()
	if _, ok := s.Int(); ok {
		t.Error("a null number")
	}
	next()
	if !s.Date().IsZero() {
		t.Error("a null date")
	}
	next()
	if !s.Time().IsZero() {
		t.Error("a null time")
	}
	next()
	if s.Bool() {
		t.Error("a null boolean")
	}
	next()
	if o := s.Object(); o.Next() {
		t.Error("a null object")
	}
	next()
	if l := s.Array(); l.Next() {
		t.Error("a null array")
	}
	var got []string
	next()
	got = append(got, s.Amount().String())
	next()
	got = append(got, s.Amount().String())
	next()
	n, _ := s.Int()
	got = append(got, fmt.Sprint(n))
	next()
	got = append(got, s.Word())
	next()
	got = append(got, s.Word())
	next()
	got = append(got, s.Word())
	next()
	got = append(got, s.Date().String())
	next()
	got = append(got, s.Time().String())
	next()
	got = append(got, fmt.Sprint(s.Bool()), fmt.Sprint(a.Next()))
	want := []string{"-58", "-16.41", "12", "12", "714", "AB", "2026-01-05", "2026-11-02 10:11:12.500000001 +0000 UTC", "true", "false"}
	if diff := cmp.Diff(want, got); diff != "" || s.End() != nil {
		t.Errorf("%s%v", diff, s.End())
	}
}

func TestExtraIsCanonical(t *testing.T) {
	read := func(in string) string {
		var x Extra
		s := Scan([]byte(in))
		for o := s.Object(); o.Next(); {
			if o.Key() != "known" {
				o.Extra(&x)
			}
		}
		if err := s.End(); err != nil {
			t.Fatal(err)
		}
		return string(x.JSON())
	}
	for in, want := range map[string]string{
		`{"known":1}`: ``, `{"known":1,"a":null}`: ``,
		"{\"z\" : { \"y\": [ 1, \"a b\" ]},\n\"known\":1,\"a\":\"\\u00e5\",\"b\":null}": `{"a":"\u00e5","z":{"y":[1,"a b"]}}`,
	} {
		if got := read(in); got != want {
			t.Errorf("%s: got %s, want %s", in, got, want)
		}
	}
}

func TestErrorsQuoteNothing(t *testing.T) {
	for _, in := range []string{`{"ssn":"14842249091","amount":"14842249091x"}`, `{"14842249091":"x","amount":"x"}`} {
		s := Scan([]byte(in))
		for o := s.Object(); o.Next(); {
			if o.Key() == "amount" {
				s.Amount()
			} else {
				s.Amount()
			}
		}
		if err := s.End(); err == nil || strings.Contains(err.Error(), "1484") {
			t.Errorf("got %v", err)
		}
	}
}

// stdlib is encoding/json's reading, numbers as they stood, and nothing behind the value.
func stdlib(b []byte) (v any, err error) {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	if err = d.Decode(&v); err == nil {
		if _, err := d.Token(); err != io.EOF {
			return nil, fmt.Errorf("trailing")
		}
	}
	return v, err
}

// FuzzScan holds the Scanner against encoding/json: what the Scanner reads encoding/json reads alike, and what the
// Scanner refuses encoding/json refuses too, unless it is one of the things on which the Scanner is stricter.
func FuzzScan(f *testing.F) {
	for _, seed := range []string{`{"a":[1,-2.50e3,"x\u00e5\n",null,true]}`, `{"a":1,"a":2}`, "\"\xff\"", `"\ud83d\ude00"`, `[[]]`, `{"æ":"ø"}`, ` [ 1 , 2 ] `, `01`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		s := Scan(b)
		got := tree(s)
		err := s.End()
		raw := Scan(b)
		raw.Raw()
		if skipErr := raw.End(); err == nil && skipErr != nil {
			t.Fatalf("read, but not skipped: %v", skipErr)
		}
		want, wantErr := stdlib(b)
		switch {
		case err == nil && wantErr != nil:
			t.Fatalf("accepted what encoding/json refuses: %v", wantErr)
		case err == nil && !reflect.DeepEqual(got, want):
			t.Fatalf("got %#v, want %#v", got, want)
		case err != nil && wantErr == nil && !stricter(b, err):
			t.Fatalf("refused what encoding/json reads: %v", err)
		}
	})
}

func stricter(b []byte, err error) bool {
	return !utf8.Valid(b) || bytes.Contains(b, []byte(`\u`)) || strings.Contains(err.Error(), "same key") ||
		strings.Contains(err.Error(), "too") || strings.Contains(err.Error(), "not a number")
}

// FuzzAmount: an amount that is read is the number that was written, to the last digit.
func FuzzAmount(f *testing.F) {
	for _, seed := range []string{"0", "-0.00", "1e2", "123456789012345678", "1234567890123456789", "0.12345678901234567891", "1e-19", "1e-20", "-58.000", "1000000000000000000000000e-10", "9999999999999999999"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, in string) {
		s := Scan([]byte(in))
		a := s.Amount()
		if s.End() != nil || !a.Valid || strings.ContainsAny(in, `"`) || len(in) > 60 {
			return
		}
		got, ok1 := new(big.Rat).SetString(a.String())
		want, ok2 := new(big.Rat).SetString(strings.TrimSpace(in))
		if !ok1 || !ok2 || got.Cmp(want) != 0 {
			t.Fatalf("%q became %s", in, a)
		}
	})
}
