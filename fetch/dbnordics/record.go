package dbnordics

import "syncer/finance"

// The kinds of records. Behind a remark's, a petition's and a registration's stands the vendor's word for its type.
const (
	kindRating    = "rating"
	kindBalance   = "debt_balance"
	kindRemark    = "payment_remark"
	kindPetition  = "petition"
	kindVoluntary = "voluntary_registration"
	kindTotal     = "_total" // behind the kind of a list
)

func newDebt(kind string) finance.Debt {
	return finance.Debt{Kind: kind, TermsLeft: -1, CoBorrower: -1}
}
