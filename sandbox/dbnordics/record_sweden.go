package dbnordics

import "fmt"

type swedishRisk struct {
	CreditRatings      creditRatings       `json:"creditRatings"`
	RatingCreditLimits creditLimits        `json:"ratingCreditLimits"`
	PaymentRemarks     *swedishRemarks     `json:"paymentRemarks,omitempty"`
	Petitions          *swedishPetitions   `json:"petitions,omitempty"`
	Commitments        *swedishCommitments `json:"financialCommitments,omitempty"`
	Inquiries          creditInquiries     `json:"creditInquiries"`
	Distraint          distraint           `json:"actionsOfDistraint"`
	Trade              struct {
		PaymentIndex struct{} `json:"paymentIndex"`
	} `json:"trade"`
}

type creditInquiries struct {
	Count     int        `json:"count"`
	Inquiries []struct{} `json:"creditInquiries"`
}

type distraint struct {
	Actions []struct {
		Code        code   `json:"code"`
		Description string `json:"description"`
	} `json:"actionsOfDistraint"`
}

type swedishRemarks struct {
	Count          int            `json:"count"`
	Amount         *amount        `json:"amount,omitempty"`
	PaymentRemarks []swedishClaim `json:"paymentRemarks"`
}

type swedishPetitions struct {
	Count     int            `json:"count"`
	Amount    *amount        `json:"amount,omitempty"`
	Petitions []swedishClaim `json:"petitions"`
}

// swedishClaim is a remark or a petition.
type swedishClaim struct {
	Amount      *amount  `json:"amount,omitempty"`
	Date        date     `json:"date"`
	Creditor    creditor `json:"creditor"`
	Type        code     `json:"type"`
	Description string   `json:"description"`

	minor int
}

type creditor struct {
	Name string `json:"name"`
}

type code struct {
	Code string `json:"code"`
}

type swedishCommitments struct {
	DebtBalance struct {
		Current    *currentDebtBalance     `json:"currentDebtBalance,omitempty"`
		Historical []historicalDebtBalance `json:"historicalDebtBalance"`
	} `json:"debtBalance"`
}

// currentDebtBalance is renewed every week. Public claims are A-claims, private
// ones E-claims.
type currentDebtBalance struct {
	Date          string `json:"date"` // 2026W44
	PrivateCount  int    `json:"privateClaimsCount"`
	PublicCount   int    `json:"publicClaimsCount"`
	Count         int    `json:"claimsCount"`
	PrivateAmount amount `json:"privateClaimsAmount"`
	PublicAmount  amount `json:"publicClaimsAmount"`
}

type historicalDebtBalance struct {
	Date    date   `json:"date"` // year and month only
	Balance amount `json:"balance"`
}

var (
	swedishCreditors = []string{"Skatteverket", "Simvirke AB", "Övningsel AB", "Provfrakt i Solna AB", "Exempelhyror KB"}
	remarkTypes      = []string{"OKL", "BFU", "STF", "AT", "XQ9"} // the last is in no list of the vendor's
	petitionTypes    = []string{"BFA", "BA", "OKL"}
)

func (s *Simulator) swedishRisk(c *subject) swedishRisk {
	r := swedishRisk{Inquiries: creditInquiries{Count: 4, Inquiries: []struct{}{}}}
	r.CreditRatings, r.RatingCreditLimits = s.rating(c)
	r.Distraint.Actions = append(r.Distraint.Actions, struct {
		Code        code   `json:"code"`
		Description string `json:"description"`
	}{code{"M"}, "Limited investigation"})
	n := 1 + c.rng.IntN(5)
	if s.world.happens(chanceCapped, c.Index, s.o.Capped) {
		n += s.o.ListCap
	}
	remarks := s.claims(c, remarkTypes, n)
	petitions := s.claims(c, petitionTypes, c.rng.IntN(4))
	if c.clean {
		remarks = nil
		petitions = nil
	}
	remarks = remarks[:max(0, len(remarks)-c.settled)]
	for i := range c.petitions {
		petitions = append(petitions, s.claim(c, petitionTypes[0], 30+i, 100_000*(i+1)))
	}
	r.PaymentRemarks = s.remarkList(remarks)
	if !c.incomplete {
		r.Petitions = s.petitionList(petitions)
	}
	r.Commitments = s.commitments(c, remarks, petitions)
	return r
}

// claims makes a list, newest first.
func (s *Simulator) claims(c *subject, types []string, n int) (out []swedishClaim) {
	for i := range n {
		one := s.claim(c, types[c.rng.IntN(len(types))], 60+i*7+c.rng.IntN(7), 10_000+c.rng.IntN(9_000_000))
		if i%3 == 2 { // twins: one creditor, one day, the same sum
			one = out[i-1]
		}
		out = append(out, one)
	}
	return out
}

func (s *Simulator) claim(c *subject, kind string, daysAgo, minor int) swedishClaim {
	a := ore(minor, "SEK")
	if minor%100 == 0 {
		a = kroner(minor/100, "SEK")
	}
	one := swedishClaim{
		Amount: &a, Date: on(s.day(-daysAgo)), Creditor: creditor{swedishCreditors[c.rng.IntN(len(swedishCreditors))]},
		Type: code{kind}, Description: "UNCLASSIFIED", minor: minor,
	}
	if c.language == "SV" {
		one.Description = "Oklassificerad"
	}
	if kind == "XQ9" { // an amount that is not known
		one.Amount = nil
		one.minor = 0
		if s.o.EmptyAmounts {
			one.Amount = &amount{"", "SEK"}
		}
	}
	return one
}

func total(list []swedishClaim) (sum int) {
	for _, one := range list {
		sum += one.minor
	}
	return sum
}

// remarkList counts and sums all remarks and shows no more than the cap allows.
func (s *Simulator) remarkList(list []swedishClaim) *swedishRemarks {
	if len(list) == 0 && s.o.OmitEmpty {
		return nil
	}
	sum := ore(total(list), "SEK")
	return &swedishRemarks{len(list), &sum, append([]swedishClaim{}, list[:min(len(list), s.o.ListCap)]...)}
}

func (s *Simulator) petitionList(list []swedishClaim) *swedishPetitions {
	if len(list) == 0 && s.o.OmitEmpty {
		return nil
	}
	sum := ore(total(list), "SEK")
	return &swedishPetitions{len(list), &sum, append([]swedishClaim{}, list[:min(len(list), s.o.ListCap)]...)}
}

// commitments is the balance at the Enforcement Authority. It follows the claims
// but need not be their sum.
func (s *Simulator) commitments(c *subject, remarks, petitions []swedishClaim) *swedishCommitments {
	if len(remarks) == 0 && len(petitions) == 0 {
		if s.o.OmitEmpty {
			return nil
		}
		out := &swedishCommitments{}
		out.DebtBalance.Historical = []historicalDebtBalance{}
		return out
	}
	private := total(petitions) / 100
	public := total(remarks) / 100
	year, week := s.o.Kit.Clock.Now().UTC().ISOWeek()
	out := &swedishCommitments{}
	out.DebtBalance.Current = &currentDebtBalance{
		Date: fmt.Sprintf("%dW%02d", year, week), PrivateCount: len(petitions), PublicCount: len(remarks),
		Count: len(petitions) + len(remarks), PrivateAmount: kroner(private, "SEK"), PublicAmount: kroner(public, "SEK"),
	}
	month := s.day(-40)
	out.DebtBalance.Historical = []historicalDebtBalance{
		{date{Year: month.Year(), Month: int(month.Month())}, kroner(100_000+c.Index, "SEK")},
	}
	return out
}
