package sandbox

import (
	"math/big"
	"time"
)

// People is how many different national ids NationalID makes for one seed;
// index and index+People are the same person.
const People = nationalDays * 50

const (
	nationalDays = 25567     // 1930-01-01 to 1999-12-31
	spread       = 1_000_003 // a prime that doesn't divide People
)

// NationalID returns the synthetic Norwegian national identity number of
// person index: 11 digits with valid mod-11 control digits and 80 added to the
// month, as the Norwegian Tax Administration's own test population (Tenor)
// has it, so that it can never be a real person's number.
func NationalID(seed uint64, index int) string {
	// An affine permutation spreads neighbours over all birthdays. Every slot
	// owns ten individual numbers, of which at least one has control digits.
	slot := (uint64(index)*spread + Mix(seed, 'n')%People) % People
	day := slot / 50
	group := slot % 50
	birth := time.Date(1930, 1, 1+int(day), 0, 0, 0, 0, time.UTC)
	first := int(Mix(seed, slot) % 10)
	for i := range 10 {
		if id, ok := nationalID(birth, int(group)*10+(first+i)%10); ok {
			return id
		}
	}
	panic("sandbox: ten individual numbers without valid control digits")
}

// NationalIDIndex is the inverse of NationalID: the person below People whose
// number it is; false for a number that this seed never made.
func NationalIDIndex(seed uint64, id string) (int, bool) {
	if !ValidNationalID(id) {
		return 0, false
	}
	birth, err := time.Parse("020106", id[:2]+string(id[2]-8)+id[3:6])
	if err != nil {
		return 0, false
	}
	// A birth year of two digits: everybody here was born in the last century.
	birth = time.Date(1900+birth.Year()%100, birth.Month(), birth.Day(), 0, 0, 0, 0, time.UTC)
	day := int64(birth.Sub(time.Date(1930, 1, 1, 0, 0, 0, 0, time.UTC)) / (24 * time.Hour))
	group := int64(id[6]-'0')*10 + int64(id[7]-'0')
	if day < 0 || day >= nationalDays || group >= 50 {
		return 0, false
	}
	slot := big.NewInt(day*50 + group - int64(Mix(seed, 'n')%People))
	slot.Mul(slot, new(big.Int).ModInverse(big.NewInt(spread), big.NewInt(People)))
	index := int(slot.Mod(slot, big.NewInt(People)).Int64())
	return index, NationalID(seed, index) == id
}

// nationalID composes DDMMYYIIIKK; about one candidate in six has no valid
// control digits and is skipped, as in the real register.
func nationalID(birth time.Time, individual int) (string, bool) {
	y, m, d := birth.Date()
	month := int(m) + 80
	n := [11]int{d / 10, d % 10, month / 10, month % 10, y / 10 % 10, y % 10,
		individual / 100, individual / 10 % 10, individual % 10}
	n[9] = controlDigit(n[:9], []int{3, 7, 6, 1, 8, 9, 4, 5, 2})
	n[10] = controlDigit(n[:10], []int{5, 4, 3, 2, 7, 6, 5, 4, 3, 2})
	if n[9] == 10 || n[10] == 10 {
		return "", false
	}
	var text [11]byte
	for i, digit := range n {
		text[i] = byte('0' + digit)
	}
	return string(text[:]), true
}

func controlDigit(digits, weights []int) int {
	sum := 0
	for i, w := range weights {
		sum += digits[i] * w
	}
	return (11 - sum%11) % 11
}

// ValidNationalID reports whether text has eleven digits and correct control
// digits. Synthetic months (+40 and +80) count as valid, as the providers'
// test environments take them.
func ValidNationalID(text string) bool {
	if len(text) != 11 {
		return false
	}
	var n [11]int
	for i := range n {
		if text[i] < '0' || text[i] > '9' {
			return false
		}
		n[i] = int(text[i] - '0')
	}
	return n[9] == controlDigit(n[:9], []int{3, 7, 6, 1, 8, 9, 4, 5, 2}) &&
		n[10] == controlDigit(n[:10], []int{5, 4, 3, 2, 7, 6, 5, 4, 3, 2})
}
