package rest

import (
	"fmt"

	"syncer/finance"
)

// notes are what syncer check says of a description that is right by its form, and may still not do what its author thinks.
func (a *api) notes() (notes []string) {
	for _, d := range []finance.Dataset{finance.Accounts, finance.Transactions, finance.Debts} {
		p := a.readings[d]
		if p == nil {
			continue
		}
		for i := range p.Records {
			if l := &p.Records[i]; l.Optional && p.provenBy(l) {
				notes = append(notes, fmt.Sprintf("%s: %s: the list %s is optional, and its records are a whole set: "+
					"a pass without it proves nothing, so rows that are known stay and the item is partial; "+
					"where the API leaves an empty list out, write empty: absent", a.file, d, l.Path))
			}
		}
	}
	return notes
}

// provenBy says whether records of the list belong to a set that is declared whole.
func (p *compiledReading) provenBy(l *List) bool {
	return p.Whole || p.wholePending && l.holds(finance.Pending)
}
