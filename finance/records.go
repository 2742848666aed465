package finance

import (
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Lineage is where in an answer a record stood. The call itself is the page's.
type Lineage struct {
	Place int32 // the record's index in its answer, from 0
	// Made says that the record's key was made here and is not the provider's, so that meeting it twice in a pass says
	// nothing of the provider's list. It is not stored.
	Made bool
	// Version orders the versions of a record that one answer shows, by what the provider tells.
	// It is not stored.
	Version Version
}

// LongestKey is how many bytes a record's key may have. Postgres refuses index entries of more than 2,704 bytes, and an entry
// may hold an account's key and a record's.
const LongestKey = 1000

// FaultOfKey says why a text can't be a record's key; empty: it can.
func FaultOfKey(key string) string {
	switch {
	case IsBlank(key):
		return "missing"
	case len(key) > LongestKey:
		return fmt.Sprintf("longer than %d bytes", LongestKey)
	case !utf8.ValidString(key), strings.IndexByte(key, 0) >= 0:
		return "not valid UTF-8 without NUL"
	}
	return ""
}

// IsBlank says that a text shows nothing: white space, or characters that nobody sees. It is no id.
func IsBlank(text string) bool {
	for _, r := range text {
		if unicode.IsGraphic(r) && !unicode.IsSpace(r) {
			return false
		}
	}
	return true
}

// Account is a bank account, a card account or a ledger.
type Account struct {
	Lineage
	ID       string // the provider's key, unique within the consent
	Number   string // the number people know, where the provider gives one
	Name     string
	Kind     string // the provider's word for the type of account
	Currency string
	Extra    []byte // JSON object of what has no column; nil where nothing is left
}

// The kinds of balances.
const (
	BalanceBooked      = "booked"
	BalanceAvailable   = "available"
	BalanceCreditLimit = "credit_limit"
)

// Balance is one figure of an account.
type Balance struct {
	Lineage
	AccountID string
	Kind      string // BalanceBooked, BalanceAvailable or BalanceCreditLimit
	Amount    Amount
	Currency  string
}

// Transaction states.
const (
	Booked  = "booked"
	Pending = "pending"
)

// Transaction is one movement on an account.
type Transaction struct {
	Lineage
	AccountID           string
	ID                  string // natural key within the account; see the connector for how a missing one is made
	Status              string // Booked or Pending
	BookedOn            Date
	ValueOn             Date
	Amount              Amount // signed: negative is money out of the account
	Currency            string
	Text                string
	Kind                string // the provider's word for the type
	Code                string // the provider's code for the type
	CounterpartyAccount string
	CounterpartyName    string
	Reference           string
	MerchantName        string
	MerchantCategory    string
	PurchasedOn         Date
	OriginalAmount      Amount
	OriginalCurrency    string
	ExchangeRate        Amount
	Extra               []byte
}

// Debt is one loan, credit line, claim or remark.
type Debt struct {
	Lineage
	ID                 string // natural key within the consent; see the connector for how a missing one is made
	Creditor           string
	Kind               string
	Currency           string
	Balance            Amount // what is owed in all
	OriginalBalance    Amount
	CreditLimit        Amount
	InterestBearing    Amount
	NonInterestBearing Amount
	NominalRate        Amount // per cent a year
	InstallmentCharges Amount
	InstallmentPeriod  string
	TermsLeft          int32     // months; -1: not given
	CoBorrower         int32     // 0 none, 1 is the co-borrower, 2 has one; -1: not given
	ReportedAt         time.Time // when the creditor made this version; not part of the content
	Extra              []byte
}

// Records is what one page holds. The strings may alias the answer's body.
type Records struct {
	Accounts     []Account
	Balances     []Balance
	Transactions []Transaction
	Debts        []Debt
}

// Len is the number of records of all kinds.
func (r *Records) Len() int {
	return len(r.Accounts) + len(r.Balances) + len(r.Transactions) + len(r.Debts)
}
