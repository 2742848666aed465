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
	if a := d.Accounts; a != nil {
		const path = "datasets.accounts"
		k.reading(path, &a.Reading, false)
		k.uses(path, usesOf(a.Fields.columns()), a.Fields.ID, zone)
		k.balances(path+".balances", a.Balances, zone)
		k.noAccount(path, &a.Reading)
		k.sameAs(path+".same_as", a)
	}
	if t := d.Transactions; t != nil {
		const path = "datasets.transactions"
		k.reading(path, &t.Reading, true)
		k.uses(path, usesOf(t.Fields.columns()), t.Fields.ID, zone)
		k.transactions(path, t, d.Accounts != nil)
		mayMove := d.Accounts != nil && d.Accounts.SameAs != ""
		ofAccount := t.Fields.ID != nil && slices.Contains(t.Fields.ID.Hash, "account")
		if mayMove && ofAccount {
			k.Fail(path+".fields.id.hash", "account has another id when it goes on by same_as, and its transactions would be others: leave it out")
		}
	}
	if t := d.Debt; t != nil {
		const path = "datasets.debt"
		k.reading(path, &t.Reading, false)
		k.uses(path, usesOf(t.Fields.columns()), t.Fields.ID, zone)
		k.noAccount(path, &t.Reading)
		if t.Fields.ID != nil && slices.Contains(t.Fields.ID.Hash, "balance") {
			k.Fail(path+".fields.id.hash", "balance changes with every payment, and the debt would be another one: leave it out")
		}
	}
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
		if f != nil && slices.Contains(f.Path, a.SameAs) {
			k.Fail(path, "it is the path of %s, which many accounts have in common: write that of a number or an IBAN", name)
		}
	}
	switch {
	case a.Fields.ID != nil && slices.Contains(a.Fields.ID.Path, a.SameAs):
		k.Fail(path, "it is the path of the id, which is what changes")
	case slices.Contains(a.Drop, a.SameAs) || slices.Contains(a.RecordSubject, a.SameAs):
		k.Fail(path, "it is not stored, so it can't be compared")
	}
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

func (k checker) transactions(path string, t *Transactions, accounts bool) {
	perAccount := slices.Contains(t.Request.placeholders(), forAccount)
	switch {
	case perAccount && !accounts:
		k.Fail(path+".request", "{account} needs the accounts, and datasets.accounts is not described")
	case perAccount && t.Fields.Account != nil:
		k.Fail(path+".fields.account", "the request names the {account}, so this is known")
	case !perAccount && t.Fields.Account == nil:
		k.Fail(path+".fields.account", "missing: the request names no {account}, so the record must")
	case !perAccount && (t.Whole || t.WholePending):
		k.Fail(path, "whole sets are kept account by account, and the request names no {account}")
	}
	if t.Whole && t.WholePending {
		k.Fail(path+".whole_pending", "whole says it already")
	}
	if id := t.Fields.ID; id != nil && len(id.Hash) > 0 && !slices.ContainsFunc([]string{"booked_on", "value_on", "purchased_on"}, func(day string) bool {
		return slices.Contains(id.Hash, day)
	}) {
		k.Fail(path+".fields.id.hash", "without a day (booked_on, value_on or purchased_on) the purchases of different days would be numbered together")
	}
	if f := t.Fields.Status; f != nil {
		words := append(slices.Sorted(maps.Values(f.Map)), f.Const, f.Default)
		for _, word := range words {
			if word != "" && word != finance.Booked && word != finance.Pending {
				k.Fail(path+".fields.status", "%q is not a status: booked or pending", word)
			}
		}
	}
}

// reading checks what all datasets share.
func (k checker) reading(path string, r *Reading, statuses bool) {
	k.request(path+".request", &r.Request)
	used := r.Request.placeholders()
	if !slices.Contains(used, forConsent) && !slices.Contains(used, forAccount) && !slices.Contains(used, forSubject) {
		k.Fail(path+".request", "the request names nobody, so everybody would get the same: use {consent}, {account} or {subject}")
	}
	dated := slices.Contains(used, forSince) || slices.Contains(used, forUntil)
	if r.Whole && (dated || r.Pagination.Windows != nil) {
		k.Fail(path+".whole", "the request names days, so a pass shows a part; older records would look as if they had vanished")
	}
	k.lists(path, r, statuses)
	k.pagination(path+".pagination", r, used)
	k.paths(path+".subject", r.Subject)
	k.paths(path+".record_subject", r.RecordSubject)
	k.paths(path+".drop", r.Drop)
	for _, at := range slices.Sorted(maps.Keys(r.Echoes)) {
		k.paths(path+".echoes."+at, Paths{at})
		for _, name := range k.template(path+".echoes."+at, r.Echoes[at]) {
			if name == forSubject {
				k.Fail(path+".echoes."+at, "whom an answer is about is checked by subject")
			}
		}
	}
	for i := range r.Partial {
		at := join(path+".partial", itoa(i))
		sign := &r.Partial[i]
		k.paths(at+".path", Paths{sign.Path})
		if (sign.Above != nil) == (len(sign.Is) > 0) {
			k.Fail(at, "give above or is, one of the two")
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
	var outer Paths
	outer = append(append(outer, r.Subject...), slices.Sorted(maps.Keys(r.Echoes))...)
	for i := range r.Partial {
		outer = append(outer, r.Partial[i].Path)
	}
	outer = append(outer, r.Pagination.reads()...)
	for i := range r.Records {
		l := &r.Records[i]
		at := path + ".records"
		if len(r.Records) > 1 {
			at = join(at, itoa(i))
		}
		if l.Path != "." {
			k.paths(at, Paths{l.Path})
		}
		if l.Empty == emptyAbsent && len(r.Subject) == 0 && len(r.Echoes) == 0 && len(r.Pagination.totals()) == 0 {
			k.Fail(at+".empty", "an absent list shows that there is nothing only in an answer that is good by its subject, its echoes or its total: describe one of them")
		}
		if l.Status != "" && !statuses {
			k.Fail(at, "only transactions have a status")
		}
		for _, other := range outer {
			if l.Path == "." || other == l.Path || strings.HasPrefix(other, l.Path+".") {
				k.Fail(at, "%s can't be read: it lies inside of the list of records", other)
			}
		}
		for j := range r.Records {
			if j != i && (l.Path == "." || r.Records[j].Path == l.Path && j < i || strings.HasPrefix(r.Records[j].Path, l.Path+".")) {
				k.Fail(at, "one list of records lies inside of another")
			}
		}
	}
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

func (k checker) pagination(path string, r *Reading, used []string) {
	p := &r.Pagination
	if kinds := p.kinds(); len(kinds) > 1 {
		k.Fail(path, "one list has one way of paging, and here are %s", strings.Join(kinds, " and "))
	}
	parameter := ""
	ends := 0
	count := func(ps ...Paths) {
		for _, p := range ps {
			ends += min(len(p), 1)
		}
	}
	switch {
	case p.Cursor != nil:
		parameter = p.Cursor.Parameter
	case p.Page != nil:
		parameter = p.Page.Parameter
		count(p.Page.HasMore, p.Page.Pages, p.Page.LastPage, p.Page.Total)
		k.beyond(path+".page.beyond", p.Page.Beyond)
		if f := p.Page.First; f != nil && *f != 0 && *f != 1 {
			k.Fail(path+".page.first", "the first page is 0 or 1")
		}
	case p.Offset != nil:
		parameter = p.Offset.Parameter
		count(p.Offset.HasMore, p.Offset.Total)
		k.beyond(path+".offset.beyond", p.Offset.Beyond)
	}
	if ends > 1 {
		k.Fail(path, "has_more, pages, last_page and total are ways to tell the end: give one of them")
	}
	if _, twice := r.Request.Query[parameter]; twice {
		k.Fail(path, "parameter %q is set by the request's query already", parameter)
	}
	k.leadsTo(path, p, used)
	k.paths(path, p.reads())
	if w := p.Windows; w != nil {
		if w.Days < 1 || w.Days > 3660 {
			k.Fail(path+".windows.days", "want 1 to 3660 days")
		}
		if !slices.Contains(used, forSince) || !slices.Contains(used, forUntil) {
			k.Fail(path+".windows", "the request must name {since} and {until}, the ends of a window")
		}
	}
}

// leadsTo checks the other paths that links may lead to.
func (k checker) leadsTo(path string, p *Pagination, used []string) {
	_, targets := p.links()
	for _, target := range targets {
		k.relative(path, target)
		for _, name := range k.template(path, target) {
			switch {
			case name != forConsent && name != forAccount:
				k.Fail(path, "leads_to has {consent} and {account} only, not {%s}", name)
			case !slices.Contains(used, name):
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
	if len(id.Path) == 0 && len(id.Hash) == 0 {
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
	f := u.field
	k.paths(path, f.Path)
	bare := len(f.Path) == 0
	switch {
	case f.Const != "" && (!bare || f.Default != "" || len(f.Map) > 0 || f.NegateWhen != nil || f.Required):
		k.Fail(path, "const stands alone")
	case bare && f.Const == "":
		k.Fail(path, "give a path, or const")
	}
	if u.kind != asAmount && (f.MinorUnits != nil || f.NegateWhen != nil) {
		k.Fail(path, "minor_units and negate_when are for amounts")
	}
	k.decimal(path, u)
	if f.MinorUnits != nil && (*f.MinorUnits < 0 || *f.MinorUnits > 9) {
		k.Fail(path+".minor_units", "want 0 to 9 decimals")
	}
	if f.NegateWhen != nil {
		k.paths(path+".negate_when.path", f.NegateWhen.Path)
	}
	if len(f.Map) > 0 && u.kind != asText && u.kind != asCount {
		k.Fail(path+".map", "a map is for texts and counts")
	}
	if f.Format != "" && u.kind != asDay && u.kind != asInstant && u.kind != asOrder {
		k.Fail(path+".format", "a format is for days and instants")
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
	single := t.Booked != nil || t.Available != nil || t.CreditLimit != nil
	switch {
	case len(t.List) > 0 && single:
		k.Fail(path, "balances stand in a list or one by one: give list, or booked, available and credit_limit")
	case len(t.List) > 0 && (t.Kind == nil || t.Amount == nil):
		k.Fail(path, "a list of balances needs kind and amount")
	case len(t.List) == 0 && (t.Kind != nil || t.Amount != nil || t.ReferenceDate != nil):
		k.Fail(path, "kind, amount and reference_date are those of a list: give list")
	case len(t.List) == 0 && !single:
		k.Fail(path, "give list, or booked, available or credit_limit")
	}
	k.paths(path+".list", t.List)
	for _, u := range t.uses() {
		if u.field != nil {
			k.use(join(path, u.name), u, zone)
		}
	}
}
