package finance

import "fmt"

// Dataset is one kind of data pulled for a consent.
type Dataset string

// The datasets there are. Their order is the order in which the items of one consent are worked, because the
// accounts tell which streams the transactions have.
const (
	Accounts     Dataset = "accounts"
	Transactions Dataset = "transactions"
	Debts        Dataset = "debt"
)

// ParseDataset reads a dataset's name as it stands in configuration and tables.
func ParseDataset(s string) (Dataset, error) {
	switch d := Dataset(s); d {
	case Accounts, Transactions, Debts:
		return d, nil
	}
	return "", fmt.Errorf("dataset %q is not known: write accounts, transactions or debt", s)
}
