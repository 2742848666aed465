package norskgjeld

import (
	"math/rand/v2"
	"time"

	"syncer/sandbox"
)

// The names are invented. Fewer creditors than loans can exist, so that a
// person may have two loans of one type at the same creditor.
var creditors = []string{
	"FJORDKREDITT AS", "NORDLYS BANK ASA", "SMÅBANKEN", "BRE FINANS AS", "VIDDE KREDITTKORT NUF",
	"SKJÆRGÅRD SPAREBANK", "MIDNATTSOL FORBRUKSLÅN AS", "TINDER OG VARDE FINANS", "HAVGAP BANK", "LYNG KORT AS",
	"ELVEBREDD KREDITT", "STABBUR BANK ASA",
}

// debtInformation is the answer of a lookup. One counter has a lower-case c in
// "creditors": that is how the registry spells it.
type debtInformation struct {
	SSN      string       `json:"ssn"`
	Loans    []engagement `json:"loans"`
	Answered int          `json:"numberOfCreditorsAnswered"`
	Missing  int          `json:"numberOfcreditorsMissing"`
	Consent  consentBlock `json:"consent"`
}

type engagement struct {
	CreditorName string `json:"creditorName"`
	Loan         any    `json:"loan"` // nil: the creditor did not answer
}

type consentBlock struct {
	ID    string `json:"id"`
	Exp   int64  `json:"exp"` // epoch seconds
	Scope string `json:"scope"`
}

// Money is in øre, rates are percent times 100.
type loanHead struct {
	Type       string `json:"type"`
	Timestamp  string `json:"timestamp"`
	CoBorrower int    `json:"coBorrower"`
}

type instalments struct {
	NominalInterestRate     int    `json:"nominalInterestRate"`
	InstallmentCharges      int    `json:"installmentCharges"`
	InstallmentChargePeriod string `json:"installmentChargePeriod"`
}

type creditFacility struct {
	loanHead
	CreditLimit               int `json:"creditLimit"`
	InterestBearingBalance    int `json:"interestBearingBalance"`
	NonInterestBearingBalance int `json:"nonInterestBearingBalance"`
	instalments
}

type repaymentLoan struct {
	loanHead
	OriginalBalance int `json:"originalBalance"`
	Balance         int `json:"balance"`
	Terms           int `json:"terms"`
	instalments
}

type chargeCard struct {
	loanHead
	InterestBearingBalance    int `json:"interestBearingBalance"`
	NonInterestBearingBalance int `json:"nonInterestBearingBalance"`
}

// debts are a person's loans. They follow from seed and national id, so two
// consents of one person show the same.
func (w world) debts(nationalID string, p personState) (loans []engagement, missing int) {
	key := sandbox.MixString(w.o.Seed, nationalID)
	loans = []engagement{}
	if happens(sandbox.Mix(key, chanceDebtFree), w.o.DebtFree) {
		return loans, 0
	}
	rng := sandbox.Rand(w.o.Seed, key, chanceLoans)
	for range 1 + rng.IntN(w.o.MaxLoans) {
		loans = append(loans, w.engagement(rng, len(loans) == 0, p.version))
	}
	silent := rng.IntN(len(loans))
	if happens(sandbox.Mix(key, chanceMissing), w.o.Missing) || p.missing {
		loans[silent].Loan = nil
		missing = 1
	}
	return loans[:max(0, len(loans)-p.repaid)], missing
}

// engagement makes one loan. The first one's balance moves with the version.
func (w world) engagement(rng *rand.Rand, first bool, version int) engagement {
	y, m, d := w.o.Start.Date()
	extracted := time.Date(y, m, d, 3, 0, rng.IntN(3*3600), 0, time.UTC)
	head := loanHead{Timestamp: extracted.Format(time.RFC3339), CoBorrower: rng.IntN(3)}
	name := creditors[rng.IntN(len(creditors))]
	inst := instalments{
		NominalInterestRate:     500 + rng.IntN(2000),
		InstallmentCharges:      500 * rng.IntN(20),
		InstallmentChargePeriod: []string{"MONTHLY", "MONTHLY", "QUARTERLY", "HALF-YEARLY", "YEARLY"}[rng.IntN(5)],
	}
	size := 100_000 * (1 + rng.IntN(300))
	owed := rng.IntN(size)
	free := rng.IntN(300_000)
	if first {
		owed += 12_345 * version
	}
	switch rng.IntN(3) {
	case 0:
		head.Type = "creditFacility"
		return engagement{name, creditFacility{head, size, owed, free, inst}}
	case 1:
		head.Type = "repaymentLoan"
		return engagement{name, repaymentLoan{head, size, owed, 1 + rng.IntN(120), inst}}
	}
	head.Type = "chargeCard"
	return engagement{name, chargeCard{head, owed, free}}
}
