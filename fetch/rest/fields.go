package rest

// Accounts is how accounts are read.
type Accounts struct {
	Reading `yaml:",inline"`
	// Fields are the columns of an account.
	Fields AccountFields `yaml:"fields" jsonschema:"required"`
	// Balances are the figures of an account.
	Balances *Balances `yaml:"balances"`
	// SameAs is the path of what stays the same when the API gives an account another id, as some do when a consent is
	// renewed: its IBAN, say. An account with an unknown id goes on with the rows of the one that has the same there.
	SameAs string `yaml:"same_as"`
}

// Transactions is how transactions are read.
type Transactions struct {
	Reading `yaml:",inline"`
	// WholePending says that a pass up to today shows all pending transactions there are, so that one which is missing
	// was booked or has lapsed.
	WholePending bool `yaml:"whole_pending"`
	// Fields are the columns of a transaction.
	Fields TransactionFields `yaml:"fields" jsonschema:"required"`
}

// Debts is how debts are read.
type Debts struct {
	Reading `yaml:",inline"`
	// Fields are the columns of a debt.
	Fields DebtFields `yaml:"fields" jsonschema:"required"`
}

// Field is how a column is filled: a path, or a group of these keys.
type Field struct {
	// Path is where the value stands in the record; of several the first that is there counts.
	Path Paths `yaml:"path"`
	// Const is the same for all records; it stands alone.
	Const string `yaml:"const"`
	// Default is used where nothing is there.
	Default string `yaml:"default"`
	// Map turns the API's words into ours. A word that is not in it stays as it is.
	Map map[string]string `yaml:"map"`
	// MinorUnits says that an amount is a whole number with so many decimals: 2 for øre.
	MinorUnits *int `yaml:"minor_units"`
	// Decimal is what sets off the decimals of an amount that is a text: comma for "1.234,50", point for
	// "1,234.50". Then the thousands may be set off too. Default: a point, and nothing between the
	// thousands.
	Decimal string `yaml:"decimal"`
	// NegateWhen makes an amount negative. One that is negative already stays so.
	NegateWhen *Flag `yaml:"negate_when"`
	// Format is that of a day or an instant: rfc3339, unix, unix_ms, or a pattern of YYYY MM DD hh mm ss Z. Default: days
	// begin with YYYY-MM-DD, instants are rfc3339.
	Format string `yaml:"format"`
	// Required says that a record without it can't be read.
	Required bool `yaml:"required"`
}

// Flag is a text in a record that decides something.
type Flag struct {
	// Path is where it stands.
	Path Paths `yaml:"path" jsonschema:"required"`
	// Is are the texts that decide it.
	Is Words `yaml:"is" jsonschema:"required"`
}

// ID is how a record's key is made: a path, or hash, or both, where the hash serves the records that have nothing at the
// path.
type ID struct {
	// Path is where the API's own key stands.
	Path Paths `yaml:"path"`
	// Hash are columns that stay the same as long as the record is the same one. Records alike in all of them are
	// numbered.
	Hash Words `yaml:"hash"`
}

// Balances are the figures of an account: a list of them in the account, or one by one.
type Balances struct {
	// List is the path of the list in the account.
	List Paths `yaml:"list"`
	// Kind is the figure's kind: map it to booked, available or credit_limit. Others are kept in extra.
	Kind *Field `yaml:"kind"`
	// Amount is the figure.
	Amount *Field `yaml:"amount"`
	// Currency is its currency; without it that of the account.
	Currency *Field `yaml:"currency"`
	// ReferenceDate is the day or the instant of the figure. Of several of one kind and currency the newest counts; without
	// it the first.
	ReferenceDate *Field `yaml:"reference_date"`
	// Booked is the figure of this kind, where there is no list.
	Booked *Field `yaml:"booked"`
	// Available is the figure of this kind, where there is no list.
	Available *Field `yaml:"available"`
	// CreditLimit is the figure of this kind, where there is no list.
	CreditLimit *Field `yaml:"credit_limit"`
}

// AccountFields are the columns of an account.
type AccountFields struct {
	// ID is the key, unique within the consent.
	ID *ID `yaml:"id" jsonschema:"required"`
	// Number is the number that people know.
	Number *Field `yaml:"number"`
	// Name is the account's name.
	Name *Field `yaml:"name"`
	// Kind is the type of account.
	Kind *Field `yaml:"kind"`
	// Currency is the account's currency.
	Currency *Field `yaml:"currency"`
	// Version orders the versions of a record that one answer shows: a whole number, a day or an instant.
	Version *Field `yaml:"version"`
}

// TransactionFields are the columns of a transaction.
type TransactionFields struct {
	// ID is the key, unique within the account.
	ID *ID `yaml:"id" jsonschema:"required"`
	// Account is the account's key, where the request names no {account}.
	Account *Field `yaml:"account"`
	// Status is booked or pending: map the API's words to these. Default booked.
	Status *Field `yaml:"status"`
	// BookedOn is the day of booking.
	BookedOn *Field `yaml:"booked_on"`
	// ValueOn is the day from which interest counts.
	ValueOn *Field `yaml:"value_on"`
	// Amount is negative for money out of the account.
	Amount *Field `yaml:"amount" jsonschema:"required"`
	// Currency is the amount's currency.
	Currency *Field `yaml:"currency" jsonschema:"required"`
	// Text is what the statement says.
	Text *Field `yaml:"text"`
	// Kind is the type of transaction.
	Kind *Field `yaml:"kind"`
	// Code is the code of the type.
	Code *Field `yaml:"code"`
	// CounterpartyAccount is the other side's account.
	CounterpartyAccount *Field `yaml:"counterparty_account"`
	// CounterpartyName is the other side's name.
	CounterpartyName *Field `yaml:"counterparty_name"`
	// Reference is a payment reference.
	Reference *Field `yaml:"reference"`
	// MerchantName is the shop.
	MerchantName *Field `yaml:"merchant_name"`
	// MerchantCategory is the shop's category.
	MerchantCategory *Field `yaml:"merchant_category"`
	// PurchasedOn is the day of purchase.
	PurchasedOn *Field `yaml:"purchased_on"`
	// OriginalAmount is the amount in the currency of the purchase.
	OriginalAmount *Field `yaml:"original_amount"`
	// OriginalCurrency is the currency of the purchase.
	OriginalCurrency *Field `yaml:"original_currency"`
	// ExchangeRate is the rate between the two.
	ExchangeRate *Field `yaml:"exchange_rate"`
	// Version orders the versions of a record that one answer shows: a whole number, a day or an instant.
	Version *Field `yaml:"version"`
}

// DebtFields are the columns of a debt.
type DebtFields struct {
	// ID is the key, unique within the consent.
	ID *ID `yaml:"id" jsonschema:"required"`
	// Creditor is whom the money is owed to.
	Creditor *Field `yaml:"creditor"`
	// Kind is the type of debt.
	Kind *Field `yaml:"kind"`
	// Currency is that of all amounts.
	Currency *Field `yaml:"currency"`
	// Balance is what is owed in all.
	Balance *Field `yaml:"balance"`
	// OriginalBalance is what was owed in the beginning.
	OriginalBalance *Field `yaml:"original_balance"`
	// CreditLimit is how much may be owed.
	CreditLimit *Field `yaml:"credit_limit"`
	// InterestBearing is the part that bears interest.
	InterestBearing *Field `yaml:"interest_bearing"`
	// NonInterestBearing is the part that bears none.
	NonInterestBearing *Field `yaml:"non_interest_bearing"`
	// NominalRate is in per cent a year.
	NominalRate *Field `yaml:"nominal_rate"`
	// InstallmentCharges are the charges of an instalment.
	InstallmentCharges *Field `yaml:"installment_charges"`
	// InstallmentPeriod is how often an instalment is due.
	InstallmentPeriod *Field `yaml:"installment_period"`
	// TermsLeft is in months.
	TermsLeft *Field `yaml:"terms_left"`
	// CoBorrower is 0 for none, 1 is the co-borrower, 2 has one.
	CoBorrower *Field `yaml:"co_borrower"`
	// ReportedAt is when the creditor said so.
	ReportedAt *Field `yaml:"reported_at"`
	// Version orders the versions of a record that one answer shows: a whole number, a day or an instant. Without it
	// reported_at does.
	Version *Field `yaml:"version"`
}
