package rest

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"syncer/fetch"
	"syncer/finance"
)

// Keys says how the description makes the keys of a dataset's records.
func (c *connector) Keys(d finance.Dataset) fetch.Keys { return c.about.keys(d) }

func (a *api) keys(d finance.Dataset) fetch.Keys {
	p := a.readings[d]
	if p == nil {
		return fetch.Keys{}
	}
	return fetch.Keys{Made: a.Description.keyed(d, p).fingerprint(), Whole: p.Whole}
}

// keyed is all that makes the key of a record. A member that is added later must be left out of the JSON where it is not
// set, or every key would look changed after an update of the program.
type keyed struct {
	Path    Paths       `json:"path,omitempty"`
	Hash    []keyColumn `json:"hash,omitempty"`
	Account *keyed      `json:"account,omitempty"` // of transactions: how the account's key is made
}

// keyColumn is a column that a key is made of, with all that decides what stands in it.
type keyColumn struct {
	Name       string            `json:"name"`
	Path       Paths             `json:"path,omitempty"`
	Const      string            `json:"const,omitempty"`
	Default    string            `json:"default,omitempty"`
	Map        map[string]string `json:"map,omitempty"`
	MinorUnits *int              `json:"minor_units,omitempty"`
	Decimal    string            `json:"decimal,omitempty"`
	NegateWhen *Flag             `json:"negate_when,omitempty"`
	Format     string            `json:"format,omitempty"`
	Zone       string            `json:"zone,omitempty"` // where a format makes days or instants of it
}

// keyed is how the keys of a dataset are made.
func (d *Description) keyed(dataset finance.Dataset, p *compiledReading) *keyed {
	sets := &d.Datasets
	switch dataset {
	case finance.Accounts:
		return keyedBy(sets.Accounts.Fields.ID, sets.Accounts.Fields.columns(), d.TimeZone)
	case finance.Debts:
		return keyedBy(sets.Debt.Fields.ID, sets.Debt.Fields.columns(), d.TimeZone)
	}
	fields := &sets.Transactions.Fields
	k := keyedBy(fields.ID, fields.columns(), d.TimeZone)
	switch {
	case p.account && sets.Accounts != nil:
		k.Account = d.keyed(finance.Accounts, nil)
	case fields.Account != nil:
		k.Account = &keyed{Hash: []keyColumn{newKeyColumn(use{"account", fields.Account, asText}, "")}}
	}
	return k
}

// keyedBy is a key by its id. The hash takes its columns in their own order, not in that of the description.
func keyedBy[T any](id *ID, all []column[T], zone string) *keyed {
	k := &keyed{Path: id.Path}
	for i := range all {
		if slices.Contains(id.Hash, all[i].name) && all[i].field != nil {
			k.Hash = append(k.Hash, newKeyColumn(all[i].use, zone))
		}
	}
	return k
}

func newKeyColumn(u use, zone string) keyColumn {
	f := u.field
	k := keyColumn{
		Name: u.name, Path: f.Path, Const: f.Const, Default: f.Default, Map: f.Map,
		MinorUnits: f.MinorUnits, Decimal: f.Decimal, NegateWhen: f.NegateWhen, Format: f.Format,
	}
	if f.Format != "" && (u.kind == asDay || u.kind == asInstant) {
		k.Zone = zone
	}
	return k
}

// fingerprint is short, since people read it beside the command that it asks for.
func (k *keyed) fingerprint() string {
	text, err := json.Marshal(k)
	if err != nil {
		return "" // can't be: texts and numbers alone
	}
	sum := sha256.Sum256(text)
	return fmt.Sprintf("%x", sum[:6])
}

// sameAs is where what same_as names stands in a stored account: in the column number, or among what has no column.
func (a *Accounts) sameAs() []string {
	switch {
	case a.SameAs == "":
		return nil
	case a.Fields.Number != nil && slices.Contains(a.Fields.Number.Path, a.SameAs):
		return []string{"number"}
	}
	return append([]string{"extra"}, strings.Split(a.SameAs, ".")...)
}
