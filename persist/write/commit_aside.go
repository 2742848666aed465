package write

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"

	"syncer/finance"
	"syncer/persist/pg"
)

// A record that Postgres refuses is set aside: it goes to quarantine, and the page is written without it.
// Connectors take away what they know can't be stored, so this is for what nobody foresaw, such as a
// constraint of an administrator's own.

// asideAtMost bounds how many records of a page are set aside one by one, since each costs attempts. A page
// of which more are refused, or most, is not taken: that is no bad record.
const (
	asideAtMost = 32
	asideFew    = 5
)

// commitAlone writes one page in a transaction of its own, without the records that Postgres refuses.
func (w *Writer) commitAlone(ctx context.Context, p *page) error {
	all := p.Records.Len()
	for again := false; ; {
		err := w.commitGroup(ctx, &group{pages: []*page{p}})
		if err == nil || classify(err) != data || ofWholeList(err) {
			return err
		}
		if p.aside == asideAtMost || p.aside >= asideFew && 2*p.aside >= all {
			return fmt.Errorf("%d of %d records of the page are refused, and more: %w", p.aside, all, err)
		}
		bad, found, searchErr := w.culprit(ctx, p, err, again)
		switch {
		case searchErr != nil:
			return searchErr
		case found:
			p.setAside(bad, whyRefused(err))
		case again:
			return err
		default: // it may have been refused for a moment only
			again = true
		}
	}
}

// whyRefused is what quarantine says of a record that Postgres refuses.
func whyRefused(err error) string {
	if bad, ok := errors.AsType[*dataError](err); ok && bad.why != "" {
		return "can't be stored: " + bad.why
	}
	return "can't be stored: " + pg.Describe(err).Error()
}

// culprit finds the record that an attempt failed for: the one that the error names, or else by halves, with
// attempts that are rolled back. It must be refused once more, all alone, unless the page has failed for it
// again. None is found where the page fails without any record, or where only several together fail.
func (w *Writer) culprit(ctx context.Context, p *page, err error, again bool) (bad part, found bool, _ error) {
	if !ofRecords(err) {
		return part{}, false, nil
	}
	suspects := partsOf(&p.Records)
	if named, ok := namedBy(err, p); ok {
		suspects = []part{named}
	}
	fails := func(some []part) (bool, error) {
		err := w.try(ctx, p, some)
		if err != nil && classify(err) != data {
			return false, err
		}
		return err != nil, nil
	}
	if without, err := fails(nil); err != nil || without || len(suspects) == 0 {
		return part{}, false, err
	}
	named := len(suspects) == 1
	for len(suspects) > 1 {
		half := len(suspects) / 2
		first, err := fails(suspects[:half])
		if err != nil {
			return part{}, false, err
		}
		if first {
			suspects = suspects[:half]
		} else {
			suspects = suspects[half:]
		}
	}
	alone, err := fails(suspects)
	return suspects[0], alone || named && again, err
}

// namedBy is the record that an error names.
func namedBy(err error, p *page) (part, bool) {
	bad, ok := errors.AsType[*dataError](err)
	if !ok || bad.record == nil {
		return part{}, false
	}
	for _, one := range partsOf(&p.Records) {
		if slices.Contains(one.stands, bad.record) {
			return one, true
		}
	}
	return part{}, false
}

// try writes some of a page's records and takes them back, to see whether Postgres accepts them.
func (w *Writer) try(ctx context.Context, p *page, some []part) error {
	write := *p.PageWrite
	write.Records = joined(some)
	write.Whole = nil
	var result Result
	return w.commitGroup(ctx, &group{pages: []*page{{PageWrite: &write, result: &result}}, trial: true})
}

// part is one record of a page with what belongs to it: an account has figures, which stand and fall with it.
type part struct {
	finance.Records
	stands []any // where in the page it stands, as pointers
	place  int32
	key    string // the provider's; empty: it was made here
	hash   finance.Hash
}

// partsOf cuts the records of a page apart. A figure whose account is not on the page is a part of its own.
func partsOf(r *finance.Records) []part {
	var h finance.Hasher
	var parts []part
	owner := map[string]int{}
	for i := range r.Accounts {
		a := &r.Accounts[i]
		owner[a.ID] = len(parts)
		one := newPart(a, &a.Lineage, a.ID, a.ID, h.Account(a))
		one.Accounts = r.Accounts[i : i+1]
		parts = append(parts, one)
	}
	for i := range r.Balances {
		b := &r.Balances[i]
		at, owned := owner[b.AccountID]
		if !owned {
			at = len(parts)
			name := b.AccountID + "\x00" + b.Kind + "\x00" + b.Currency
			parts = append(parts, newPart(b, &b.Lineage, "", name, h.Balance(b)))
		}
		parts[at].Balances = append(parts[at].Balances, *b)
		parts[at].stands = append(parts[at].stands, b)
	}
	for i := range r.Transactions {
		t := &r.Transactions[i]
		one := newPart(t, &t.Lineage, t.ID, t.ID, h.Transaction(t))
		one.Transactions = r.Transactions[i : i+1]
		parts = append(parts, one)
	}
	for i := range r.Debts {
		d := &r.Debts[i]
		one := newPart(d, &d.Lineage, d.ID, d.ID, h.Debt(d))
		one.Debts = r.Debts[i : i+1]
		parts = append(parts, one)
	}
	return parts
}

// newPart makes the part of one record. Its name goes into its hash: two records with the same content are two records, and
// quarantine holds each once.
func newPart(stands any, l *finance.Lineage, key, name string, content finance.Hash) part {
	sum := sha256.Sum256(append([]byte(name+"\x00"), content[:]...))
	p := part{stands: []any{stands}, place: l.Place, hash: finance.Hash(sum[:16])}
	if !l.Made && finance.FaultOfKey(key) == "" {
		p.key = key
	}
	return p
}

func joined(parts []part) (all finance.Records) {
	for _, one := range parts {
		all.Accounts = append(all.Accounts, one.Accounts...)
		all.Balances = append(all.Balances, one.Balances...)
		all.Transactions = append(all.Transactions, one.Transactions...)
		all.Debts = append(all.Debts, one.Debts...)
	}
	return all
}

// setAside takes a record from the page into quarantine.
func (p *page) setAside(bad part, why string) {
	kept := slices.DeleteFunc(partsOf(&p.Records), func(one part) bool { return one.stands[0] == bad.stands[0] })
	p.Records = joined(kept)
	reject := finance.Reject{Place: bad.place, Reason: why, Key: bad.key, Body: bad.hash}
	p.Rejects = append(slices.Clip(p.Rejects), reject)
	p.aside++
}

// setKeysAside sets those records aside whose keys Postgres would refuse wherever they are asked for. The
// other texts are checked when they are written, and that is only when they are new.
func (p *page) setKeysAside() {
	if p.faultOfKeys() == "" {
		return
	}
	for _, one := range partsOf(&p.Records) {
		bad := page{PageWrite: &PageWrite{Records: one.Records}}
		if why := bad.faultOfKeys(); why != "" {
			p.setAside(one, "can't be stored: its key is "+why)
		}
	}
}

func (p *page) faultOfKeys() string {
	r := &p.Records
	return cmp.Or(faultOfKeys(&accountKind, r.Accounts), faultOfKeys(&balanceKind, r.Balances),
		faultOfKeys(&transactionKind, r.Transactions), faultOfKeys(&debtKind, r.Debts))
}

func faultOfKeys[T any](k *kind[T], records []T) string {
	for i := range records {
		for _, key := range k.id(&records[i]) {
			if key == "" { // keys have up to three parts
				continue
			}
			if why := finance.FaultOfKey(key); why != "" {
				return why
			}
		}
	}
	return ""
}
