package pg

import (
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"syncer/finance"
)

// Placeholders are $1 to $n.
func Placeholders(n int) string {
	var b strings.Builder
	for i := range n {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString("$" + strconv.Itoa(i+1))
	}
	return b.String()
}

// Micros is d for make_interval-like arithmetic in SQL: whole microseconds, rounded up, because rounding down would
// open a gate early.
func Micros(d time.Duration) int64 {
	us := d.Microseconds()
	if d > time.Duration(us)*time.Microsecond {
		us++
	}
	return us
}

// FromMicros is the inverse of micros.
func FromMicros(us int64) time.Duration { return time.Duration(us) * time.Microsecond }

// OrZero is what v points to, or the zero value for a NULL.
func OrZero[T any](v *T) (zero T) {
	if v == nil {
		return zero
	}
	return *v
}

// Clean makes a text that Postgres accepts: valid UTF-8 without NUL. A provider's words can hold either, and an
// error message must not be what makes a call's record fail.
func Clean(s string) string {
	if strings.IndexByte(s, 0) >= 0 {
		s = strings.ReplaceAll(s, "\x00", "")
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}

// Storable says whether Postgres takes s as a text: 22021 is what it says of a NUL or of invalid UTF-8.
func Storable(s string) bool { return utf8.ValidString(s) && strings.IndexByte(s, 0) < 0 }

// NullText is s, clean, or NULL for an empty one.
func NullText(s string) any {
	if s == "" {
		return nil
	}
	return Clean(s)
}

// NullInt is n, or NULL for 0.
func NullInt(n int64) *int64 {
	if n == 0 {
		return nil
	}
	return &n
}

// NullInt32 is n, or NULL for 0.
func NullInt32(n int) any {
	if n == 0 {
		return nil
	}
	return int32(n)
}

// NullID is id, or NULL for the zero one.
func NullID(id finance.CallID) any {
	if id.IsZero() {
		return nil
	}
	return [16]byte(id)
}

// NullTime is t, or NULL for the zero one.
func NullTime(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t
}

// NullDate is d, or NULL for the zero one.
func NullDate(d finance.Date) *time.Time {
	if d.IsZero() {
		return nil
	}
	day := d.Time()
	return &day
}

// NullIDs are ids, or NULL where there are none: such a parameter chooses all.
func NullIDs(ids []int64) any {
	if len(ids) == 0 {
		return nil
	}
	return ids
}

// NotNull are texts for a column that has an empty array for nothing: pgx writes a nil slice as NULL.
func NotNull(texts []string) []string {
	return append([]string{}, texts...)
}

// ToDatasets are datasets as a column names them.
func ToDatasets(names []string) []finance.Dataset {
	datasets := make([]finance.Dataset, len(names))
	for i, n := range names {
		datasets[i] = finance.Dataset(n)
	}
	return datasets
}

// ToDate is the day that a column holds, or the zero one for a NULL.
func ToDate(t *time.Time) finance.Date {
	if t == nil {
		return 0
	}
	return finance.DateOf(*t)
}
