package dbnordics

import (
	"fmt"
	"math/big"
	"strconv"

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
		c.Country = "NO"
		form = "AS"
		c.RegistrationNumber = norwegianNumber(slot)
	case w.happens(chanceSole, index, w.o.SoleTraders):
		c.SoleTrader = true
		form = "enskild firma"
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
