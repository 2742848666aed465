package rest

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"

	"syncer/finance"
)

var (
	errMissing  = errors.New("missing")
	errStatus   = errors.New("neither booked nor pending: add it to the map")
	errTwice    = errors.New("the same as that of an earlier record of the answer")
	errPersonal = errors.New("it is the person's national identity number, which must not be a key")
)

// columns fills the records of one kind.
type columns[T any] struct {
	blank  T
	filled []column[T]
	must   []string // a record without these can't be stored
	id     []int
	hash   []column[T]
}

func newColumns[T any](blank T, all []column[T], id *ID, p *plan, must ...string) (*columns[T], error) {
	c := &columns[T]{blank: blank, must: must, id: p.record.slots(id.Path)}
	for _, col := range all {
		if col.field == nil {
			continue
		}
		source, err := newSource(col.use, p.record, p.zone)
		if err != nil {
			return nil, err
		}
		col.source = source
		c.filled = append(c.filled, col)
		if slices.Contains(id.Hash, col.name) {
			c.hash = append(c.hash, col)
		}
	}
	return c, nil
}

// read makes a record of its values.
func (c *columns[T]) read(v values) (T, error) {
	record := c.blank
	for i := range c.filled {
		col := &c.filled[i]
		value, there, err := col.source.read(v)
		switch {
		case err == nil && there:
			col.set(&record, value)
		case err == nil && (col.field.Required || slices.Contains(c.must, col.name)):
			err = errMissing
		}
		if err != nil {
			return c.blank, fmt.Errorf("%s: %w", col.source.label, err)
		}
	}
	return record, nil
}

// key gives the record's key: the API's own, or one made of the columns that stay the same, with the number that the
// record has among those alike. made says that it was made.
// Keys are compared within an account, where records name one.
func (c *columns[T]) key(record *T, account string, v values, d *decoder) (id string, made bool, err error) {
	id, err = textOf(v.first(c.id))
	switch {
	case err != nil:
		return "", false, fmt.Errorf("id: %w", err)
	case id == "" && len(c.hash) == 0:
		return "", false, fmt.Errorf("id: %w", errMissing)
	case id != "" && d.isSubject(id):
		return "", false, fmt.Errorf("id: %w", errPersonal)
	case id != "" && d.here[[2]string{account, id}]:
		return "", false, fmt.Errorf("id: %w", errTwice)
	case id != "":
		d.here[[2]string{account, id}] = true
		return id, false, nil
	}
	var b []byte
	for i := range c.hash {
		part := c.hash[i].show(record)
		b = binary.AppendUvarint(b, uint64(len(part)))
		b = append(b, part...)
	}
	return d.number(b), true, nil
}

// number makes an id of what a record is made of and how many alike came before it in the pass.
func (d *decoder) number(parts []byte) string {
	key := string(parts)
	for {
		sum := sha256.Sum256(binary.AppendUvarint(parts, d.alike[key]))
		d.alike[key]++
		if id := "h-" + hex.EncodeToString(sum[:12]); !d.seen[id] {
			return id
		}
	}
}

type accountTable struct {
	*columns[finance.Account]
	balances *balanceTable
}

func newAccountTable(a *Accounts, p *plan) (table, error) {
	c, err := newColumns(finance.Account{}, a.Fields.columns(), a.Fields.ID, p)
	if err != nil || a.Balances == nil {
		return &accountTable{columns: c}, err
	}
	b, err := newBalanceTable(a.Balances, p)
	return &accountTable{c, b}, err
}

func (t *accountTable) take(d *decoder, _ *List, v values, place int32) error {
	a, err := t.read(v)
	if err != nil {
		return err
	}
	var made bool
	if a.ID, made, err = t.key(&a, "", v, d); err != nil {
		return err
	}
	a.Place = place
	var figures []finance.Balance
	if t.balances != nil {
		if figures, err = t.balances.of(&a, v, d.keep); err != nil {
			return err
		}
	}
	if a.Extra, err = d.extraJSON(); err != nil {
		return err
	}
	d.remember(a.ID, made || d.p.Whole)
	d.page.Records.Accounts = append(d.page.Records.Accounts, a)
	d.page.Records.Balances = append(d.page.Records.Balances, figures...)
	return nil
}

type transactionTable struct{ *columns[finance.Transaction] }

func newTransactionTable(t *Transactions, p *plan) (table, error) {
	blank := finance.Transaction{Status: finance.Booked}
	c, err := newColumns(blank, t.Fields.columns(), t.Fields.ID, p, "account", "amount", "currency")
	return &transactionTable{c}, err
}

func (t *transactionTable) take(d *decoder, list *List, v values, place int32) error {
	x, err := t.read(v)
	if err != nil {
		return err
	}
	if d.p.account {
		x.AccountID = d.stream.Account
	}
	if list.Status != "" {
		x.Status = list.Status
	}
	if x.Status != finance.Booked && x.Status != finance.Pending {
		return fmt.Errorf("status: %w", errStatus)
	}
	var made bool
	if x.ID, made, err = t.key(&x, x.AccountID, v, d); err != nil {
		return err
	}
	x.Place = place
	if x.Extra, err = d.extraJSON(); err != nil {
		return err
	}
	d.remember(x.ID, made || d.p.Whole || d.p.wholePending && x.Status == finance.Pending)
	d.page.Records.Transactions = append(d.page.Records.Transactions, x)
	return nil
}

type debtTable struct{ *columns[finance.Debt] }

func newDebtTable(t *Debts, p *plan) (table, error) {
	c, err := newColumns(finance.Debt{TermsLeft: -1, CoBorrower: -1}, t.Fields.columns(), t.Fields.ID, p)
	return &debtTable{c}, err
}

func (t *debtTable) take(d *decoder, _ *List, v values, place int32) error {
	x, err := t.read(v)
	if err != nil {
		return err
	}
	var made bool
	if x.ID, made, err = t.key(&x, "", v, d); err != nil {
		return err
	}
	x.Place = place
	if x.Extra, err = d.extraJSON(); err != nil {
		return err
	}
	d.remember(x.ID, made || d.p.Whole)
	d.page.Records.Debts = append(d.page.Records.Debts, x)
	return nil
}
