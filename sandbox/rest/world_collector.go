package rest

import (
	"fmt"
	"time"

	"syncer/sandbox"
)

var creditors = []string{"STRØMKOMPANIET AS", "TELEVIK MOBIL", "NORDLYS FORBRUKSLÅN", "TANNLEGE BERG", "PARKERING SØR", "LYNG KORT AS"}

// claim is a claim as the collector shows it. Amounts are whole øre, days have no dashes, rates are hundredths of a per
// cent.
type claim struct {
	ID          *string     `json:"claim_id"` // null for a remark
	Type        string      `json:"claim_type"`
	Creditor    creditor    `json:"creditor"`
	Currency    string      `json:"currency"`
	Principal   int         `json:"principal_ore"`
	Interest    int         `json:"interest_part_ore"`
	Outstanding int         `json:"outstanding_ore"`
	Sign        string      `json:"sign"` // D: owed by the debtor; C: overpaid
	Rate        int         `json:"interest_rate_bp"`
	Instalment  *instalment `json:"instalment"`
	Registered  string      `json:"registered_on"`
	Updated     int64       `json:"updated_at"`
	CoDebtor    *coDebtor   `json:"co_debtor"`
	Handler     string      `json:"case_handler,omitempty"`
}

type creditor struct {
	Name  string `json:"name"`
	OrgNo string `json:"org_no"`
}

type instalment struct {
	Fee    int    `json:"fee_ore"`
	Period string `json:"period"`
	Left   int    `json:"left"`
}

type coDebtor struct {
	NationalID string `json:"national_id"`
}

// happens draws by chance for a person.
func (c *CollectorSimulator) happens(person int, purpose uint64, chance float64) bool {
	return float64(sandbox.Mix(c.o.Seed, purpose, uint64(person))>>11)/(1<<53) < chance
}

// claimsOf are a person's claims, oldest first; always at least one.
func (c *CollectorSimulator) claimsOf(person int) []claim {
	rng := sandbox.Rand(c.o.Seed, 'd', uint64(person))
	all := make([]claim, 1+rng.IntN(c.o.MaxClaims))
	for i := range all {
		h := rng.Uint64()
		registered := time.Date(2024, 1, 1+int(h%600), 0, 0, 0, 0, time.UTC)
		principal := 10_000 + int(h%9_000_000)
		all[i] = claim{
			Type:     []string{"invoice", "loan", "court"}[h%3],
			Creditor: creditor{creditors[h/3%uint64(len(creditors))], fmt.Sprintf("9%08d", h%100_000_000)},
			Currency: "NOK", Principal: principal, Interest: principal / 20, Outstanding: principal + principal/20, Sign: "D",
			Rate: 925 + int(h%800), Registered: registered.Format("20060102"), Updated: registered.AddDate(0, 2, 0).Unix(),
			Handler: fmt.Sprintf("team-%d", h%4),
		}
		one := &all[i]
		id := fmt.Sprintf("NV-%04d-%03d", person, i)
		one.ID = &id
		switch h / 11 % 5 {
		case 0:
			one.ID = nil
			one.Type = "remark"
			one.Handler = "" // remarks have no number, and some come twice
		case 1:
			one.Instalment = &instalment{4500, "monthly", int(h % 36)}
		case 2:
			one.CoDebtor = &coDebtor{sandbox.NationalID(c.o.Seed, person+500)}
		case 3:
			one.Sign = "C"
			one.Outstanding = principal / 50
			one.Interest = 0
		}
	}
	if last := len(all) - 1; last > 0 && all[last].ID == nil {
		all[last-1] = all[last] // a twin
	}
	return all
}
