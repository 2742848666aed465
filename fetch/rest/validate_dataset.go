package rest

import (
	"maps"
	"slices"
	"time"

	"syncer/finance"
)

func (k checker) datasets(d *Datasets, zoneName string) {
	zone, err := zoneOf(zoneName)
	if err != nil {
		zone = time.UTC // told already
	}
	if d.Accounts != nil {
		k.accounts("datasets.accounts", d.Accounts, zone)
	}
	if d.Transactions != nil {
		k.transactions("datasets.transactions", d.Transactions, d.Accounts, zone)
	}
	if d.Debt != nil {
		k.debt("datasets.debt", d.Debt, zone)
	}
}

func (k checker) accounts(path string, a *Accounts, zone *time.Location) {
	k.reading(path, &a.Reading, false)
	k.uses(path, usesOf(a.Fields.columns()), a.Fields.ID, zone)
	k.balances(path+".balances", a.Balances, zone)
	k.noAccount(path, &a.Reading)
	k.sameAs(path+".same_as", a)
}

func (k checker) transactions(path string, t *Transactions, accounts *Accounts, zone *time.Location) {
	k.reading(path, &t.Reading, true)
	k.uses(path, usesOf(t.Fields.columns()), t.Fields.ID, zone)
	k.ofAccounts(path, t, accounts != nil)
	k.madeOfDays(path, t.Fields.ID)
	k.statuses(path, t.Fields.Status)
	if t.Fields.ID.hashes("account") && accounts.mayMove() {
		k.Fail(path+".fields.id.hash", "account has another id when it goes on by same_as, and its transactions would be others: leave it out")
	}
}

func (k checker) debt(path string, t *Debts, zone *time.Location) {
	k.reading(path, &t.Reading, false)
	k.uses(path, usesOf(t.Fields.columns()), t.Fields.ID, zone)
	k.noAccount(path, &t.Reading)
	if t.Fields.ID.hashes("balance") {
		k.Fail(path+".fields.id.hash", "balance changes with every payment, and the debt would be another one: leave it out")
	}
}

// hashes says that a made key is made of a column.
func (id *ID) hashes(column string) bool {
	if id == nil {
		return false
	}
	return slices.Contains(id.Hash, column)
}

// mayMove says that an account may go on under another id.
func (a *Accounts) mayMove() bool {
	if a == nil {
		return false
	}
	return a.SameAs != ""
}

// sameAs checks that what stays is kept where it can be compared, and is no id that may change.
func (k checker) sameAs(path string, a *Accounts) {
	if a.SameAs == "" {
		return
	}
	k.paths(path, Paths{a.SameAs})
	if !a.Whole {
		k.Fail(path, "it takes a list that is whole to know which ids are gone: say whole, or leave it out")
	}
	for name, f := range map[string]*Field{"name": a.Fields.Name, "kind": a.Fields.Kind, "currency": a.Fields.Currency} {
		if f.reads(a.SameAs) {
			k.Fail(path, "it is the path of %s, which many accounts have in common: write that of a number or an IBAN", name)
		}
	}
	switch {
	case a.Fields.ID.reads(a.SameAs):
		k.Fail(path, "it is the path of the id, which is what changes")
	case slices.Contains(a.Drop, a.SameAs), slices.Contains(a.RecordSubject, a.SameAs):
		k.Fail(path, "it is not stored, so it can't be compared")
	}
}

// reads says that a column may be read from a path.
func (f *Field) reads(path string) bool {
	if f == nil {
		return false
	}
	return slices.Contains(f.Path, path)
}

// reads says that the key may be read from a path.
func (id *ID) reads(path string) bool {
	if id == nil {
		return false
	}
	return slices.Contains(id.Path, path)
}

func (k checker) noAccount(path string, r *Reading) {
	if slices.Contains(r.Request.placeholders(), forAccount) {
		k.Fail(path+".request", "{account} is for transactions: only they are read account by account")
	}
}

// ofAccounts checks that each transaction has an account: the one that is asked for, or one that the record names.
func (k checker) ofAccounts(path string, t *Transactions, accounts bool) {
	if t.Request.names(forAccount) {
		k.perAccount(path, t, accounts)
	} else {
		k.ofAllAccounts(path, t)
	}
	if t.Whole && t.WholePending {
		k.Fail(path+".whole_pending", "whole says it already")
	}
}

// perAccount checks transactions that are asked for account by account.
func (k checker) perAccount(path string, t *Transactions, accounts bool) {
	switch {
	case !accounts:
		k.Fail(path+".request", "{account} needs the accounts, and datasets.accounts is not described")
	case t.Fields.Account != nil:
		k.Fail(path+".fields.account", "the request names the {account}, so this is known")
	}
}

// ofAllAccounts checks transactions that are asked for of all accounts at once.
func (k checker) ofAllAccounts(path string, t *Transactions) {
	switch {
	case t.Fields.Account == nil:
		k.Fail(path+".fields.account", "missing: the request names no {account}, so the record must")
	case t.Whole, t.WholePending:
		k.Fail(path, "whole sets are kept account by account, and the request names no {account}")
	}
}

// madeOfDays checks that a made key has a day, by which records that are alike are told apart.
func (k checker) madeOfDays(path string, id *ID) {
	if !id.isMade() {
		return
	}
	if !slices.ContainsFunc([]string{"booked_on", "value_on", "purchased_on"}, id.hashes) {
		k.Fail(path+".fields.id.hash", "without a day (booked_on, value_on or purchased_on) the purchases of different days would be numbered together")
	}
}

// isMade says that a key may be made of columns.
func (id *ID) isMade() bool {
	if id == nil {
		return false
	}
	return len(id.Hash) > 0
}

// statuses checks that the API's words are turned into ours.
func (k checker) statuses(path string, f *Field) {
	if f == nil {
		return
	}
	words := append(slices.Sorted(maps.Values(f.Map)), f.Const, f.Default)
	for _, word := range words {
		if !slices.Contains([]string{"", finance.Booked, finance.Pending}, word) {
			k.Fail(path+".fields.status", "%q is not a status: booked or pending", word)
		}
	}
}

func (k checker) balances(path string, t *Balances, zone *time.Location) {
	if t == nil {
		return
	}
	if len(t.List) > 0 {
		k.listOfBalances(path, t)
	} else {
		k.singleBalances(path, t)
	}
	k.paths(path+".list", t.List)
	for _, u := range t.uses() {
		if u.field != nil {
			k.use(join(path, u.name), u, zone)
		}
	}
}

func (k checker) listOfBalances(path string, t *Balances) {
	switch {
	case t.single():
		k.Fail(path, "balances stand in a list or one by one: give list, or booked, available and credit_limit")
	case t.Kind == nil, t.Amount == nil:
		k.Fail(path, "a list of balances needs kind and amount")
	}
}

func (k checker) singleBalances(path string, t *Balances) {
	switch {
	case t.Kind != nil, t.Amount != nil, t.ReferenceDate != nil:
		k.Fail(path, "kind, amount and reference_date are those of a list: give list")
	case !t.single():
		k.Fail(path, "give list, or booked, available or credit_limit")
	}
}

// single says that a balance is described that stands by itself.
func (t *Balances) single() bool {
	switch {
	case t.Booked != nil, t.Available != nil, t.CreditLimit != nil:
		return true
	}
	return false
}
