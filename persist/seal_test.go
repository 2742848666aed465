package persist_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"syncer/finance"
	"syncer/persist/seal"
)

func newSealer(t *testing.T) (*seal.Sealer, []byte) {
	t.Helper()
	keys, err := seal.NewKeyset()
	if err != nil {
		t.Fatal(err)
	}
	return openSealer(t, keys), keys
}

func openSealer(t *testing.T, keys []byte) *seal.Sealer {
	t.Helper()
	s, err := seal.OpenSealer(keys)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSealIsBoundToItsRow(t *testing.T) {
	t.Parallel()
	s, _ := newSealer(t)
	sealed, err := s.Seal([]byte("13097248022"), []byte("consents/1/subject"))
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(sealed, []byte("13097248022")) {
		t.Error("the sealed value shows its content")
	}
	if got, err := s.Unseal(sealed, []byte("consents/1/subject")); err != nil || string(got) != "13097248022" {
		t.Errorf("Unseal = %q, %v", got, err)
	}
	changed := bytes.Clone(sealed)
	changed[len(changed)-1] ^= 1
	other, _ := newSealer(t)
	for name, open := range map[string]func() ([]byte, error){
		"swapped to another row": func() ([]byte, error) { return s.Unseal(sealed, []byte("consents/2/subject")) },
		"changed":                func() ([]byte, error) { return s.Unseal(changed, []byte("consents/1/subject")) },
		"cut":                    func() ([]byte, error) { return s.Unseal(sealed[:3], []byte("consents/1/subject")) },
		"another key file":       func() ([]byte, error) { return other.Unseal(sealed, []byte("consents/1/subject")) },
	} {
		if got, err := open(); !errors.Is(err, seal.ErrUnseal) || got != nil {
			t.Errorf("%s: got %q, %v; want ErrUnseal", name, got, err)
		}
	}
}

func TestRotateKeepsTheOldReadable(t *testing.T) {
	t.Parallel()
	old, keys := newSealer(t)
	sealed, err := old.Seal([]byte("before"), nil)
	if err != nil {
		t.Fatal(err)
	}
	rotated, err := seal.Rotate(keys)
	if err != nil {
		t.Fatal(err)
	}
	s := openSealer(t, rotated)
	if s.KeyID() == old.KeyID() {
		t.Error("the primary key did not change")
	}
	if got, err := s.Unseal(sealed, nil); err != nil || string(got) != "before" {
		t.Errorf("the old value: %q, %v", got, err)
	}
	after, err := s.Seal([]byte("after"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := old.Unseal(after, nil); !errors.Is(err, seal.ErrUnseal) {
		t.Errorf("the new key is in the old file too: %v", err)
	}
	if !bytes.Equal(s.SubjectHMAC("13097248022"), old.SubjectHMAC("13097248022")) {
		t.Error("rotation made every subject a stranger")
	}
}

func TestSubjectHMACIsKeyed(t *testing.T) {
	t.Parallel()
	a, keys := newSealer(t)
	b, _ := newSealer(t)
	id := "13097248022"
	if got := a.SubjectHMAC(id); len(got) != 32 || !bytes.Equal(got, openSealer(t, keys).SubjectHMAC(id)) {
		t.Errorf("not stable or not 32 bytes: %x", got)
	}
	if bytes.Equal(a.SubjectHMAC(id), b.SubjectHMAC(id)) {
		t.Error("two installations give a subject the same name: the key is not used")
	}
	if bytes.Equal(a.SubjectHMAC(id), a.SubjectHMAC("13097248023")) {
		t.Error("two subjects share a name")
	}
}

func TestBodyRoundTrip(t *testing.T) {
	t.Parallel()
	s, _ := newSealer(t)
	rapid.Check(t, func(t *rapid.T) {
		body := rapid.SliceOf(rapid.Byte()).Draw(t, "body")
		call := finance.CallID(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "call"))
		sealed, err := s.SealBody(body, call)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := s.OpenBody(sealed, call); err != nil || !bytes.Equal(got, body) {
			t.Fatalf("OpenBody = %x, %v", got, err)
		}
		call[0] ^= 1
		if _, err := s.OpenBody(sealed, call); !errors.Is(err, seal.ErrUnseal) {
			t.Fatalf("another call's body opened: %v", err)
		}
	})
}

func TestBodyIsCompressedAndBounded(t *testing.T) {
	t.Parallel()
	s, _ := newSealer(t)
	call := finance.CallID{1}
	page := bytes.Repeat([]byte(`{"amount":"100.00","currency":"NOK"},`), 1000)
	sealed, err := s.SealBody(page, call)
	if err != nil || len(sealed) > len(page)/20 {
		t.Errorf("sealed %d bytes into %d, %v", len(page), len(sealed), err)
	}
	largest := make([]byte, seal.MaxBody)
	if sealed, err = s.SealBody(largest, call); err != nil {
		t.Fatal(err)
	}
	if got, err := s.OpenBody(sealed, call); err != nil || len(got) != len(largest) {
		t.Errorf("a body of exactly MaxBody: %d bytes, %v", len(got), err)
	}
	if _, err := s.SealBody(append(largest, 0), call); !errors.Is(err, seal.ErrBodyTooLarge) {
		t.Errorf("a body above MaxBody: %v", err)
	}
}

func TestSealerIsSafeForConcurrentUse(t *testing.T) {
	t.Parallel()
	s, _ := newSealer(t)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			body, call := bytes.Repeat([]byte{byte(i)}, 10_000), finance.CallID{byte(i)}
			for range 20 {
				sealed, err := s.SealBody(body, call)
				if err != nil {
					t.Error(err)
					return
				}
				if got, err := s.OpenBody(sealed, call); err != nil || !bytes.Equal(got, body) {
					t.Errorf("goroutine %d: %d bytes, %v", i, len(got), err)
				}
			}
		})
	}
	wg.Wait()
}

func TestBadKeyFileTellsNothing(t *testing.T) {
	t.Parallel()
	_, keys := newSealer(t)
	var file map[string]any
	if err := json.Unmarshal(keys, &file); err != nil {
		t.Fatal(err)
	}
	secret := file["subject"].(string)
	with := func(name string, value any) []byte {
		changed := map[string]any{"version": file["version"], "seal": file["seal"], "subject": file["subject"]}
		changed[name] = value
		data, err := json.Marshal(changed)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	for name, bad := range map[string][]byte{
		"empty":            nil,
		"cut":              keys[:len(keys)/2],
		"the key alone":    []byte(secret),
		"another version":  with("version", 2),
		"no sealing key":   with("seal", map[string]any{}),
		"short subject":    with("subject", base64.StdEncoding.EncodeToString([]byte("short"))),
		"no base64":        with("subject", "%"+secret),
		"a string keyset":  with("seal", secret),
		"a damaged keyset": bytes.Replace(keys, []byte(`"value"`), []byte(`"valu"`), 1),
	} {
		_, openErr := seal.OpenSealer(bad)
		_, rotateErr := seal.Rotate(bad)
		for _, err := range []error{openErr, rotateErr} {
			if !errors.Is(err, seal.ErrKeyFile) {
				t.Errorf("%s: %v, want ErrKeyFile", name, err)
			} else if strings.Contains(err.Error(), secret[:8]) {
				t.Errorf("%s: the error shows the key", name)
			}
		}
	}
}
