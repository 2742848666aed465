package write

import "hash/maphash"

// spot is where an entry stands in its rows.
type spot struct{ round, index int32 }

// spots are where keys stand. A large answer has as many keys as records, so no key is held a second time: what is held is its
// hash, and the key at the spot tells whether it is the one. The few keys that share their hash with another one are held beside.
type spots struct {
	seed   maphash.Seed
	hash   func(maphash.Seed, rowKey) uint64 // nil: maphash.Comparable
	byHash map[uint64]spot
	others map[rowKey]spot
}

func (p *spots) empty() bool { return len(p.byHash) == 0 }

// grow makes room for n keys, where there are none yet.
func (p *spots) grow(n int) {
	if p.byHash != nil {
		return
	}
	p.seed = maphash.MakeSeed()
	if p.hash == nil {
		p.hash = maphash.Comparable[rowKey]
	}
	p.byHash = make(map[uint64]spot, n)
}

// of is where a key stands. keyAt gives the key at a spot.
func (p *spots) of(key rowKey, keyAt func(spot) rowKey) (spot, bool) {
	at, ok := p.byHash[p.hash(p.seed, key)]
	if ok && keyAt(at) != key {
		at, ok = p.others[key]
	}
	return at, ok
}

// put notes where a key stands now.
func (p *spots) put(key rowKey, at spot, keyAt func(spot) rowKey) {
	h := p.hash(p.seed, key)
	if before, ok := p.byHash[h]; ok && keyAt(before) != key {
		if p.others == nil {
			p.others = map[rowKey]spot{}
		}
		p.others[key] = at
		return
	}
	p.byHash[h] = at
}
