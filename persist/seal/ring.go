package seal

import (
	"bytes"
	"encoding/binary"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/tink"
)

// ring is the keys of a key file, ready for use.
type ring struct {
	aead    tink.AEAD
	primary uint32
	ids     map[uint32]bool
}

func newRing(file *keyFile) (*ring, error) {
	primitive, err := aead.New(file.handle)
	if err != nil {
		return nil, ErrKeyFile
	}
	primary, err := file.handle.Primary()
	if err != nil {
		return nil, ErrKeyFile
	}
	r := &ring{aead: primitive, primary: primary.KeyID(), ids: map[uint32]bool{}}
	for _, id := range file.ids() {
		r.ids[id] = true
	}
	return r, nil
}

// has says that a value was sealed with a key of the ring. tink writes a byte 1 and the key's id before what it seals.
func (r *ring) has(sealed []byte) bool {
	return len(sealed) >= 5 && r.ids[binary.BigEndian.Uint32(sealed[1:5])]
}

// FollowEvery is how often a Sealer that follows its key file looks for a new one while it seals. An old key is retired
// only long after, so that no process still seals with it.
const FollowEvery = 10 * time.Second

// follower reads the key file again, so that a process that runs for months seals with the key of today.
type follower struct {
	read func() ([]byte, error)
	next atomic.Int64 // when to look again, in nanoseconds of Unix time

	mu   sync.Mutex
	last []byte // what was read last
}

// Follow makes the sealer look into its key file again: now and then while it seals, and at once when it meets a value
// that was sealed with a key it has not. A file that can't be read, is none, or has another key of subjects changes
// nothing: what is known still opens. It is called once, before the sealer is used.
func (s *Sealer) Follow(read func() ([]byte, error)) {
	s.follow = &follower{read: read}
	s.follow.next.Store(time.Now().Add(FollowEvery).UnixNano())
}

// look looks for new keys if it is time to.
func (s *Sealer) look() {
	if s.follow == nil {
		return
	}
	now := time.Now()
	if next := s.follow.next.Load(); now.UnixNano() >= next && s.follow.next.CompareAndSwap(next, now.Add(FollowEvery).UnixNano()) {
		s.lookNow()
	}
}

// lookNow looks for new keys, and says whether the key file could be had.
func (s *Sealer) lookNow() bool {
	f := s.follow
	if f == nil {
		return false
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	data, err := f.read()
	if err != nil {
		return false
	}
	if bytes.Equal(data, f.last) {
		return true
	}
	file, err := decodeKeys(data)
	if err != nil || !bytes.Equal(file.Subject, s.subject) {
		return false
	}
	r, err := newRing(file)
	if err != nil {
		return false
	}
	f.last = data
	s.ring.Store(r)
	return true
}
