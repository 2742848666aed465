package dbnordics

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"slices"

	"syncer/finance"
)

// keyed is a record and what its id is made of.
type keyed struct {
	finance.Debt
	fixed  string   // the id itself, of what a company has only one of
	prefix string   // of the section, which the id begins with
	parts  []string // what never changes of the record
	rank   string   // the order among records whose parts are equal
}

// identify gives the records their ids, because the vendor gives none: the section, a colon and 24 hex digits of a SHA-256
// over what stays the same of the record, and its number among those that are equal in that:
//
//   - of a Swedish remark or petition, which is an event of a day: date, creditor, type and amount;
//   - of a Norwegian incident, whose type and amount move on: source, reference and creditor of its oldest state or,
//     without a reference, date, creditor, type and amount of it;
//   - of a Norwegian registration: date, creditor, type, source, reference and diary number, or without both the amount.
//
// Descriptions, which are in the language asked for, are no part of it, and no personal identity number can be.
func identify(records []keyed) []finance.Debt {
	order := make([]int, len(records))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(records[a].rank, records[b].rank) })
	number := map[string]uint64{}
	var out []finance.Debt
	for _, i := range order {
		r := &records[i]
		if r.ID = r.fixed; r.fixed != "" {
			continue
		}
		key := []byte(r.prefix)
		for _, part := range r.parts {
			key = binary.AppendUvarint(key, uint64(len(part)))
			key = append(key, part...)
		}
		sum := sha256.Sum256(binary.AppendUvarint(key, number[string(key)]))
		number[string(key)]++
		r.ID = r.prefix + hex.EncodeToString(sum[:12])
	}
	for i := range records {
		out = append(out, records[i].Debt)
	}
	return out
}
