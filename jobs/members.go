package jobs

import (
	"bytes"
	"context"
	"slices"

	"syncer/fetch"
	"syncer/finance"
	"syncer/persist/queue"
)

// counted is what was counted of one kind of records.
type counted struct {
	records, consents int64
	held              []int64 // by the columns
	extra             names   // members without a column
	figures           names   // of accounts, by their kinds
}

// names counts what has no column.
type names map[string]*int64

// The bounds of names: whoever makes names of ids would fill the memory, and the log.
const (
	namesOfConsent = 64
	namesOfBatch   = 256
	longestName    = 60
)

// count counts a name once more. One that may be a person's number is left out.
func (n *names) count(name []byte) {
	if known := (*n)[string(name)]; known != nil {
		*known++
		return
	}
	if len(name) > longestName || !plainName(name) {
		return
	}
	if !finance.HoldsNationalID(string(name)) {
		n.add(string(name), 1, namesOfConsent)
	}
}

func (n *names) add(name string, times int64, most int) {
	if known := (*n)[name]; known != nil {
		*known += times
		return
	}
	if len(*n) >= most {
		return
	}
	if *n == nil {
		*n = names{}
	}
	(*n)[name] = &times
}

func plainName(name []byte) bool {
	if len(name) == 0 {
		return false
	}
	return !slices.ContainsFunc(name, func(b byte) bool { return !isOfName(b) })
}

// isOfName says that a byte may stand in the name of a member.
func isOfName(b byte) bool {
	switch b {
	case '_', '-', '.':
		return true
	}
	if b-'0' <= 9 {
		return true
	}
	letter := b | 0x20
	return letter >= 'a' && letter <= 'z'
}

func count[T any](c *counted, columns []column[T], rec *T, extra []byte) {
	if c.held == nil {
		c.held = make([]int64, len(columns))
	}
	c.records++
	for i := range columns {
		if columns[i].held(rec) {
			c.held[i]++
		}
	}
	eachMember(extra, c.extra.count)
}

// add adds what one consent has brought.
func (c *counted) add(o *counted) {
	if o.records == 0 {
		return
	}
	c.records += o.records
	c.consents++
	if c.held == nil {
		c.held = make([]int64, len(o.held))
	}
	for i, n := range o.held {
		c.held[i] += n
	}
	for name, n := range o.extra {
		c.extra.add(name, *n, namesOfBatch)
	}
	for name, n := range o.figures {
		c.figures.add(name, *n, namesOfBatch)
	}
}

// members counts, of the records that were decoded, how many hold something in each member. See
// persist.Drift.
type members struct {
	accounts, balances, booked, pending, debts counted
}

func (m *members) page(by *columns, page *fetch.Page) {
	r := &page.Records
	for i := range r.Accounts {
		count(&m.accounts, by.account, &r.Accounts[i], r.Accounts[i].Extra)
	}
	for i := range r.Balances {
		count(&m.balances, by.balance, &r.Balances[i], nil)
	}
	m.figures(r)
	for i := range r.Transactions {
		t := &r.Transactions[i]
		if t.Status == finance.Pending { // it has less to tell
			count(&m.pending, by.transaction, t, t.Extra)
		} else {
			count(&m.booked, by.transaction, t, t.Extra)
		}
	}
	for i := range r.Debts {
		count(&m.debts, by.debt, &r.Debts[i], r.Debts[i].Extra)
	}
}

// figures counts which figures the accounts of a page have: one that is missing leaves no record that
// could miss anything.
func (m *members) figures(r *finance.Records) {
	if len(r.Accounts) == 0 || len(r.Balances) == 0 {
		return
	}
	type figure struct{ account, kind string }
	met := make(map[figure]struct{}, len(r.Balances))
	for i := range r.Balances {
		f := figure{r.Balances[i].AccountID, r.Balances[i].Kind}
		if _, again := met[f]; !again {
			met[f] = struct{}{}
			m.accounts.figures.count([]byte(f.kind))
		}
	}
}

func (m *members) add(o *members) {
	m.accounts.add(&o.accounts)
	m.balances.add(&o.balances)
	m.booked.add(&o.booked)
	m.pending.add(&o.pending)
	m.debts.add(&o.debts)
}

// rows are the counts as they are kept. Members that nothing was in are left out.
func (m *members) rows(by *columns) (rows []queue.MemberCount) {
	rows = append(rows, memberRows("accounts", &m.accounts, by.account)...)
	rows = append(rows, memberRows("balances", &m.balances, by.balance)...)
	rows = append(rows, memberRows("transactions", &m.booked, by.transaction)...)
	rows = append(rows, memberRows("pending", &m.pending, by.transaction)...)
	return append(rows, memberRows("debts", &m.debts, by.debt)...)
}

func memberRows[T any](kind string, c *counted, columns []column[T]) (rows []queue.MemberCount) {
	if c.records == 0 {
		return nil
	}
	rows = append(rows, queue.MemberCount{Kind: kind, Records: c.records, Consents: c.consents})
	add := func(member string, records int64) {
		if records > 0 {
			rows = append(rows, queue.MemberCount{Kind: kind, Member: member, Records: records})
		}
	}
	for i, n := range c.held {
		add(columns[i].name, n)
	}
	for name, n := range c.extra {
		add("extra."+name, *n)
	}
	for name, n := range c.figures {
		add("balance."+name, *n)
	}
	return rows
}

// eachMember calls f with the name of each member of a JSON object without white space that holds
// something, as finance.Account.Extra and its like are.
func eachMember(object []byte, f func(name []byte)) {
	for at := 1; at < len(object) && object[at] == '"'; at++ {
		end := stringEnd(object, at+1)
		if end+1 >= len(object) {
			return
		}
		name := object[at+1 : end]
		from := end + 2 // behind the colon
		at = valueEnd(object, from)
		switch string(object[from:min(at, len(object))]) {
		case "", `""`, `[]`, `{}`, "null":
		default:
			f(name)
		}
	}
}

// stringEnd is where the quotation mark stands that ends a string.
func stringEnd(text []byte, at int) int {
	for at < len(text) {
		n := bytes.IndexByte(text[at:], '"')
		if n < 0 {
			return len(text)
		}
		escape := bytes.IndexByte(text[at:at+n], '\\')
		if escape < 0 {
			return at + n
		}
		at += escape + 2
	}
	return len(text)
}

// valueEnd is where the comma or the bracket stands behind a value.
func valueEnd(text []byte, at int) int {
	for depth := 0; at < len(text); at++ {
		switch text[at] {
		case '"':
			at = stringEnd(text, at+1)
		case '{', '[':
			depth++
		case '}', ']', ',':
			if depth == 0 {
				return at
			}
			if text[at] != ',' {
				depth--
			}
		}
	}
	return at
}

// noteMembers adds what a consent has brought in its turn.
func (w *batchWork) noteMembers(t *turn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.members.add(&t.members)
	t.members = members{}
}

// keepMembers writes what this claim of the batch has counted. It is a hint, so it fails nothing.
func (w *batchWork) keepMembers(ctx context.Context) {
	if !w.batch.WindowFrom.IsZero() { // a backfill: old days may hold other things
		return
	}
	reader := ""
	if v, ok := w.conn.Connector.(fetch.Versioned); ok {
		reader = v.Version()
	}
	rows := w.members.rows(w.columns)
	err := lastStatement(ctx, func(ctx context.Context) error {
		return w.Store.Queue.CountMembers(ctx, w.batch.ID, w.batch.Fence, reader, rows)
	})
	if err != nil {
		w.log.Warn().Err(err).Msg("what the batch has read is not counted: a drift may stay unseen")
	}
}
