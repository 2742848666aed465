package rest

import (
	"fmt"
	"slices"
	"strings"

	"syncer/fetch/jsonread"
	"syncer/finance"
)

// The kinds of balances that are stored.
var balanceKinds = []string{finance.BalanceBooked, finance.BalanceAvailable, finance.BalanceCreditLimit}

// balanceTable reads the figures of an account.
type balanceTable struct {
	list   []int  // where the list stands in the account
	path   string // of the list
	one    *shape // an element of the list
	kind   *source
	amount *source
	money  *source // the currency; nil: that of the account
	dated  *source // when the figure was; nil: that is not described

	figures []figure // where there is no list
}

type figure struct {
	kind   string
	source *source
}

func newBalanceTable(b *Balances, p *compiledReading) (*balanceTable, error) {
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
	if t.dated, err = fill("reference_date", b.ReferenceDate, asOrder); err != nil {
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

// figureRead is a figure as it stands in an answer.
type figureRead struct {
	finance.Balance
	order finance.Version // by its reference date
	raw   string          // where it stands in a list
}

// of gives the figures of an account, one of each kind and currency. The others go to keep, as the provider wrote them.
func (t *balanceTable) of(a *finance.Account, v values, keep func(path, raw string)) (out []finance.Balance, err error) {
	var figures []figureRead
	for _, f := range t.figures {
		one, there, err := t.read(a, f.kind, f.source, v)
		if err != nil {
			return nil, err
		}
		if there {
			figures = append(figures, one)
		}
	}
	listed, others, err := t.listed(a, v.first(t.list))
	if err != nil {
		return nil, err
	}
	figures = append(figures, listed...)
	if len(others) > 0 {
		keep(t.path, "["+strings.Join(others, ",")+"]")
	}
	for _, f := range figures {
		out = append(out, f.Balance)
	}
	return out, nil
}

// listed reads the figures of a list. others are the elements that are not stored: of a kind that has no place, without an
// amount, or older than another of their kind and currency.
func (t *balanceTable) listed(a *finance.Account, raw string) (figures []figureRead, others []string, err error) {
	if raw == "" {
		return nil, nil, nil
	}
	s := jsonread.Scan([]byte(raw))
	for e := s.Array(); e.Next(); {
		element := s.Raw()
		if s.Err() != nil {
			break
		}
		one, there, err := t.element(a, element)
		if err != nil {
			return nil, nil, err
		}
		if !there {
			others = append(others, element)
			continue
		}
		same := func(f figureRead) bool { return f.Kind == one.Kind && f.Currency == one.Currency }
		at := slices.IndexFunc(figures, same)
		switch {
		case at < 0:
			figures = append(figures, one)
		case one.order.Compare(figures[at].order) > 0:
			others = append(others, figures[at].raw)
			figures[at] = one
		default: // older, or nothing tells which is the newer
			others = append(others, element)
		}
	}
	if s.End() != nil {
		return nil, nil, fmt.Errorf("balances (%s): not a list", t.path)
	}
	return figures, others, nil
}

// element reads one element of the list.
func (t *balanceTable) element(a *finance.Account, raw string) (one figureRead, there bool, err error) {
	inner := taking{s: jsonread.Scan([]byte(raw)), into: t.one.values()}
	inner.value(t.one.root, "")
	kind, _, err := t.kind.read(inner.into)
	if err != nil {
		return one, false, fmt.Errorf("%s: %w", t.kind.label, err)
	}
	if !slices.Contains(balanceKinds, kind.text) {
		return one, false, nil
	}
	one, there, err = t.read(a, kind.text, t.amount, inner.into)
	one.raw = raw
	return one, there, err
}

// read reads a figure of a kind that is stored. One without an amount is not there.
func (t *balanceTable) read(a *finance.Account, kind string, amount *source, v values) (one figureRead, there bool, err error) {
	one.Balance = finance.Balance{Lineage: a.Lineage, AccountID: a.ID, Kind: kind, Currency: a.Currency}
	figure, there, err := amount.read(v)
	if err != nil {
		return one, false, fmt.Errorf("%s: %w", amount.label, err)
	}
	if !there {
		return one, false, nil
	}
	one.Amount = figure.amount
	if t.money != nil {
		money, there, err := t.money.read(v)
		if err != nil {
			return one, false, fmt.Errorf("%s: %w", t.money.label, err)
		}
		if there {
			one.Currency = money.text
		}
	}
	if one.Currency == "" {
		return one, false, fmt.Errorf("balances.currency: %w", errMissing)
	}
	if t.dated != nil {
		dated, _, err := t.dated.read(v)
		if err != nil {
			return one, false, fmt.Errorf("%s: %w", t.dated.label, err)
		}
		one.order = dated.order
	}
	return one, true, nil
}
