package cambio

import (
	"fmt"
	"math/big"
	"time"

	"syncer/sandbox"
)

const (
	birthdays = 25567 // 1930-01-01 to 1999-12-31
	perDay    = 20    // birth numbers 980 to 999, which are given to nobody
	people    = birthdays * perDay
	spread    = 1_000_003 // a prime that doesn't divide people
)

var firstBirthday = time.Date(1930, 1, 1, 0, 0, 0, 0, time.UTC)

// personnummer is the synthetic personal identity number of person index: twelve
// digits with a valid check digit and a birth number that is reserved for tests.
// index and index+people are the same person.
func personnummer(seed uint64, index int) string {
	slot := (uint64(index)*spread + sandbox.Mix(seed, 'p')%people) % people
	birth := firstBirthday.AddDate(0, 0, int(slot/perDay))
	stem := fmt.Sprintf("%s%03d", birth.Format("20060102"), 980+slot%perDay)
	return stem + string(rune('0'+checkDigit(stem[2:])))
}

// checkDigit completes nine digits by the Luhn rule.
func checkDigit(nine string) int {
	sum := 0
	for i, c := range nine {
		d := int(c - '0')
		if i%2 == 0 {
			d *= 2
		}
		sum += d/10 + d%10
	}
	return (10 - sum%10) % 10
}

// personIndex is the inverse of personnummer, below people; false for a number
// that this seed never made.
func personIndex(seed uint64, number string) (int, bool) {
	if len(number) != 12 {
		return 0, false
	}
	birth, err := time.Parse("20060102", number[:8])
	if err != nil {
		return 0, false
	}
	day := int64(birth.Sub(firstBirthday) / (24 * time.Hour))
	var birthNumber int64
	if _, err := fmt.Sscanf(number[8:11], "%d", &birthNumber); err != nil || birthNumber < 980 || day < 0 || day >= birthdays {
		return 0, false
	}
	slot := big.NewInt(day*perDay + birthNumber - 980 - int64(sandbox.Mix(seed, 'p')%people))
	slot.Mul(slot, new(big.Int).ModInverse(big.NewInt(spread), big.NewInt(people)))
	index := int(slot.Mod(slot, big.NewInt(people)).Int64())
	return index, personnummer(seed, index) == number
}
