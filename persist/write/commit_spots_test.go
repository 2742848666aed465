package write

import (
	"fmt"
	"hash/maphash"
	"math/rand/v2"
	"testing"
)

// Keys that share their hash are told apart, also when they are put elsewhere later.
func TestSpotsTellKeysApart(t *testing.T) {
	t.Parallel()
	for _, hashes := range []uint64{1, 3, 1 << 32} {
		var stands []rowKey // by index
		keyAt := func(at spot) rowKey { return stands[at.index] }
		p := spots{hash: func(seed maphash.Seed, key rowKey) uint64 { return maphash.Comparable(seed, key) % hashes }}
		p.grow(100)
		want := map[rowKey]spot{}
		for range 1000 {
			key := rowKey{consent: int64(rand.IntN(20)), columns: [3]string{fmt.Sprint(rand.IntN(10))}}
			before, known := want[key]
			if at, ok := p.of(key, keyAt); ok != known || at != before {
				t.Fatalf("%d hashes: %v stands at %v (%t), want %v (%t)", hashes, key, at, ok, before, known)
			}
			at := spot{round: int32(rand.IntN(3)), index: int32(len(stands))}
			stands = append(stands, key)
			p.put(key, at, keyAt)
			want[key] = at
		}
	}
}
