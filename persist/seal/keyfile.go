package seal

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"time"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/keyset"
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
	// Rotated is when the key that seals became it; zero: with the file.
	Rotated time.Time `json:"rotated,omitzero"`
	// Prepared is the key that the next rotation makes the one that seals; 0: none is.
	Prepared uint32 `json:"prepared,omitempty"`

	handle *keyset.Handle
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
	file := &keyFile{Version: keyFileVersion, Subject: make([]byte, subjectKeySize), handle: handle}
	rand.Read(file.Subject) // never fails: see crypto/rand
	return file.encode()
}

// KeyFile is what a key file holds, without its secrets.
type KeyFile struct {
	Primary  uint32    // the key that seals
	Rotated  time.Time // since when; zero: since the file was made
	Prepared uint32    // the key that the next rotation takes; 0: a new one
	Old      []uint32  // keys that only open
}

// ReadKeyFile tells what a key file holds. A bad one is [ErrKeyFile].
func ReadKeyFile(keys []byte) (KeyFile, error) {
	file, err := decodeKeys(keys)
	if err != nil {
		return KeyFile{}, err
	}
	primary, err := file.handle.Primary()
	if err != nil {
		return KeyFile{}, ErrKeyFile
	}
	k := KeyFile{Primary: primary.KeyID(), Rotated: file.Rotated, Prepared: file.Prepared}
	for _, id := range file.ids() {
		if id != k.Primary && id != k.Prepared {
			k.Old = append(k.Old, id)
		}
	}
	return k, nil
}

// Prepare returns the key file with a key that opens and does not seal yet, so that the file can be brought to every
// machine before any of them seals with it. A file that has such a key stays as it is.
func Prepare(keys []byte) ([]byte, error) {
	file, err := decodeKeys(keys)
	if err != nil || file.Prepared != 0 {
		return keys, err
	}
	err = file.change(func(m *keyset.Manager) (err error) {
		file.Prepared, err = m.Add(aead.XChaCha20Poly1305KeyTemplate())
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("add a sealing key: %w", err)
	}
	return file.encode()
}

// Rotate returns the key file with another key that seals: the prepared one, or a new one. What was sealed before stays
// readable; the HMAC of a subject stays the same.
func Rotate(keys []byte) ([]byte, error) {
	prepared, err := Prepare(keys)
	if err != nil {
		return nil, err
	}
	file, err := decodeKeys(prepared)
	if err != nil {
		return nil, err
	}
	if err := file.change(func(m *keyset.Manager) error { return m.SetPrimary(file.Prepared) }); err != nil {
		return nil, fmt.Errorf("change the sealing key: %w", err)
	}
	file.Prepared, file.Rotated = 0, time.Now().UTC().Truncate(time.Second)
	return file.encode()
}

// Retire returns the key file without its old keys. What they sealed can never be opened again.
func Retire(keys []byte) ([]byte, error) {
	info, err := ReadKeyFile(keys)
	if err != nil {
		return nil, err
	}
	file, err := decodeKeys(keys)
	if err != nil {
		return nil, err
	}
	err = file.change(func(m *keyset.Manager) (err error) {
		for _, id := range info.Old {
			if err == nil {
				err = m.Delete(id)
			}
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("drop the old keys: %w", err)
	}
	return file.encode()
}

// ids are the ids of all keys.
func (f *keyFile) ids() (ids []uint32) {
	for i := range f.handle.Len() {
		if entry, err := f.handle.Entry(i); err == nil {
			ids = append(ids, entry.KeyID())
		}
	}
	return ids
}

func (f *keyFile) change(do func(*keyset.Manager) error) error {
	manager := keyset.NewManagerFromHandle(f.handle)
	if err := do(manager); err != nil {
		return err
	}
	handle, err := manager.Handle()
	if err == nil {
		f.handle = handle
	}
	return err
}

func (f *keyFile) encode() ([]byte, error) {
	var seal bytes.Buffer
	if err := insecurecleartextkeyset.Write(f.handle, keyset.NewJSONWriter(&seal)); err != nil {
		return nil, fmt.Errorf("encode the key file: %w", err)
	}
	f.Seal = seal.Bytes()
	data, err := json.MarshalIndent(f, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encode the key file: %w", err)
	}
	return append(data, '\n'), nil
}

// decodeKeys drops the causes of its errors: a JSON error quotes what it stumbled over, and that may be a key.
func decodeKeys(data []byte) (*keyFile, error) {
	var file keyFile
	if json.Unmarshal(data, &file) != nil || len(file.Subject) != subjectKeySize {
		return nil, ErrKeyFile
	}
	if file.Version != keyFileVersion {
		return nil, fmt.Errorf("%w: it has version %d, this binary knows %d", ErrKeyFile, file.Version, keyFileVersion)
	}
	handle, err := insecurecleartextkeyset.Read(keyset.NewJSONReader(bytes.NewReader(file.Seal)))
	if err != nil {
		return nil, ErrKeyFile
	}
	file.handle = handle
	return &file, nil
}
