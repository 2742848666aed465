package fetch

import (
	"cmp"
	"context"
	"slices"

	"syncer/fetch/jsonread"
	"syncer/finance"
)

// Vet is Page.Vet, and marks the rejects that an earlier run has quarantined with the same bytes. It is for
// connectors whose position waits for a record that could not be read: see Page.Holds. It also holds back what is older
// than the last answer was.
func (s *Stream) Vet(ctx context.Context, page *Page) error {
	page.Vet()
	s.holdOlder(page)
	return s.recall(ctx, page)
}

func (s *Stream) recall(ctx context.Context, page *Page) error {
	var ask []finance.Hash
	for i := range page.Rejects {
		if !page.Rejects[i].Known {
			ask = append(ask, page.Rejects[i].Body)
		}
	}
	if s.Rows == nil || len(ask) == 0 {
		return nil
	}
	known, err := s.Rows.Quarantined(ctx, ask)
	if err != nil {
		return s.unasked(err)
	}
	for i := range page.Rejects {
		r := &page.Rejects[i]
		if met, ok := known[r.Body]; ok {
			r.Known = true
			r.Accepted = met.Accepted
		}
	}
	return nil
}

// Hidden says that the page holds a record of which not even the key could be read. Nobody can tell which
// one it is, so a set with it is not known whole. One whose key was read counts as seen.
func (p *Page) Hidden() bool {
	for i := range p.Rejects {
		if p.Rejects[i].Key == "" {
			return true
		}
	}
	return false
}

// Holds says that the page holds a record which could not be read, and which no earlier run has met with the
// same bytes. The stream's position must not pass it, because nothing else leads back to it. What comes a
// second time as it was will not fit the third time either.
func (p *Page) Holds() bool {
	for i := range p.Rejects {
		if !p.Rejects[i].Known {
			return true
		}
	}
	return false
}

// Vet takes from a page what can't be stored and what contradicts itself, and notes it among the rejects. So
// a record costs only itself: the good ones beside it are stored, and Postgres is not shown what it would
// refuse.
//
// A connector calls it as soon as the page holds its records, before it decides what the page proves: see
// Page.Hidden. Walk calls it once more, so that nothing slips by.
func (p *Page) Vet() {
	r := &p.Records
	if p.vetted == r.Len()+1 {
		return
	}
	var gone []int32
	r.Accounts, gone = sift(p, p.accountRule(), r.Accounts)
	r.Balances = without(r.Balances, gone)
	r.Transactions, _ = sift(p, transactionRule(), r.Transactions)
	r.Debts, _ = sift(p, debtRule(), r.Debts)
	p.vetted = r.Len() + 1
}

// without leaves out the figures of accounts that stood at these places.
func without(figures []finance.Balance, gone []int32) []finance.Balance {
	if len(gone) == 0 {
		return figures
	}
	kept := figures[:0]
	for _, f := range figures {
		if !slices.Contains(gone, f.Place) {
			kept = append(kept, f)
		}
	}
	return kept
}

// rule is how records of one kind are vetted.
type rule[T any] struct {
	key     func(*T) (account, id string)
	lineage func(*T) *finance.Lineage
	hash    func(*finance.Hasher, *T) finance.Hash
	fault   func(*T) string               // why it can't be stored, its key left aside; empty: it can
	order   func(before, behind *T) order // of two with one key and other content
}

// order is what the provider tells of two versions of a record in one answer.
type order int

const (
	orderUnknown  order = iota
	firstIsNewer        // the first one is the newer
	secondIsNewer       // the second one is
)

func byVersion(before, behind finance.Version) order {
	if !before.Told || !behind.Told {
		return orderUnknown
	}
	switch further := behind.Compare(before); {
	case further > 0:
		return secondIsNewer
	case further < 0:
		return firstIsNewer
	}
	return orderUnknown
}

// accountRule takes an account's figures, which stand at its place, for parts of it.
func (p *Page) accountRule() *rule[finance.Account] {
	odd := map[int32]bool{} // the places of figures without a currency
	for i := range p.Records.Balances {
		if b := &p.Records.Balances[i]; faultOfCurrency(b.Currency) != "" {
			odd[b.Place] = true
		}
	}
	return &rule[finance.Account]{
		key:     func(a *finance.Account) (string, string) { return "", a.ID },
		lineage: func(a *finance.Account) *finance.Lineage { return &a.Lineage },
		hash: func(h *finance.Hasher, a *finance.Account) finance.Hash {
			hash := h.Account(a)
			text := hash[:]
			for i := range p.Records.Balances {
				b := &p.Records.Balances[i]
				if b.AccountID != a.ID || b.Place != a.Place {
					continue
				}
				hash := h.Balance(b)
				text = append(append(text, b.Kind...), hash[:]...)
			}
			return finance.HashOf(string(text))
		},
		fault: func(a *finance.Account) string {
			if odd[a.Place] {
				return "balances." + noCurrency
			}
			return cmp.Or(faultOfCurrency(a.Currency), faultOfExtra(a.Extra))
		},
		order: func(a, b *finance.Account) order { return byVersion(a.Version, b.Version) },
	}
}

func transactionRule() *rule[finance.Transaction] {
	return &rule[finance.Transaction]{
		key:     func(t *finance.Transaction) (string, string) { return t.AccountID, t.ID },
		lineage: func(t *finance.Transaction) *finance.Lineage { return &t.Lineage },
		hash:    (*finance.Hasher).Transaction,
		fault: func(t *finance.Transaction) string {
			switch {
			case finance.IsBlank(t.AccountID): // such as in a list of all accounts
				return ""
			case finance.FaultOfKey(t.AccountID) != "":
				return "account: " + finance.FaultOfKey(t.AccountID)
			case t.Status == finance.Booked && t.BookedOn.IsZero():
				return "booked_on: missing"
			case faultOfCurrency(t.OriginalCurrency) != "":
				return "original_" + noCurrency
			}
			return cmp.Or(faultOfCurrency(t.Currency), faultOfExtra(t.Extra))
		},
		// A reservation that is booked may show in both lists. What is booked is the later state.
		order: func(a, b *finance.Transaction) order {
			switch [2]string{a.Status, b.Status} {
			case [2]string{finance.Pending, finance.Booked}:
				return secondIsNewer
			case [2]string{finance.Booked, finance.Pending}:
				return firstIsNewer
			}
			return byVersion(a.Version, b.Version)
		},
	}
}

func debtRule() *rule[finance.Debt] {
	return &rule[finance.Debt]{
		key:     func(d *finance.Debt) (string, string) { return "", d.ID },
		lineage: func(d *finance.Debt) *finance.Lineage { return &d.Lineage },
		hash:    (*finance.Hasher).Debt,
		fault: func(d *finance.Debt) string {
			return cmp.Or(faultOfCurrency(d.Currency), faultOfExtra(d.Extra))
		},
		order: func(a, b *finance.Debt) order {
			if told := byVersion(a.Version, b.Version); told != orderUnknown {
				return told
			}
			return byVersion(finance.VersionAt(a.ReportedAt), finance.VersionAt(b.ReportedAt))
		},
	}
}

// sift keeps the records of one kind that can be stored and are not contradicted, each key once. It also
// gives the places of the others.
func sift[T any](p *Page, of *rule[T], records []T) (kept []T, gone []int32) {
	if len(records) == 0 {
		return records, nil
	}
	var h finance.Hasher
	drop := map[int]bool{}
	counts := make(map[[2]string]int, len(records)) // which record of a key counts so far
	disputed := map[[2]string]bool{}
	refuse := func(i int, why string) {
		drop[i] = true
		p.Rejects = append(p.Rejects, of.reject(&h, &records[i], why))
	}
	for i := range records {
		account, id := of.key(&records[i])
		if why := of.faultOf(&records[i], id); why != "" {
			refuse(i, why)
			continue
		}
		key := [2]string{account, id}
		before, met := counts[key]
		if !met {
			counts[key] = i
			continue
		}
		if disputed[key] {
			refuse(i, contradiction)
			continue
		}
		if of.hash(&h, &records[before]) == of.hash(&h, &records[i]) {
			drop[i] = true // the very same record, shown twice
			continue
		}
		switch of.order(&records[before], &records[i]) {
		case firstIsNewer:
			drop[i] = true
		case secondIsNewer:
			drop[before] = true
			counts[key] = i
		default:
			disputed[key] = true
			refuse(before, contradiction)
			refuse(i, contradiction)
		}
	}
	if len(drop) == 0 {
		return records, nil
	}
	kept = records[:0]
	for i := range records {
		if drop[i] {
			gone = append(gone, of.lineage(&records[i]).Place)
			continue
		}
		kept = append(kept, records[i])
	}
	return kept, gone
}

const contradiction = "the answer has this key twice, with other content, and nothing tells which is the newer"

func (of *rule[T]) faultOf(rec *T, id string) string {
	if why := finance.FaultOfKey(id); why != "" {
		return "id: " + why
	}
	return of.fault(rec)
}

// reject is a record that was read and can't be kept. Its bytes are not at hand, so it is known by its
// content.
func (of *rule[T]) reject(h *finance.Hasher, rec *T, why string) finance.Reject {
	account, id := of.key(rec)
	content := of.hash(h, rec)
	body := finance.HashOf(account + "\x00" + id + "\x00" + string(content[:]))
	r := finance.Reject{Place: of.lineage(rec).Place, Reason: why, Body: body}
	if !of.lineage(rec).Made && finance.FaultOfKey(id) == "" {
		r.Key = id
	}
	return r
}

const noCurrency = "currency: want the three letters of a currency (ISO 4217), and it is something else"

// faultOfCurrency says why a currency can't be stored; empty: it can, or there is none. What stands in its place elsewhere
// may be anything, a person's number too, and nobody would look for that in a column of currencies.
func faultOfCurrency(code string) string {
	letter := func(c byte) bool { return 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z' }
	if code == "" || len(code) == 3 && letter(code[0]) && letter(code[1]) && letter(code[2]) {
		return ""
	}
	return noCurrency
}

// faultOfExtra says why what has no column can't be stored; empty: it can.
func faultOfExtra(extra []byte) string {
	if jsonread.HasHugeNumber(extra) {
		return "a number that is too large or too small to be stored"
	}
	return ""
}
