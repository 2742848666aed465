package rest

// isDecimal says whether a word of a description sets off decimals.
func isDecimal(word string) bool { return isComma(word) || word == "point" || word == "." }

func isComma(word string) bool { return word == "comma" || word == "," }

// shareDecimal gives every amount that is a text what the description says of all of them.
func (d *Description) shareDecimal() {
	if !isDecimal(d.Decimal) {
		return
	}
	for _, u := range d.uses() {
		f := u.field
		if f == nil || u.kind != asAmount {
			continue
		}
		if f.Decimal == "" && f.MinorUnits == nil && f.Const == "" {
			f.Decimal = d.Decimal
		}
	}
}

// uses are the columns of all datasets.
func (d *Description) uses() (all []use) {
	if a := d.Datasets.Accounts; a != nil {
		all = append(all, usesOf(a.Fields.columns())...)
		all = append(all, a.Balances.uses()...)
	}
	if t := d.Datasets.Transactions; t != nil {
		all = append(all, usesOf(t.Fields.columns())...)
	}
	if t := d.Datasets.Debt; t != nil {
		all = append(all, usesOf(t.Fields.columns())...)
	}
	return all
}

// uses are the columns of the figures.
func (b *Balances) uses() []use {
	if b == nil {
		return nil
	}
	return []use{
		{"kind", b.Kind, asText},
		{"amount", b.Amount, asAmount},
		{"currency", b.Currency, asText},
		{"reference_date", b.ReferenceDate, asOrder},
		{"booked", b.Booked, asAmount},
		{"available", b.Available, asAmount},
		{"credit_limit", b.CreditLimit, asAmount},
	}
}
