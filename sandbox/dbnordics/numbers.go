package dbnordics

import (
	"fmt"
	"strconv"
	"time"
)

// swedishNumber is 55 and a third digit of at least 2, so that it can't be a
// date, six digits and Luhn's.
func swedishNumber(slot int) string { return withLuhn(fmt.Sprintf("559%06d", slot)) }

// norwegianNumber is 9, six digits, the first digit that has a control digit,
// and that.
func norwegianNumber(slot int) string {
	for k := 0; ; k++ {
		number := fmt.Sprintf("9%06d%d", slot, k)
		sum := 0
		for i, weight := range []int{3, 2, 7, 6, 5, 4, 3, 2} {
			sum += weight * int(number[i]-'0')
		}
		if control := (11 - sum%11) % 11; control != 10 {
			return number + strconv.Itoa(control)
		}
	}
}

// birthDays is a little less than the hundred years that ten digits can tell
// apart.
const birthDays = 36_500

// personalNumber is a date from 1950 on and a birth number of 970 or more.
func personalNumber(slot int) string {
	birth := time.Date(1950, 1, 1+slot%birthDays, 0, 0, 0, 0, time.UTC)
	return withLuhn(fmt.Sprintf("%s%03d", birth.Format("060102"), 970+slot/birthDays))
}

func slotOf(country, number string) (slot int, ok bool) {
	read := func(text string) (int, bool) {
		n, err := strconv.Atoi(text)
		return n, err == nil
	}
	switch {
	case country == "NO" && len(number) == 9:
		return read(number[1:7])
	case country == "SE" && len(number) == 10 && number[:3] == "559":
		return read(number[3:9])
	case country == "SE" && len(number) == 10:
		return personalSlot(number)
	}
	return 0, false
}

// personalSlot tries both centuries that a date of the world may be in.
func personalSlot(number string) (int, bool) {
	serial, err := strconv.Atoi(number[6:9])
	if err != nil || serial < 970 {
		return 0, false
	}
	for _, century := range []string{"19", "20"} {
		birth, err := time.Parse("20060102", century+number[:6])
		if err != nil {
			continue
		}
		day := int(birth.Sub(time.Date(1950, 1, 1, 0, 0, 0, 0, time.UTC)) / (24 * time.Hour))
		slot := day + birthDays*(serial-970)
		if day >= 0 && day < birthDays && personalNumber(slot) == number {
			return slot, true
		}
	}
	return 0, false
}

func withLuhn(nine string) string {
	sum := 0
	for i := range nine {
		d := int(nine[i] - '0')
		if i%2 == 0 {
			d *= 2
		}
		sum += d/10 + d%10
	}
	return nine + strconv.Itoa((10-sum%10)%10)
}
