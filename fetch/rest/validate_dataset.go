package rest

import (
	"maps"
	"slices"
	"strings"
	"time"

	"syncer/finance"
	"syncer/strictyaml"
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

func usesOf[T any](columns []column[T]) (uses []use) {
	for _, c := range columns {
		uses = append(uses, c.use)
	}
	return uses
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

// reading checks what all datasets share.
func (k checker) reading(path string, r *Reading, statuses bool) {
	k.request(path+".request", &r.Request)
	if !r.Request.names(forConsent, forAccount, forSubject) {
		k.Fail(path+".request", "the request names nobody, so everybody would get the same: use {consent}, {account} or {subject}")
	}
	if r.Whole && r.ofDays() {
		k.Fail(path+".whole", "the request names days, so a pass shows a part; older records would look as if they had vanished")
	}
	k.lists(path, r, statuses)
	k.pagination(path+".pagination", r)
	k.paths(path+".subject", r.Subject)
	k.paths(path+".record_subject", r.RecordSubject)
	k.paths(path+".drop", r.Drop)
	k.echoes(path+".echoes.", r.Echoes)
	for i := range r.Partial {
		at := join(path+".partial", itoa(i))
		sign := &r.Partial[i]
		k.paths(at+".path", Paths{sign.Path})
		if (sign.Above != nil) == (len(sign.Is) > 0) {
			k.Fail(at, "give above or is, one of the two")
		}
	}
}

// names says that the request has one of the placeholders.
func (r *Request) names(placeholders ...string) bool {
	return slices.ContainsFunc(r.placeholders(), func(name string) bool { return slices.Contains(placeholders, name) })
}

// ofDays says that a pass reads some days and no others.
func (r *Reading) ofDays() bool {
	return r.Pagination.Windows != nil || r.Request.names(forSince, forUntil)
}

// echoes checks where an answer repeats what was asked for.
func (k checker) echoes(path string, echoes map[string]string) {
	for _, at := range slices.Sorted(maps.Keys(echoes)) {
		k.paths(path+at, Paths{at})
		for _, name := range k.template(path+at, echoes[at]) {
			if name == forSubject {
				k.Fail(path+at, "whom an answer is about is checked by subject")
			}
		}
	}
}

func (k checker) request(path string, r *Request) {
	k.relative(path+".path", r.Path)
	inURL := func(at, text string) {
		if slices.Contains(k.template(at, text), forSubject) {
			k.Fail(at, "a national identity number must not stand in an address, which is logged everywhere: send {subject} in a header or in the body")
		}
	}
	inURL(path+".path", r.Path)
	for _, name := range slices.Sorted(maps.Keys(r.Query)) {
		inURL(path+".query."+name, r.Query[name])
	}
	for _, name := range slices.Sorted(maps.Keys(r.Headers)) {
		k.header(path+".headers."+name, name)
		k.template(path+".headers."+name, r.Headers[name])
		if strings.EqualFold(name, "Authorization") {
			k.Fail(path+".headers."+name, "this header carries the token; for a constant one use headers at the top")
		}
	}
	eachText(r.Body, path+".body", func(at, text string) string {
		k.template(at, text)
		return text
	})
	if r.Body != nil && r.Method != "POST" {
		k.Fail(path+".body", "a body goes with method POST")
	}
}

// template checks a text with placeholders and gives their names.
func (k checker) template(path, text string) []string {
	t, err := parseTemplate(text)
	if err != nil {
		k.Fail(path, "%s", err)
	}
	return t.names()
}

func (k checker) lists(path string, r *Reading, statuses bool) {
	around := r.around()
	for i := range r.Records {
		l := &r.Records[i]
		at := path + ".records"
		if len(r.Records) > 1 {
			at = join(at, itoa(i))
		}
		if l.Path != "." {
			k.paths(at, Paths{l.Path})
		}
		if l.Empty == emptyAbsent && !r.provesItself() {
			k.Fail(at+".empty", "an absent list shows that there is nothing only in an answer that is good by its subject, its echoes or its total: describe one of them")
		}
		if l.Status != "" && !statuses {
			k.Fail(at, "only transactions have a status")
		}
		for _, other := range around {
			if l.covers(other) {
				k.Fail(at, "%s can't be read: it lies inside of the list of records", other)
			}
		}
		k.noneInside(at, r.Records, i)
	}
}

// noneInside refuses a list of records that holds another one. Of two at the same path the second is told.
func (k checker) noneInside(at string, lists Lists, i int) {
	l := &lists[i]
	for j := range lists {
		other := lists[j].Path
		switch {
		case j == i:
			continue
		case other == l.Path && j > i && l.Path != ".":
			continue
		case l.covers(other):
			k.Fail(at, "one list of records lies inside of another")
		}
	}
}

// covers says that a path is the list's, or lies inside of it.
func (l *List) covers(path string) bool {
	switch {
	case l.Path == ".", path == l.Path:
		return true
	}
	return strings.HasPrefix(path, l.Path+".")
}

// around are the paths that are read beside the records.
func (r *Reading) around() Paths {
	paths := slices.Concat(r.Subject, Paths(slices.Sorted(maps.Keys(r.Echoes))))
	for i := range r.Partial {
		paths = append(paths, r.Partial[i].Path)
	}
	return append(paths, r.Pagination.reads()...)
}

// provesItself says that an answer without a list of records can be told from one of another shape.
func (r *Reading) provesItself() bool {
	return len(r.Subject)+len(r.Echoes)+len(r.Pagination.totals()) > 0
}

// reads are the paths that pagination looks at.
func (p *Pagination) reads() (paths Paths) {
	if p.NextLink != nil {
		paths = append(paths, p.NextLink.Path...)
	}
	if p.NextLink != nil {
		paths = append(paths, p.NextLink.HasMore...)
	}
	if c := p.Cursor; c != nil {
		paths = append(append(paths, c.Path...), c.HasMore...)
	}
	if n := p.Page; n != nil {
		paths = append(append(append(append(paths, n.HasMore...), n.Pages...), n.LastPage...), n.Total...)
	}
	if o := p.Offset; o != nil {
		paths = append(append(paths, o.HasMore...), o.Total...)
	}
	return paths
}

// totals are the paths of how many records there are.
func (p *Pagination) totals() Paths {
	switch {
	case p.Page != nil:
		return p.Page.Total
	case p.Offset != nil:
		return p.Offset.Total
	}
	return nil
}

func (k checker) pagination(path string, r *Reading) {
	p := &r.Pagination
	if kinds := p.kinds(); len(kinds) > 1 {
		k.Fail(path, "one list has one way of paging, and here are %s", strings.Join(kinds, " and "))
	}
	parameter := ""
	var ends []Paths
	switch {
	case p.Cursor != nil:
		parameter = p.Cursor.Parameter
	case p.Page != nil:
		parameter = p.Page.Parameter
		ends = []Paths{p.Page.HasMore, p.Page.Pages, p.Page.LastPage, p.Page.Total}
		k.beyond(path+".page.beyond", p.Page.Beyond)
		if !within(p.Page.first(), 0, 1) {
			k.Fail(path+".page.first", "the first page is 0 or 1")
		}
	case p.Offset != nil:
		parameter = p.Offset.Parameter
		ends = []Paths{p.Offset.HasMore, p.Offset.Total}
		k.beyond(path+".offset.beyond", p.Offset.Beyond)
	}
	k.oneEnd(path, ends)
	if _, twice := r.Request.Query[parameter]; twice {
		k.Fail(path, "parameter %q is set by the request's query already", parameter)
	}
	k.leadsTo(path, r)
	k.paths(path, p.reads())
	k.windows(path+".windows", r)
}

// oneEnd checks that the end of a list is told in one way.
func (k checker) oneEnd(path string, ways []Paths) {
	ends := 0
	for _, way := range ways {
		ends += min(len(way), 1)
	}
	if ends > 1 {
		k.Fail(path, "has_more, pages, last_page and total are ways to tell the end: give one of them")
	}
}

func (k checker) windows(path string, r *Reading) {
	w := r.Pagination.Windows
	if w == nil {
		return
	}
	if !within(w.Days, 1, 3660) {
		k.Fail(path+".days", "want 1 to 3660 days")
	}
	bothEnds := r.Request.names(forSince) && r.Request.names(forUntil)
	if !bothEnds {
		k.Fail(path, "the request must name {since} and {until}, the ends of a window")
	}
}

// leadsTo checks the other paths that links may lead to.
func (k checker) leadsTo(path string, r *Reading) {
	_, targets := r.Pagination.links()
	for _, target := range targets {
		k.relative(path, target)
		for _, name := range k.template(path, target) {
			switch {
			case !slices.Contains([]string{forConsent, forAccount}, name):
				k.Fail(path, "leads_to has {consent} and {account} only, not {%s}", name)
			case !r.Request.names(name):
				k.Fail(path, "leads_to names {%s}, and the request does not", name)
			}
		}
	}
}

// uses checks how columns are filled, and the key.
func (k checker) uses(path string, uses []use, id *ID, zone *time.Location) {
	path += ".fields"
	filled := map[string]bool{}
	var all []string
	for _, u := range uses {
		if u.kind != asOrder { // that is not one to make a key of
			all = append(all, u.name)
		}
		if u.field != nil {
			filled[u.name] = true
			k.use(join(path, u.name), u, zone)
		}
	}
	if id == nil {
		return // told already
	}
	k.paths(path+".id", id.Path)
	if len(id.Path)+len(id.Hash) == 0 {
		k.Fail(path+".id", "give the path of the key, or hash with the columns that make one")
	}
	for _, name := range id.Hash {
		switch {
		case !slices.Contains(all, name):
			k.Fail(path+".id.hash", "no column %q%s (there are: %s)", name, strictyaml.DidYouMean(name, all), strings.Join(all, ", "))
		case !filled[name]:
			k.Fail(path+".id.hash", "column %s is not filled", name)
		}
	}
}

// use checks how one column is filled, and tries its constants.
func (k checker) use(path string, u use, zone *time.Location) {
	k.constant(path, u.field)
	k.ofAmounts(path, u)
	if len(u.field.Map) > 0 && !u.is(asText, asCount) {
		k.Fail(path+".map", "a map is for texts and counts")
	}
	if !k.format(path, u) {
		return
	}
	source, err := newSource(u, newShape(), zone)
	if err != nil {
		k.Fail(path+".format", "%s", err)
		return
	}
	for _, raw := range []string{source.constant, source.fallback} {
		if raw == "" {
			continue
		}
		if _, _, err := source.with(raw).read(values{""}); err != nil {
			k.Fail(path, "what stands here as const or default is %s", err)
		}
	}
}

// constant checks that a column is read from a path, or is the same for all records.
func (k checker) constant(path string, f *Field) {
	k.paths(path, f.Path)
	switch {
	case f.Const != "" && f.isRead():
		k.Fail(path, "const stands alone")
	case f.Const == "" && len(f.Path) == 0:
		k.Fail(path, "give a path, or const")
	}
}

// isRead says that something is described of how the column is read from a record.
func (f *Field) isRead() bool {
	switch {
	case len(f.Path) > 0, f.Default != "", len(f.Map) > 0, f.NegateWhen != nil, f.Required:
		return true
	}
	return false
}

// ofAmounts checks the keys that are for amounts alone.
func (k checker) ofAmounts(path string, u use) {
	f := u.field
	asked := f.MinorUnits != nil || f.NegateWhen != nil
	if asked && u.kind != asAmount {
		k.Fail(path, "minor_units and negate_when are for amounts")
	}
	k.decimal(path, u)
	if f.MinorUnits != nil && !within(*f.MinorUnits, 0, 9) {
		k.Fail(path+".minor_units", "want 0 to 9 decimals")
	}
	if f.NegateWhen != nil {
		k.paths(path+".negate_when.path", f.NegateWhen.Path)
	}
}

// within says that a number is one of those from least to most.
func within(n, least, most int) bool { return n >= least && n <= most }

// format checks that what has a format is read by one, and says whether it may be tried.
func (k checker) format(path string, u use) bool {
	if u.field.Format == "" {
		return true
	}
	if u.is(asDay, asInstant, asOrder) {
		return true
	}
	k.Fail(path+".format", "a format is for days and instants")
	return false
}

// is says that the column is of one of the kinds.
func (u *use) is(kinds ...kind) bool { return slices.Contains(kinds, u.kind) }

// decimal checks how the decimals of an amount are set off.
func (k checker) decimal(path string, u use) {
	switch f := u.field; {
	case f.Decimal == "":
	case !isDecimal(f.Decimal):
		k.Fail(path+".decimal", "%q does not set off decimals: comma or point", f.Decimal)
	case u.kind != asAmount:
		k.Fail(path+".decimal", "decimal is for amounts")
	case f.MinorUnits != nil:
		k.Fail(path+".decimal", "minor_units are whole numbers and have no decimals")
	case f.Const != "":
		k.Fail(path, "const stands alone")
	}
}

// with is the source of a single value, to try it.
func (s source) with(raw string) *source {
	s.slots = nil
	s.sign = nil
	s.constant = raw
	return &s
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
