package redact

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"
)

// A secret is taken out of an answer wherever it stands, and of whatever length it is.
func TestASecretIsTakenOutWhereverItStands(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	word := func(n int) string {
		b := make([]byte, n)
		for i := range b {
			b[i] = "abcdefgh01234567"[random.IntN(16)]
		}
		return string(b)
	}
	for length := shortestInBody; length < 70; length++ {
		secrets := []string{word(length), "short", word(max(shortestInBody, length-7))}
		for before := range length + 3 {
			for after := range length + 3 {
				head, tail := word(before), word(after)
				got := NewSecrets(secrets).TakeOut([]byte(head + secrets[0] + tail))
				if want := head + "[redacted]" + tail; string(got) != want {
					t.Fatalf("%d bytes at %d: got %q, want %q", length, before, got, want)
				}
				near := []byte(head + "-" + secrets[0][1:] + tail)
				if got := NewSecrets(secrets).TakeOut(near); !bytes.Equal(got, near) {
					t.Fatalf("%d bytes at %d: %q was changed to %q", length, before, near, got)
				}
			}
		}
	}
	body := strings.Repeat("short of it ", 4)
	if got := NewSecrets([]string{"short", ""}).TakeOut([]byte(body)); string(got) != body {
		t.Errorf("a short secret was taken out: %q", got)
	}
}

func BenchmarkTakeOut(b *testing.B) {
	body := []byte(strings.Repeat(`{"transactionId":"0123456789","amount":-120.50,"text":"Kiwi 345 Oslo"},`, 600))
	secrets := NewSecrets([]string{strings.Repeat("token4711", 9), "client-of-ours", "hunter2-hunter2"})
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		secrets.TakeOut(body)
	}
}
