package rest

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"

	"syncer/fetch/jsonread"
	"syncer/finance"
)

var (
	errMissing  = errors.New("missing")
	errStatus   = errors.New("neither booked nor pending: add it to the map")
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

func newColumns[T any](blank T, all []column[T], id *ID, p *compiledReading, must ...string) (*columns[T], error) {
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
		if there {
			col.set(&record, value)
		} else if err == nil && c.needs(col) {
			err = errMissing
		}
		if err != nil {
			return c.blank, fmt.Errorf("%s: %w", col.source.label, err)
		}
	}
	return record, nil
}

// needs says that a record without a value of the column can't be read or stored.
func (c *columns[T]) needs(col *column[T]) bool {
	return col.field.Required || slices.Contains(c.must, col.name)
}

// label is a column's name with its path, for people.
func (c *columns[T]) label(name string) string {
	for i := range c.filled {
		if c.filled[i].name == name {
			return c.filled[i].source.label
		}
	}
	return name
}

// own is the API's own key; empty where it is missing, blank or no text.
func (c *columns[T]) own(v values) string {
	id, err := textOf(v.first(c.id))
	if err != nil || finance.IsBlank(id) {
		return ""
	}
	return id
}

// key gives the API's own key of a record; empty: one is to be made. A blank is no key: some APIs write one for all records
// that have none yet.
func (c *columns[T]) key(v values, d *decoder) (id string, err error) {
	id, err = textOf(v.first(c.id))
	if finance.IsBlank(id) {
		id = ""
	}
	switch {
	case err != nil:
		return "", fmt.Errorf("id: %w", err)
	case id == "" && len(c.hash) == 0:
		return "", fmt.Errorf("id: %w", errMissing)
	case id != "" && d.isSubject(id):
		return "", fmt.Errorf("id: %w", errPersonal)
	}
	return id, nil
}

// make makes a key of the columns that stay the same, with the number that the record has among those alike.
func (c *columns[T]) make(record *T, d *decoder) string {
	var b []byte
	for i := range c.hash {
		part := c.hash[i].show(record)
		b = binary.AppendUvarint(b, uint64(len(part)))
		b = append(b, part...)
	}
	id := d.number(b)
	d.remember(id, true)
	return id
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

func newAccountTable(a *Accounts, p *compiledReading) (table, error) {
	c, err := newColumns(finance.Account{}, a.Fields.columns(), a.Fields.ID, p)
	if err != nil {
		return &accountTable{columns: c}, err
	}
	if a.Balances == nil {
		return &accountTable{columns: c}, nil
	}
	b, err := newBalanceTable(a.Balances, p)
	return &accountTable{c, b}, err
}

func (t *accountTable) take(d *decoder, _ *List, v values, place int32) error {
	a, err := t.read(v)
	if err != nil {
		return err
	}
	a.ID, err = t.key(v, d)
	if err != nil {
		return err
	}
	if a.ID == "" {
		if d.known {
			d.extra.Reset()
			return nil // stored already, with a number of its own
		}
		a.ID = t.make(&a, d)
		a.Made = true
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
	d.page.Records.Accounts = jsonread.Append(d.s, d.page.Records.Accounts, a)
	d.page.Records.Balances = append(d.page.Records.Balances, figures...)
	return nil
}

type transactionTable struct{ *columns[finance.Transaction] }

func newTransactionTable(t *Transactions, p *compiledReading) (table, error) {
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
		x.AccountID = d.p.stream.Account
	}
	if list.Status != "" {
		x.Status = list.Status
	}
	if x.Status != finance.Booked && x.Status != finance.Pending {
		return fmt.Errorf("status: %w", errStatus)
	}
	if x.Status == finance.Booked && x.BookedOn.IsZero() {
		return fmt.Errorf("%s: %w", t.label("booked_on"), errMissing)
	}
	x.ID, err = t.key(v, d)
	if err != nil {
		return err
	}
	stored := d.known && x.ID == ""
	if stored || d.p.elsewhere(x.Status) {
		d.extra.Reset()
		return nil
	}
	if x.ID == "" {
		x.ID = t.make(&x, d)
		x.Made = true
	}
	x.Place = place
	if x.Extra, err = d.extraJSON(); err != nil {
		return err
	}
	d.page.Records.Transactions = jsonread.Append(d.s, d.page.Records.Transactions, x)
	return nil
}

type debtTable struct{ *columns[finance.Debt] }

func newDebtTable(t *Debts, p *compiledReading) (table, error) {
	c, err := newColumns(finance.Debt{TermsLeft: -1, CoBorrower: -1}, t.Fields.columns(), t.Fields.ID, p)
	return &debtTable{c}, err
}

func (t *debtTable) take(d *decoder, _ *List, v values, place int32) error {
	x, err := t.read(v)
	if err != nil {
		return err
	}
	x.ID, err = t.key(v, d)
	if err != nil {
		return err
	}
	if x.ID == "" {
		if d.known {
			d.extra.Reset()
			return nil // stored already, with a number of its own
		}
		x.ID = t.make(&x, d)
		x.Made = true
	}
	x.Place = place
	if x.Extra, err = d.extraJSON(); err != nil {
		return err
	}
	d.page.Records.Debts = jsonread.Append(d.s, d.page.Records.Debts, x)
	return nil
}
