package sandbox

import (
	"encoding/binary"
	"encoding/hex"
	"math/rand/v2"
)

// Rand returns a generator whose output depends on nothing but seed and keys,
// so that record 900,000 can be made without making those before it.
func Rand(seed uint64, keys ...uint64) *rand.Rand {
	return rand.New(rand.NewPCG(seed, Mix(seed, keys...)))
}

// Mix hashes seed and keys to 64 well spread bits (the splitmix64 finaliser
// after each key). It is cheap enough to be called for every field of a row.
func Mix(seed uint64, keys ...uint64) uint64 {
	h := finalise(seed + 0x9e3779b97f4a7c15)
	for _, k := range keys {
		h = finalise(h ^ finalise(k+0x9e3779b97f4a7c15))
	}
	return h
}

// MixString is Mix for text keys.
func MixString(seed uint64, text string) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(text) {
		h = (h ^ uint64(text[i])) * 1099511628211
	}
	return Mix(seed, h)
}

func finalise(z uint64) uint64 {
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb
	return z ^ (z >> 31)
}

// UUIDs numbers things with random-looking version 4 UUIDs from which the
// index can be read back, so that a world of a million consents needs no map.
type UUIDs struct {
	Seed uint64
}

// At returns the UUID of index, which must be below 1<<48.
func (u UUIDs) At(index int) string {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], u.shuffle(uint64(index))<<16)
	check := Mix(u.Seed, uint64(index), 1)
	binary.BigEndian.PutUint16(b[6:8], uint16(Mix(u.Seed, uint64(index), 2)))
	binary.BigEndian.PutUint64(b[8:], check)
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	var text [36]byte
	hex.Encode(text[0:8], b[0:4])
	hex.Encode(text[9:13], b[4:6])
	hex.Encode(text[14:18], b[6:8])
	hex.Encode(text[19:23], b[8:10])
	hex.Encode(text[24:], b[10:])
	text[8], text[13], text[18], text[23] = '-', '-', '-', '-'
	return string(text[:])
}

// Index is the inverse of At; false for a UUID that this seed never made.
func (u UUIDs) Index(id string) (int, bool) {
	if len(id) != 36 {
		return 0, false
	}
	var b [8]byte
	if _, err := hex.Decode(b[2:], []byte(id[0:8]+id[9:13])); err != nil {
		return 0, false
	}
	index := int(u.unshuffle(binary.BigEndian.Uint64(b[:])))
	return index, u.At(index) == id
}

// shuffle is a four-round Feistel network over 48 bits: a permutation, so no
// two indices meet in one UUID.
func (u UUIDs) shuffle(v uint64) uint64 {
	l := v >> 24 & 0xffffff
	r := v & 0xffffff
	for round := range uint64(4) {
		l, r = r, l^(Mix(u.Seed, round, r)&0xffffff)
	}
	return l<<24 | r
}

func (u UUIDs) unshuffle(v uint64) uint64 {
	l := v >> 24 & 0xffffff
	r := v & 0xffffff
	for round := range uint64(4) {
		l, r = r^(Mix(u.Seed, 3-round, l)&0xffffff), l
	}
	return l<<24 | r
}
