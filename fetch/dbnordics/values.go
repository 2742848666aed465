package dbnordics

import (
	"fmt"
	"regexp"
	"strings"
	"time"

	"syncer/fetch/jsonread"
	"syncer/finance"
)

// money is an amount as the vendor writes it: {"amount":"41250","currency":"SEK"}, and in Norway one level deeper under
// monetaryAmount, or a percentage of a salary instead.
type money struct {
	amount     finance.Amount
	currency   string
	percentage string
}

// readMoney reads an amount in any of its forms; x gets what it has besides. A null and an empty text are no amount.
func readMoney(s *jsonread.Scanner, x *jsonread.Extra) (m money) {
	if s.Peek() != '{' {
		m.amount = decimal(s)
		return m
	}
	for o := s.Object(); o.Next(); {
		switch o.Key() {
		case "amount":
			m.amount = decimal(s)
		case "currency":
			m.currency = currency(s)
		case "monetaryAmount":
			if s.Peek() == '{' {
				percentage := m.percentage
				m = readMoney(s, x)
				m.percentage = percentage
			}
		case "percentage":
			m.percentage = s.Word()
		default:
			o.ExtraUnder(x, "amount.")
		}
	}
	return m
}

// currency reads the three letters of ISO 4217.
func currency(s *jsonread.Scanner) string {
	code := s.Text()
	if code == "" {
		return ""
	}
	if len(code) != 3 || strings.Trim(code, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "" {
		s.Fail("not a currency of three letters")
		return ""
	}
	return code
}

// decimal reads the text of an amount. The vendor's own pattern, \d*(\.\d*)?, allows "", "5." and ".5".
func decimal(s *jsonread.Scanner) finance.Amount {
	text := s.Word()
	whole, fraction, _ := strings.Cut(strings.TrimPrefix(text, "-"), ".")
	switch {
	case text == "", s.Err() != nil:
		return finance.Amount{}
	case !onlyDigits(whole + fraction):
		s.Fail("not an amount")
		return finance.Amount{}
	}
	sign := ""
	if text[0] == '-' {
		sign = "-"
	}
	a, err := finance.ParseAmount(sign + "0" + whole + "." + fraction + "0")
	if err != nil {
		s.Fail("not an exact amount of at most 19 digits")
	}
	return a
}

// moment is a date of the vendor's: as much as is known of it, and the first day that it can mean.
type moment struct {
	text string // 2026-11-03, 2026-11, 2026 or 2026W44
	day  finance.Date
}

// time is the beginning of the day, for columns that hold instants; zero where no day is known.
func (m moment) time() time.Time {
	if m.day.IsZero() {
		return time.Time{}
	}
	return m.day.Time()
}

// readMoment reads {"year":2026,"month":11,"day":3}, whose unknown parts are left out, or a text: a day or a week. A text
// that is neither stays what it is.
func readMoment(s *jsonread.Scanner) (m moment) {
	if s.Peek() == '"' {
		m.text = withhold(s.Text())
		if day, ok := week(m.text); ok {
			m.day = day
		} else if day, err := finance.ParseDate(m.text); err == nil {
			m.day = day
		}
		return m
	}
	part := map[string]int64{}
	for o := s.Object(); o.Next(); {
		switch k := o.Key(); k {
		case "year", "month", "day":
			part[k], _ = s.Int()
		}
	}
	if len(part) == 0 || s.Err() != nil {
		return m
	}
	return dated(s, part["year"], part["month"], part["day"])
}

func dated(s *jsonread.Scanner, year, month, day int64) (m moment) {
	switch {
	case !within(year, 1, 9999), !within(month, 0, 12), !within(day, 0, 31), month == 0 && day != 0:
		s.Fail("not a date")
		return m
	case month == 0:
		m.text = fmt.Sprintf("%04d", year)
		return m
	case day == 0:
		m.text = fmt.Sprintf("%04d-%02d", year, month)
		return m
	}
	m.text = fmt.Sprintf("%04d-%02d-%02d", year, month, day)
	var err error
	if m.day, err = finance.ParseDate(m.text); err != nil {
		s.Fail("not a date")
	}
	return m
}

func within(n, least, most int64) bool { return n >= least && n <= most }

var aWeek = regexp.MustCompile(`^\d{4}W\d{2}$`)

// week reads a week such as 2026W44 and gives its Monday. Weeks are counted as in ISO 8601, the way they are in Sweden: week
// 1 has the year's first Thursday, and only some years have a week 53.
func week(text string) (finance.Date, bool) {
	if !aWeek.MatchString(text) {
		return 0, false
	}
	var year, n int
	if _, err := fmt.Sscanf(text, "%4dW%2d", &year, &n); err != nil || min(year, n) < 1 {
		return 0, false
	}
	fourth := time.Date(year, time.January, 4, 0, 0, 0, 0, time.UTC) // always in week 1
	monday := fourth.AddDate(0, 0, 7*(n-1)-(int(fourth.Weekday())+6)%7)
	if y, w := monday.ISOWeek(); y != year || w != n {
		return 0, false
	}
	return finance.DateOf(monday), true
}
