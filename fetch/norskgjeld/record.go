package norskgjeld

import "syncer/finance"

// loan reads one loan. Amounts come as whole øre and rates as hundredths of a per cent. A repayment loan has a
// balance; of a facility and a card it is the sum of what bears interest and what does not.
func (d *decoder) loan(debt *finance.Debt) {
	for o := d.s.Object(); o.Next(); {
		switch o.Key() {
		case "type":
			debt.Kind = d.s.Text()
		case "timestamp":
			debt.ReportedAt = d.s.Time()
		case "coBorrower":
			debt.CoBorrower = d.small()
		case "terms":
			debt.TermsLeft = d.small()
		case "creditLimit":
			debt.CreditLimit = d.minor()
		case "originalBalance":
			debt.OriginalBalance = d.minor()
		case "balance":
			debt.Balance = d.minor()
		case "interestBearingBalance":
			debt.InterestBearing = d.minor()
		case "nonInterestBearingBalance":
			debt.NonInterestBearing = d.minor()
		case "nominalInterestRate":
			debt.NominalRate = d.minor()
		case "installmentCharges":
			debt.InstallmentCharges = d.minor()
		case "installmentChargePeriod":
			debt.InstallmentPeriod = d.s.Text()
		case "ssn", "nin":
		default:
			o.Extra(&d.extra)
		}
	}
	d.total(debt)
}

func (d *decoder) total(debt *finance.Debt) {
	if debt.Balance.Valid || !debt.InterestBearing.Valid && !debt.NonInterestBearing.Valid {
		return
	}
	sum, err := debt.InterestBearing.Decimal.Add(debt.NonInterestBearing.Decimal) // an absent one is zero
	if err != nil {
		d.s.Fail("the balances have no exact sum")
		return
	}
	debt.Balance = finance.Amount{Decimal: sum.Trim(0), Valid: true}
}

// minor reads a whole number of hundredths.
func (d *decoder) minor() finance.Amount {
	n, ok := d.s.Int()
	if !ok {
		return finance.Amount{}
	}
	a, err := finance.MinorUnits(n, 2)
	if err != nil {
		d.s.Fail("not an amount")
	}
	return a
}

// small reads a count; -1 when it is not given.
func (d *decoder) small() int32 {
	n, ok := d.s.Int()
	if !ok {
		return -1
	}
	if n < 0 || n > 1<<20 {
		d.s.Fail("not a count")
		return -1
	}
	return int32(n)
}
