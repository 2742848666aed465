package config

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Size is a number of bytes, written with a binary unit: 512KiB, 32MiB, 1GiB, or plain bytes.
type Size int64

// sizeUnits is ordered from large to small, so that String finds the largest that fits; "B" matches every
// unit's end and therefore stands last.
var sizeUnits = []struct {
	name  string
	bytes Size
}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"B", 1}}

// Bytes returns s as a plain number.
func (s Size) Bytes() int64 { return int64(s) }

// String returns the form with the largest unit that loses nothing.
func (s Size) String() string {
	for _, u := range sizeUnits {
		if s != 0 && s%u.bytes == 0 {
			return strconv.FormatInt(int64(s/u.bytes), 10) + u.name
		}
	}
	return "0"
}

// MarshalText writes String's form.
func (s Size) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads what ParseSize reads.
func (s *Size) UnmarshalText(text []byte) error {
	v, err := ParseSize(string(text))
	if err != nil {
		return err
	}
	*s = v
	return nil
}

// ParseSize reads a whole number of bytes with an optional unit B, KiB, MiB or GiB. KB and MB are refused
// rather than guessed at, because half of the world means 1000 by them.
func ParseSize(text string) (Size, error) {
	number := text
	unit := Size(1)
	for _, u := range sizeUnits {
		if cut, found := strings.CutSuffix(text, u.name); found {
			number = strings.TrimSpace(cut)
			unit = u.bytes
			break
		}
	}
	n, err := strconv.ParseUint(number, 10, 63)
	if err != nil || n > uint64(math.MaxInt64/unit) {
		return 0, fmt.Errorf("%q is not a size: write 512KiB, 32MiB or 1GiB", text)
	}
	return Size(n) * unit, nil
}
