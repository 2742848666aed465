package rest

import (
	"slices"
	"strings"
	"time"

	"syncer/strictyaml"
)

func usesOf[T any](columns []column[T]) (uses []use) {
	for _, c := range columns {
		uses = append(uses, c.use)
	}
	return uses
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
