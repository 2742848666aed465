package dbnordics

import (
	"fmt"
	"math/big"
	"strconv"
	"time"

	"syncer/sandbox"
)

// Purposes of the hashes that the world is made from.
const (
	chanceCountry uint64 = iota + 1
	chanceSole
	chanceClean
	chanceCapped
	chanceFate
	chanceIncomplete
	chanceContent
	chanceName
)

// numbers is how many companies a world can have, and stride, which shares no
// factor with it, spreads them over the registration numbers.
const (
	numbers = 1_000_000
	stride  = 618_033
)

// world makes companies from seed and index; it holds none of them.
type world struct{ o Options }

func (w world) hash(purpose uint64, index int) uint64 {
	return sandbox.Mix(w.o.Seed, purpose, uint64(index))
}

func (w world) happens(purpose uint64, index int, chance float64) bool {
	return float64(w.hash(purpose, index)>>11)/(1<<53) < chance
}

var (
	firstNames = []string{"Sim", "Prov", "Exempel", "Test", "Fiktiv", "Skugg", "Dummy", "Lekstuga"}
	trades     = []string{"Bygg", "Frakt", "Bageri", "Fiske", "Maskin", "Konsult", "Trä", "Mek"}
)

// company is company number index.
func (w world) company(index int) CompanyInfo {
	c := CompanyInfo{Index: index, Country: "SE", Fate: w.fate(index), DUNS: fmt.Sprintf("35%07d", index)}
	form := "AB"
	slot := w.slot(index)
	switch {
	case w.happens(chanceCountry, index, w.o.Norwegian):
		c.Country, form = "NO", "AS"
		c.RegistrationNumber = norwegianNumber(slot)
	case w.happens(chanceSole, index, w.o.SoleTraders):
		c.SoleTrader, form = true, "enskild firma"
		c.RegistrationNumber = personalNumber(slot)
	default:
		c.RegistrationNumber = swedishNumber(slot)
	}
	c.Subject = c.Country + "-" + c.RegistrationNumber
	if c.SoleTrader {
		c.Subject = "SE-sole-" + strconv.Itoa(index)
	}
	h := w.hash(chanceName, index)
	c.Name = fmt.Sprintf("%s %s %d %s", firstNames[h%8], trades[h>>8%8], index, form)
	return c
}

func (w world) fate(index int) string {
	h := float64(w.hash(chanceFate, index)>>11) / (1 << 53)
	switch {
	case h < w.o.Unknown:
		return Unknown
	case h < w.o.Unknown+w.o.Withheld:
		return Withheld
	}
	return Known
}

// slot is a company's place among the registration numbers, a permutation.
func (w world) slot(index int) int {
	return int((uint64(index)*stride + sandbox.Mix(w.o.Seed, 's')%numbers) % numbers)
}

// find returns the company with a registration number.
func (w world) find(country, number string) (CompanyInfo, bool) {
	slot, ok := slotOf(country, number)
	if !ok {
		return CompanyInfo{}, false
	}
	n := big.NewInt(int64(slot) - int64(sandbox.Mix(w.o.Seed, 's')%numbers))
	n.Mul(n, new(big.Int).ModInverse(big.NewInt(stride), big.NewInt(numbers)))
	index := int(n.Mod(n, big.NewInt(numbers)).Int64())
	if index >= w.o.Companies {
		return CompanyInfo{}, false
	}
	c := w.company(index)
	return c, c.Country == country && c.RegistrationNumber == number
}

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
