package rest

import (
	"fmt"
	"strings"

	"syncer/fetch"
	"syncer/finance"
)

// The kinds of balances that are stored.
var balanceKinds = []string{"booked", "available", "credit_limit"}

// balanceTable reads the figures of an account.
type balanceTable struct {
	list   []int  // where the list stands in the account
	path   string // of the list
	one    *shape // an element of the list
	kind   *source
	amount *source
	money  *source // the currency; nil: that of the account

	figures []figure // where there is no list
}

type figure struct {
	kind   string
	source *source
}

func newBalanceTable(b *Balances, p *plan) (*balanceTable, error) {
	t := &balanceTable{one: newShape()}
	in := p.record
	if len(b.List) > 0 {
		t.list, t.path, in = p.record.slots(b.List), b.List[0], t.one
	}
	fill := func(name string, f *Field, k kind) (*source, error) {
		if f == nil {
			return nil, nil
		}
		return newSource(use{"balances." + name, f, k}, in, p.zone)
	}
	var err error
	if t.kind, err = fill("kind", b.Kind, asText); err != nil {
		return nil, err
	}
	if t.amount, err = fill("amount", b.Amount, asAmount); err != nil {
		return nil, err
	}
	if t.money, err = fill("currency", b.Currency, asText); err != nil {
		return nil, err
	}
	for i, f := range []*Field{b.Booked, b.Available, b.CreditLimit} {
		s, err := fill(balanceKinds[i], f, asAmount)
		if err != nil {
			return nil, err
		}
		if s != nil {
			t.figures = append(t.figures, figure{balanceKinds[i], s})
		}
	}
	return t, nil
}

// of gives the figures of an account. Those of a kind that is not stored go to keep, as the provider wrote them.
func (t *balanceTable) of(a *finance.Account, v values, keep func(path, raw string)) (out []finance.Balance, err error) {
	for _, f := range t.figures {
		if out, err = t.add(out, a, f.kind, f.source, v); err != nil {
			return nil, err
		}
	}
	raw := v.first(t.list)
	if raw == "" {
		return out, nil
	}
	var others []string
	s := fetch.Scan([]byte(raw))
	for e := s.Array(); e.Next(); {
		one := s.Raw()
		if s.Err() != nil {
			break
		}
		inner := taking{s: fetch.Scan([]byte(one)), into: t.one.values()}
		inner.value(t.one.root, "")
		kind, _, err := t.kind.read(inner.into)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", t.kind.label, err)
		}
		before := len(out)
		if out, err = t.add(out, a, kind.text, t.amount, inner.into); err != nil {
			return nil, err
		}
		if len(out) == before {
			others = append(others, one)
		}
	}
	if s.End() != nil {
		return nil, fmt.Errorf("balances (%s): not a list", t.path)
	}
	if len(others) > 0 {
		keep(t.path, "["+strings.Join(others, ",")+"]")
	}
	return out, nil
}

// add appends a figure, unless it is absent, of a kind that is not stored, or the second of its kind.
func (t *balanceTable) add(out []finance.Balance, a *finance.Account, kind string, amount *source, v values) ([]finance.Balance, error) {
	if !known(kind, out) {
		return out, nil
	}
	b := finance.Balance{Lineage: a.Lineage, AccountID: a.ID, Kind: kind, Currency: a.Currency}
	figure, there, err := amount.read(v)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", amount.label, err)
	}
	if !there {
		return out, nil
	}
	b.Amount = figure.amount
	if t.money != nil {
		money, there, err := t.money.read(v)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", t.money.label, err)
		}
		if there {
			b.Currency = money.text
		}
	}
	if b.Currency == "" {
		return nil, fmt.Errorf("balances.currency: %w", errMissing)
	}
	return append(out, b), nil
}

// known says that a kind is stored, and that there is no figure of it yet.
func known(kind string, already []finance.Balance) bool {
	for i := range already {
		if already[i].Kind == kind {
			return false
		}
	}
	return kind == balanceKinds[0] || kind == balanceKinds[1] || kind == balanceKinds[2]
}
