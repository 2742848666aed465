package norskgjeld

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"slices"
	"strings"

	"syncer/finance"
)

// identify gives every debt an id that stays the same while its balance moves, because the registry gives none. An
// id is 24 hex digits of a SHA-256 over
//
//   - the creditor's name, in capitals and with single blanks,
//   - the loan's type,
//   - for a repayment loan what was borrowed, which no payment changes,
//   - and, among those that are alike in all this, their number.
//
// The number follows what changes least: credit limit (largest first), then months left, then the rate, then the
// order of the answer. Neither person nor consent is part of it, since a record's key begins with the consent.
//
// What this can't see: of two facilities at one creditor the smaller takes the larger one's id when that is closed
// (the history then shows a change and a removal, and the present is right), and so it is with equal charge cards.
func identify(debts []finance.Debt) {
	order := make([]int, len(debts))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return leastChanging(&debts[a], &debts[b]) })
	number := map[string]uint64{}
	for _, i := range order {
		key := attributes(&debts[i])
		sum := sha256.Sum256(binary.AppendUvarint([]byte(key), number[key]))
		number[key]++
		debts[i].ID = hex.EncodeToString(sum[:12])
	}
}

func leastChanging(a, b *finance.Debt) int {
	return cmp.Or(
		b.CreditLimit.Decimal.Cmp(a.CreditLimit.Decimal),
		cmp.Compare(b.TermsLeft, a.TermsLeft),
		b.NominalRate.Decimal.Cmp(a.NominalRate.Decimal),
	)
}

// attributes are the parts of the id, each with its length, so that no two sets of parts run together.
func attributes(d *finance.Debt) string {
	var b []byte
	for _, part := range []string{
		strings.ToUpper(strings.Join(strings.Fields(d.Creditor), " ")), d.Kind, d.OriginalBalance.String(),
	} {
		b = binary.AppendUvarint(b, uint64(len(part)))
		b = append(b, part...)
	}
	return string(b)
}
