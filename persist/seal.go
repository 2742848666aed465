package persist

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/klauspost/compress/zstd"
	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/tink"

	"syncer/finance"
)

// MaxBody is the largest answer that [Sealer.SealBody] keeps and [Sealer.OpenBody] gives back, in bytes. The bound is on
// the decompressed size: a sealed kilobyte must not become a gigabyte in memory.
const MaxBody = 64 << 20

// Errors of sealing. They never tell more: not the key, not the content.
var (
	// ErrUnseal says that sealed bytes were changed, moved to another row, or sealed with a key this key file lacks.
	ErrUnseal = errors.New("the sealed value can't be opened: it was changed, belongs to another row, or its key is not in the key file")
	// ErrKeyFile says that a key file is not one that NewKeyset made.
	ErrKeyFile = errors.New("the key file can't be read: restore it from its backup; `syncer init` makes a new one, " +
		"which opens nothing that was sealed before")
	// ErrBodyTooLarge says that an answer is larger than MaxBody.
	ErrBodyTooLarge = fmt.Errorf("the answer is larger than %d MiB", MaxBody>>20)
)

// keyFile is the JSON of a key file: it lies outside the database, readable by its owner only (0600), and its backup is
// not kept with the database's.
type keyFile struct {
	Version int `json:"version"`
	// Seal is a tink keyset in cleartext JSON. Rotate adds a key to it; old keys stay to open what they sealed.
	Seal json.RawMessage `json:"seal"`
	// Subject is the HMAC-SHA-256 key of subjects. It never rotates: with another key every known subject would be a
	// stranger.
	Subject []byte `json:"subject"`
}

const (
	keyFileVersion = 1
	subjectKeySize = 32
)

// NewKeyset makes the content of a new key file from fresh randomness.
func NewKeyset() ([]byte, error) {
	// XChaCha20-Poly1305: its random nonces of 192 bits need no bound on the number of answers one key seals; AES-GCM's
	// 96 bits ask for a new key after some 2^32, which a large installation reaches in years.
	handle, err := keyset.NewHandle(aead.XChaCha20Poly1305KeyTemplate())
	if err != nil {
		return nil, fmt.Errorf("make a sealing key: %w", err)
	}
	subject := make([]byte, subjectKeySize)
	rand.Read(subject) // never fails: see crypto/rand
	return encodeKeys(handle, subject)
}

// Rotate returns the key file with a new primary key in it. What was sealed before stays readable; the HMAC of a subject
// stays the same.
func Rotate(keys []byte) ([]byte, error) {
	handle, subject, err := decodeKeys(keys)
	if err != nil {
		return nil, err
	}
	manager := keyset.NewManagerFromHandle(handle)
	id, err := manager.Add(aead.XChaCha20Poly1305KeyTemplate())
	if err == nil {
		err = manager.SetPrimary(id)
	}
	if err != nil {
		return nil, fmt.Errorf("add a sealing key: %w", err)
	}
	if handle, err = manager.Handle(); err != nil {
		return nil, fmt.Errorf("add a sealing key: %w", err)
	}
	return encodeKeys(handle, subject)
}

func encodeKeys(handle *keyset.Handle, subject []byte) ([]byte, error) {
	var seal bytes.Buffer
	if err := insecurecleartextkeyset.Write(handle, keyset.NewJSONWriter(&seal)); err != nil {
		return nil, fmt.Errorf("encode the key file: %w", err)
	}
	data, err := json.MarshalIndent(keyFile{Version: keyFileVersion, Seal: seal.Bytes(), Subject: subject}, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encode the key file: %w", err)
	}
	return append(data, '\n'), nil
}

// decodeKeys drops the causes of its errors: a JSON error quotes what it stumbled over, and that may be a key.
func decodeKeys(data []byte) (*keyset.Handle, []byte, error) {
	var file keyFile
	if json.Unmarshal(data, &file) != nil || len(file.Subject) != subjectKeySize {
		return nil, nil, ErrKeyFile
	}
	if file.Version != keyFileVersion {
		return nil, nil, fmt.Errorf("%w: it has version %d, this binary knows %d", ErrKeyFile, file.Version, keyFileVersion)
	}
	handle, err := insecurecleartextkeyset.Read(keyset.NewJSONReader(bytes.NewReader(file.Seal)))
	if err != nil {
		return nil, nil, ErrKeyFile
	}
	return handle, file.Subject, nil
}

// Sealer encrypts what must not be readable in the database, and names subjects without their national identity number.
// It is safe for concurrent use.
type Sealer struct {
	aead    tink.AEAD
	keyID   uint32
	subject []byte
	enc     *zstd.Encoder
	dec     *zstd.Decoder
}

// OpenSealer makes a sealer from the content of a key file. A bad one is [ErrKeyFile].
func OpenSealer(keys []byte) (*Sealer, error) {
	handle, subject, err := decodeKeys(keys)
	if err != nil {
		return nil, err
	}
	primitive, err := aead.New(handle)
	if err != nil {
		return nil, ErrKeyFile
	}
	primary, err := handle.Primary()
	if err != nil {
		return nil, ErrKeyFile
	}
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest))
	if err != nil {
		return nil, fmt.Errorf("make the compressor: %w", err)
	}
	dec, err := zstd.NewReader(nil, zstd.WithDecoderMaxMemory(MaxBody))
	if err != nil {
		return nil, fmt.Errorf("make the decompressor: %w", err)
	}
	return &Sealer{aead: primitive, keyID: primary.KeyID(), subject: subject, enc: enc, dec: dec}, nil
}

// KeyID is the id of the key that seals now: stored beside a sealed value, it tells which rows an old key still holds.
func (s *Sealer) KeyID() uint32 { return s.keyID }

// Seal encrypts plain. associated says which row and column the value is for; it is not stored, and [Sealer.Unseal]
// needs the same, so a sealed value that somebody copies into another row does not open there.
func (s *Sealer) Seal(plain, associated []byte) ([]byte, error) {
	sealed, err := s.aead.Encrypt(plain, associated)
	if err != nil {
		return nil, fmt.Errorf("seal a value: %w", err)
	}
	return sealed, nil
}

// Unseal is the inverse of [Sealer.Seal], also for values sealed before a rotation. Every failure is [ErrUnseal].
func (s *Sealer) Unseal(sealed, associated []byte) ([]byte, error) {
	plain, err := s.aead.Decrypt(sealed, associated)
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

// SubjectHMAC is the name under which a subject is known in the database: the whole HMAC-SHA-256 (32 bytes) of the
// national identity number with a key that is not in the database. There are so few valid numbers that a plain hash of
// one is the number itself. The caller passes the number in one form (digits only), or the names differ.
func (s *Sealer) SubjectHMAC(nationalID string) []byte {
	mac := hmac.New(sha256.New, s.subject)
	mac.Write([]byte("subject:" + nationalID)) // a hash never fails
	return mac.Sum(nil)
}
