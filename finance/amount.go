package finance

import (
	"fmt"

	"github.com/govalues/decimal"
)

// Amount is an exact decimal number that may be absent. It is made from the digits a provider wrote, never from a
// float: 0.29 * 100 is 28 in floating point.
type Amount struct {
	Decimal decimal.Decimal
	Valid   bool
}

// ParseAmount reads a JSON number or the text of one, exactly. More than 19 significant digits, or an exponent that
// would need them, is an error: no provider's money is that large, so such a number is a defect of the answer.
// Trailing zeros after the point carry no meaning and are dropped: -58.000 and -58 are the same amount.
func ParseAmount[T string | []byte](s T) (Amount, error) {
	d, err := decimal.Parse(string(s))
	if err != nil || significant(s) > 19 { // decimal would round what is too long
		return Amount{}, fmt.Errorf("%.24q is not an exact amount of at most 19 digits", string(s))
	}
	return Amount{Decimal: d.Trim(0), Valid: true}, nil
}

// significant counts the digits of a number from its first one that is not zero, up to the exponent.
func significant[T string | []byte](s T) (n int) {
	for i := range len(s) {
		switch c := s[i]; {
		case c == 'e', c == 'E':
			return n
		case c >= '1' && c <= '9', c == '0' && n > 0:
			n++
		}
	}
	return n
}

// MinorUnits is the amount of n minor units, such as øre, with the given number of decimals (2 for NOK).
func MinorUnits(n int64, decimals int) (Amount, error) {
	d, err := decimal.New(n, decimals)
	if err != nil {
		return Amount{}, fmt.Errorf("%d minor units with %d decimals is not an amount", n, decimals)
	}
	return Amount{Decimal: d.Trim(0), Valid: true}, nil
}

// String is the plain decimal text, or the empty string when absent.
func (a Amount) String() string {
	if !a.Valid {
		return ""
	}
	return a.Decimal.String()
}

// Equal says that both are absent or both the same number.
func (a Amount) Equal(b Amount) bool {
	if a.Valid && b.Valid {
		return a.Decimal.Cmp(b.Decimal) == 0
	}
	return a.Valid == b.Valid
}
