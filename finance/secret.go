package finance

import "fmt"

// Secret is a text that no formatting verb, encoder or logger shows.
type Secret struct{ text string }

// NewSecret wraps a secret text.
func NewSecret(text string) Secret { return Secret{text} }

// Reveal is the text itself, for the one place that must send it.
func (s Secret) Reveal() string { return s.text }

// IsZero says that there is no secret.
func (s Secret) IsZero() bool { return s.text == "" }

// Format prints a fixed word for every verb.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("[redacted]")) }

// MarshalText prints the same fixed word.
func (s Secret) MarshalText() ([]byte, error) { return []byte("[redacted]"), nil }
