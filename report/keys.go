package report

import (
	"fmt"
	"strconv"
	"time"

	"syncer/persist/read"
	"syncer/persist/seal"
	"syncer/report/text"
)

// SealingKey is a key of the key file, or one that a value names and the file has not: the JSON of `keys list`.
type SealingKey struct {
	Key    string         `json:"key"`
	State  string         `json:"state"` // seals, opens, prepared, or missing: it is not in the key file
	Since  *time.Time     `json:"since,omitempty"`
	Sealed map[string]int `json:"sealed"` // values by table
}

// KeysOf are the keys of the key file, and those that only values name.
func KeysOf(info seal.KeyFile, counts []seal.SealedCount) []SealingKey {
	keys := []SealingKey{{Key: KeyName(info.Primary), State: "seals", Since: instant(info.Rotated)}}
	if info.Prepared != 0 {
		keys = append(keys, SealingKey{Key: KeyName(info.Prepared), State: "prepared"})
	}
	for _, id := range info.Old {
		keys = append(keys, SealingKey{Key: KeyName(id), State: "opens"})
	}
	at := map[string]int{}
	for i := range keys {
		keys[i].Sealed, at[keys[i].Key] = map[string]int{}, i
	}
	for _, c := range counts {
		i, known := at[KeyName(c.Key)]
		if !known {
			i = len(keys)
			at[KeyName(c.Key)] = i
			keys = append(keys, SealingKey{Key: KeyName(c.Key), State: "missing", Sealed: map[string]int{}})
		}
		keys[i].Sealed[c.Table] += c.Count
	}
	return keys
}

// KeyName is a key's id as tink's own tools and sealed_by in the schema write it.
func KeyName(id uint32) string { return strconv.FormatUint(uint64(id), 10) }

// OldKeys says what becomes of rows with old keys. job is one that reads transactions.
func OldKeys(of read.KeysLeft, job string) (notes []string) {
	rows := func(n int) string {
		return fmt.Sprintf("rows of %s of %s have their old key still", of.Dataset, text.Count(n, "consent"))
	}
	if of.Consents > 0 {
		notes = append(notes, rows(of.Consents)+": a whole pass under the new one replaces them")
	}
	if of.Older > 0 {
		notes = append(notes, fmt.Sprintf("%s, of days from %s to %s that no night reads any more: "+
			"`syncer backfill %s --from %[2]s --to %[3]s` replaces them where the provider gives these days",
			rows(of.Older), of.From, of.To, job))
	}
	return notes
}
