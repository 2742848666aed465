package finance

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"maps"
	"time"
)

// Reported tells when each record of a stream was made, as the provider said it last. A record is known
// by a hash of its key. It is for records that tell such a time, which are debts.
type Reported map[uint64]time.Time

// mostReported bounds how many records are remembered, and with it the bytes that a cursor holds. Of the
// others nothing is known, as if they were new.
const mostReported = 1000

// Of is when a record was made, as far as that is known.
func (r Reported) Of(id string) (at time.Time, known bool) {
	at, known = r[reportedKey(id)]
	return at, known
}

// Note remembers when a record was made.
func (r Reported) Note(id string, at time.Time) {
	key := reportedKey(id)
	if _, known := r[key]; known || len(r) < mostReported {
		r[key] = at
	}
}

// And is a copy with what an older one knows besides.
func (r Reported) And(older Reported) Reported {
	all := maps.Clone(r)
	for key, at := range older {
		if len(all) == mostReported {
			break
		}
		if _, known := all[key]; !known {
			all[key] = at
		}
	}
	return all
}

// Newest is the latest of all the times; zero: there is none.
func (r Reported) Newest() (newest time.Time) {
	for _, at := range r {
		if at.After(newest) {
			newest = at
		}
	}
	return newest
}

// Encode is what ParseReported reads: sixteen bytes for each record.
func (r Reported) Encode() []byte {
	b := make([]byte, 0, 16*len(r))
	for key, at := range r {
		b = binary.BigEndian.AppendUint64(b, key)
		b = binary.BigEndian.AppendUint64(b, uint64(at.UnixMicro()))
	}
	return b
}

// ParseReported reads what Encode has written.
func ParseReported(b []byte) (Reported, error) {
	if len(b)%16 != 0 {
		return nil, errors.New("times of report: cut off")
	}
	r := make(Reported, len(b)/16)
	for ; len(b) > 0; b = b[16:] {
		r[binary.BigEndian.Uint64(b)] = time.UnixMicro(int64(binary.BigEndian.Uint64(b[8:]))).UTC()
	}
	return r, nil
}

func reportedKey(id string) uint64 {
	sum := sha256.Sum256([]byte(id))
	return binary.BigEndian.Uint64(sum[:8])
}
