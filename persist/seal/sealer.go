// Package seal encrypts what must not be readable in the database, by the keys of a key file that may be changed while
// processes run.
package seal

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/klauspost/compress/zstd"

	"syncer/finance"
)

// MaxBody is the largest answer that [Sealer.SealBody] keeps and [Sealer.OpenBody] gives back, in bytes. The bound is on
// the decompressed size: a sealed kilobyte must not become a gigabyte in memory.
const MaxBody = 64 << 20

// Errors of sealing. They never tell more: not the key, not the content.
var (
	// ErrUnseal says that sealed bytes were changed, moved to another row, or sealed with a key that is not in this key file.
	ErrUnseal = finance.ErrUnopened
	// ErrKeyFile says that a key file is not one that NewKeyset made.
	ErrKeyFile = errors.New("the key file can't be read: restore it from its backup; `syncer init` makes a new one, " +
		"which opens nothing that was sealed before")
	// ErrBodyTooLarge says that an answer is larger than MaxBody.
	ErrBodyTooLarge = fmt.Errorf("the answer is larger than %d MiB", MaxBody>>20)
)

// Sealer encrypts what must not be readable in the database, and names subjects without their national identity number.
// It is safe for concurrent use.
type Sealer struct {
	ring    atomic.Pointer[ring]
	follow  *follower // nil: the keys stay as they are
	subject []byte
	enc     *zstd.Encoder
	dec     *zstd.Decoder
}

// OpenSealer makes a sealer from the content of a key file. A bad one is [ErrKeyFile].
func OpenSealer(keys []byte) (*Sealer, error) {
	file, err := decodeKeys(keys)
	if err != nil {
		return nil, err
	}
	r, err := newRing(file)
	if err != nil {
		return nil, err
	}
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest))
	if err != nil {
		return nil, fmt.Errorf("make the compressor: %w", err)
	}
	dec, err := zstd.NewReader(nil, zstd.WithDecoderMaxMemory(MaxBody))
	if err != nil {
		return nil, fmt.Errorf("make the decompressor: %w", err)
	}
	s := &Sealer{subject: file.Subject, enc: enc, dec: dec}
	s.ring.Store(r)
	return s, nil
}

// KeyID is the id of the key that seals now. A sealed value begins with the id of its key (see sealed_by in the schema),
// which tells what an old key still holds.
func (s *Sealer) KeyID() uint32 { return s.ring.Load().primary }

// Seal encrypts plain. associated says which row and column the value is for; it is not stored, and [Sealer.Unseal]
// needs the same, so a sealed value that somebody copies into another row does not open there.
func (s *Sealer) Seal(plain, associated []byte) ([]byte, error) {
	s.look()
	sealed, err := s.ring.Load().aead.Encrypt(plain, associated)
	if err != nil {
		return nil, fmt.Errorf("seal a value: %w", err)
	}
	return sealed, nil
}

// Unseal is the inverse of [Sealer.Seal], also for values sealed before a rotation. Every failure is [ErrUnseal].
func (s *Sealer) Unseal(sealed, associated []byte) ([]byte, error) {
	r := s.ring.Load()
	plain, err := r.aead.Decrypt(sealed, associated)
	if err != nil && !r.has(sealed) && s.lookNow() {
		plain, err = s.ring.Load().aead.Decrypt(sealed, associated)
	}
	if err != nil {
		return nil, ErrUnseal
	}
	return plain, nil
}

// SealBody compresses an answer's body with zstd and seals it to its call.
func (s *Sealer) SealBody(body []byte, call finance.CallID) ([]byte, error) {
	if len(body) > MaxBody {
		return nil, fmt.Errorf("keep the answer of call %s: %w", call, ErrBodyTooLarge)
	}
	return s.Seal(s.enc.EncodeAll(body, nil), bodyOf(call))
}

// OpenBody is the inverse of [Sealer.SealBody].
func (s *Sealer) OpenBody(sealed []byte, call finance.CallID) ([]byte, error) {
	packed, err := s.Unseal(sealed, bodyOf(call))
	if err != nil {
		return nil, fmt.Errorf("open the answer of call %s: %w", call, err)
	}
	body, err := s.dec.DecodeAll(packed, nil)
	if errors.Is(err, zstd.ErrDecoderSizeExceeded) {
		return nil, fmt.Errorf("open the answer of call %s: %w", call, ErrBodyTooLarge)
	}
	if err != nil {
		return nil, fmt.Errorf("decompress the answer of call %s: %w", call, err)
	}
	return body, nil
}

// bodyOf is what a body is bound to. The prefix keeps bodies apart from other sealed values with the same sixteen bytes.
func bodyOf(call finance.CallID) []byte { return append([]byte("answer:"), call[:]...) }

// Fingerprint is the name under which something secret, or something that belongs to a secret, is known in the database: half
// an HMAC-SHA-256 with the key of subjects, which never changes. A plain hash of a secret would tell whoever has the database
// when he has guessed it.
func (s *Sealer) Fingerprint(text string) string {
	mac := hmac.New(sha256.New, s.subject)
	mac.Write([]byte("fingerprint:" + text)) // a hash never fails; the word keeps it apart from the HMACs of subjects
	return hex.EncodeToString(mac.Sum(nil)[:sha256.Size/2])
}

// SubjectHMAC is the name under which a subject is known in the database: the whole HMAC-SHA-256 (32 bytes) of the
// national identity number with a key that is not in the database. There are so few valid numbers that a plain hash of
// one is the number itself. The caller passes the number in one form (digits only), or the names differ.
func (s *Sealer) SubjectHMAC(nationalID string) []byte {
	mac := hmac.New(sha256.New, s.subject)
	mac.Write([]byte("subject:" + nationalID)) // a hash never fails
	return mac.Sum(nil)
}
