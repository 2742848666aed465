package rest

import (
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"syncer/fetch/jsonread"
	"syncer/finance"
)

// Values are kept as the JSON text that stood in the answer and read by jsonread.Scanner, so that an amount is made of the
// digits the provider wrote.

var (
	errNoText   = errors.New("not a text")
	errNoCount  = errors.New("not a count")
	errNoDay    = errors.New("not a day of the described format")
	errNoTime   = errors.New("not an instant of the described format")
	errNoFlag   = errors.New("neither yes nor no")
	errNoMinor  = errors.New("not a whole number of minor units")
	errNoAmount = errors.New("not an exact amount of at most 19 digits")
	errComma    = errors.New("not an amount as JSON writes it, and there is a comma in it: describe it with decimal")
)

// textOf is a string without its quotes, or the digits of a number, or true or false; nothing for nothing.
func textOf(raw string) (string, error) {
	switch {
	case raw == "":
		return "", nil
	case raw[0] == '{' || raw[0] == '[':
		return "", errNoText
	case raw[0] != '"':
		return raw, nil
	case !strings.Contains(raw, `\`):
		return raw[1 : len(raw)-1], nil
	}
	s := jsonread.Scan([]byte(raw))
	text := s.Text()
	return text, s.End()
}

// quote is a text as JSON.
func quote(text string) string {
	b, err := json.Marshal(text)
	if err != nil {
		return `""` // can't be: every string has a JSON form
	}
	return string(b)
}

func amountOf(raw string) (finance.Amount, error) {
	s := jsonread.Scan([]byte(raw))
	a := s.Amount()
	switch {
	case s.End() == nil && a.Valid:
		return a, nil
	case isText(raw) && strings.Contains(raw, ","):
		return finance.Amount{}, errComma
	}
	return finance.Amount{}, errNoAmount
}

// isText says whether a value is a JSON string.
func isText(raw string) bool { return strings.HasPrefix(raw, `"`) }

// writtenAmount reads an amount as people write it: with a comma or a point before its decimals, and
// perhaps with something between its thousands.
func writtenAmount(raw, decimal string) (finance.Amount, error) {
	text, err := textOf(raw)
	if err != nil {
		return finance.Amount{}, errNoAmount
	}
	mark := "."
	if isComma(decimal) {
		mark = ","
	}
	a, ok := jsonread.WrittenAmount(text, mark)
	if !ok {
		return finance.Amount{}, errNoAmount
	}
	return a, nil
}

func onlyDigits(text string) bool {
	return text != "" && strings.Trim(text, "0123456789") == ""
}

func minorOf(raw string, decimals int) (finance.Amount, error) {
	n, err := wholeOf(raw)
	if err != nil {
		return finance.Amount{}, errNoMinor
	}
	a, err := finance.MinorUnits(n, decimals)
	if err != nil {
		return finance.Amount{}, errNoMinor
	}
	return a, nil
}

// wholeOf reads a whole number, or the text of one.
func wholeOf(raw string) (int64, error) {
	text, err := textOf(raw)
	if err != nil {
		return 0, errNoCount
	}
	whole, fraction, _ := strings.Cut(text, ".")
	if strings.Trim(fraction, "0") == "" {
		text = whole // 3.0 is how some serializers write 3
	}
	if isText(raw) {
		text = jsonread.WithoutPlus(text)
	}
	s := jsonread.Scan([]byte(text))
	n, ok := s.Int()
	if s.End() != nil || !ok {
		return 0, errNoCount
	}
	return n, nil
}

// zoneOf is the calendar of a description, UTC where it names none. The machine's own would make of one answer two days
// on two machines.
func zoneOf(name string) (*time.Location, error) {
	if name == "Local" {
		return nil, errors.New("the machine's own time zone is not one to rely on")
	}
	return time.LoadLocation(name)
}

// clock reads days and instants of one format.
type clock struct {
	format  string   // as in the description
	layouts []string // of a pattern, as Go writes it: the first that fits counts
	zone    *time.Location
}

// Formats that are words.
const (
	rfc3339 = "rfc3339"
	unix    = "unix"
	unixMS  = "unix_ms"
)

// newClock checks a format. A pattern may hold the six tokens, the offset and what separates them.
func newClock(format string, zone *time.Location) (clock, error) {
	c := clock{format: format, zone: zone}
	if slices.Contains([]string{"", rfc3339, unix, unixMS}, format) {
		return c, nil
	}
	if !isPattern(format) {
		return c, errors.New("a format is rfc3339, unix, unix_ms, or a pattern with YYYY, MM, DD and, for instants, hh, mm, ss " +
			"and Z for an offset")
	}
	offsets := []string{"Z07:00", "Z0700", "Z07"}
	if !strings.Contains(format, "Z") {
		offsets = offsets[:1] // there is none to replace
	}
	for _, offset := range offsets {
		tokens := strings.NewReplacer("YYYY", "2006", "MM", "01", "DD", "02", "hh", "15", "mm", "04", "ss", "05", "Z", offset)
		c.layouts = append(c.layouts, tokens.Replace(format))
	}
	return c, nil
}

// isPattern says that a format names a day, and holds nothing but tokens and what separates them.
func isPattern(format string) bool {
	for _, token := range []string{"YYYY", "MM", "DD"} {
		if !strings.Contains(format, token) {
			return false
		}
	}
	left := strings.NewReplacer("YYYY", "", "MM", "", "DD", "", "hh", "", "mm", "", "ss", "").Replace(format)
	left = strings.Replace(left, "Z", "", 1)
	return strings.Trim(left, "-./: T") == ""
}

// byPattern reads an instant of a pattern, in the API's calendar where the text tells no offset.
func (c clock) byPattern(text string) (at time.Time, err error) {
	for _, layout := range c.layouts {
		at, err = time.ParseInLocation(layout, text, c.zone)
		if err == nil {
			return at, nil
		}
	}
	return time.Time{}, errNoTime
}

// day reads a day. Without a format the first ten characters count, whatever time follows: a day is not an instant.
func (c clock) day(raw string) (finance.Date, error) {
	text, err := textOf(raw)
	if err != nil {
		return 0, errNoDay
	}
	if c.format == "" {
		d, err := finance.ParseDate(text)
		if err != nil {
			return 0, errNoDay
		}
		return d, nil
	}
	if text == "" {
		return 0, nil
	}
	at, err := c.written(raw)
	at = at.In(c.zone)
	if err != nil || at.Year() > 9999 {
		return 0, errNoDay
	}
	if at.Year() < 1 {
		return 0, nil // nothing is told, as by 0001-01-01 itself
	}
	return finance.DateOf(at), nil
}

// order reads what orders versions: a whole number, an instant or a day. What can't be read tells nothing.
func (c clock) order(raw string) finance.Version {
	if c.format == "" {
		return c.anyOrder(raw)
	}
	at, err := c.written(raw)
	if err != nil {
		return finance.Version{}
	}
	return versionAt(at)
}

// anyOrder reads what orders versions where no format is described.
func (c clock) anyOrder(raw string) finance.Version {
	if n, err := wholeOf(raw); err == nil {
		return finance.VersionNumber(n)
	}
	text, err := textOf(raw)
	if err != nil {
		return finance.Version{}
	}
	if at, err := sinceEpoch(text, unix); err == nil && at.Unix() >= earliestEpoch {
		return finance.VersionAt(at)
	}
	if at, err := jsonread.ParseInstantIn(text, c.zone); err == nil {
		return versionAt(at)
	}
	day, err := c.day(raw)
	if err != nil || day.IsZero() {
		return finance.Version{}
	}
	return finance.VersionAt(day.StartIn(c.zone))
}

// earliestEpoch parts seconds with decimals from numbers such as 1.10, of which nobody can tell whether 1.9
// is the older.
const earliestEpoch = 1_000_000_000

// versionAt is a version told by an instant. The first day of year 1, as it is written, tells nothing.
func versionAt(at time.Time) finance.Version {
	if finance.DateOf(at).IsZero() {
		return finance.Version{}
	}
	return finance.VersionAt(at)
}

// instant reads an instant in UTC. The zero time: nothing is told.
func (c clock) instant(raw string) (time.Time, error) {
	at, err := c.written(raw)
	if err != nil {
		return time.Time{}, err
	}
	return jsonread.InUTC(at), nil
}

// written reads an instant in the zone that it is told in, where its year is one of 1 to 9999. In another
// zone it may not be.
func (c clock) written(raw string) (time.Time, error) {
	text, err := textOf(raw)
	if err != nil {
		return time.Time{}, errNoTime
	}
	if text == "" {
		return time.Time{}, nil
	}
	var at time.Time
	switch c.format {
	case "", rfc3339:
		at, err = jsonread.ParseInstant(text)
	case unix, unixMS:
		at, err = sinceEpoch(text, c.format)
	default:
		at, err = c.byPattern(text)
	}
	if err != nil || !jsonread.Speakable(at) {
		return time.Time{}, errNoTime
	}
	return at, nil
}

// sinceEpoch reads seconds or milliseconds since 1970, with decimals and an exponent or without.
func sinceEpoch(text, format string) (time.Time, error) {
	text, ok := withoutExponent(text)
	if !ok {
		return time.Time{}, errNoTime
	}
	whole, fraction, ok := parts(text)
	if !ok {
		return time.Time{}, errNoTime
	}
	n, err := strconv.ParseInt(whole, 10, 64)
	if err != nil {
		return time.Time{}, errNoTime
	}
	const farthest = 1 << 53
	if n > farthest || n < -farthest {
		return time.Time{}, errNoTime
	}
	unit := time.Second
	if format == unixMS {
		unit = time.Millisecond
	}
	part := time.Duration(0)
	for _, digit := range []byte(fraction) { // down to the nanosecond
		unit /= 10
		part += time.Duration(digit-'0') * unit
	}
	if strings.HasPrefix(whole, "-") {
		part = -part
	}
	if format == unixMS {
		return time.UnixMilli(n).Add(part).UTC(), nil
	}
	return time.Unix(n, 0).Add(part).UTC(), nil
}

// parts are what stands before the point of a number, and behind it. A point has digits behind it.
func parts(number string) (whole, fraction string, ok bool) {
	whole, fraction, broken := strings.Cut(number, ".")
	if !broken {
		return whole, "", true
	}
	return whole, fraction, onlyDigits(fraction)
}

// withoutExponent writes a number such as 1.7645472E9, as Java prints a double, with its point moved.
func withoutExponent(text string) (string, bool) {
	at := strings.IndexAny(text, "eE")
	if at < 0 {
		return text, true
	}
	const largest = 20 // no epoch has more digits before its point, nor zeros behind it
	move, err := strconv.Atoi(text[at+1:])
	if err != nil || !within(move, -largest, largest) {
		return "", false
	}
	sign := ""
	number := text[:at]
	if after, found := strings.CutPrefix(number, "-"); found {
		sign = "-"
		number = after
	}
	whole, fraction, ok := parts(number)
	if !ok || !onlyDigits(whole) {
		return "", false
	}
	zeros := strings.Repeat("0", largest)
	digits := zeros + whole + fraction + zeros
	point := largest + len(whole) + move
	return sign + "0" + strings.TrimLeft(digits[:point], "0") + "." + digits[point:], true
}
