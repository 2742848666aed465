package redact

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// shortestInBody is the length from which a secret is looked for in an answer: a shorter one might be a word of it.
const shortestInBody = 12

// Secrets finds secrets in answers. To make one costs as much as to look through a page, so it is kept for as long as the
// secrets are the same. It is safe for concurrent use.
type Secrets struct {
	of     []string
	forms  [][]byte        // as they may be written
	stride int             // how far apart the places are that are looked at, see shows
	marks  [1 << 10]uint64 // a bit for each value of a hash of four bytes
}

// NewSecrets makes a Secrets of access tokens and of the client's secrets. Short ones are left out: they might be words.
func NewSecrets(secrets []string) *Secrets {
	s := &Secrets{of: slices.Clone(secrets)}
	for _, form := range written(secrets) {
		if len(form) >= shortestInBody {
			s.forms = append(s.forms, []byte(form))
		}
	}
	if len(s.forms) == 0 {
		return s
	}
	shortest := slices.MinFunc(s.forms, func(a, b []byte) int { return cmp.Compare(len(a), len(b)) })
	s.stride = len(shortest) - 4 + 1
	for _, form := range s.forms {
		for at := range s.stride {
			word, bit := place(form[at:])
			s.marks[word] |= bit
		}
	}
	return s
}

// Are says whether it was made of these secrets.
func (s *Secrets) Are(secrets []string) bool { return slices.Equal(s.of, secrets) }

// TakeOut takes the secrets out of an answer that shows them, before anything of it is read or kept.
func (s *Secrets) TakeOut(body []byte) []byte {
	if !s.shows(body) {
		return body
	}
	for _, form := range s.forms {
		body = bytes.ReplaceAll(body, form, []byte("[redacted]"))
	}
	return body
}

// written are secrets as they are and as an answer may write them: in a query, and in a string of JSON, whose writers escape
// what they like.
func written(secrets []string) (forms []string) {
	for _, secret := range secrets {
		forms = append(forms, secret)
		for _, form := range []string{
			url.QueryEscape(secret), strings.ReplaceAll(secret, "/", `\/`), escaped(secret, "%04x"), escaped(secret, "%04X"),
		} {
			if !slices.Contains(forms, form) {
				forms = append(forms, form)
			}
		}
	}
	return forms
}

// escaped is a text whose characters that mean something in HTML are escaped as in JSON, with the digits of a format.
func escaped(text, digits string) string {
	var b strings.Builder
	for _, c := range text {
		if strings.ContainsRune("<>&'+\"=/", c) {
			fmt.Fprintf(&b, `\u`+digits, c)
			continue
		}
		b.WriteRune(c)
	}
	return b.String()
}

// place is where the first four bytes of a text are marked.
func place(text []byte) (word uint32, bit uint64) {
	hash := binary.LittleEndian.Uint32(text) * 2654435761 >> 16
	return hash >> 6, 1 << (hash & 63)
}

// shows says whether one of the secrets, none of them short, stands in a body. A search from byte to byte for each secret
// took a seventh of the time of an answer that is not even decoded. So only some places are looked at, so far apart that
// each secret covers one of them and the four bytes from there on.
func (s *Secrets) shows(body []byte) bool {
	if len(s.forms) == 0 {
		return false
	}
	for at := 0; at+4 <= len(body); at += s.stride {
		if word, bit := place(body[at:]); s.marks[word]&bit == 0 {
			continue
		}
		around := body[max(0, at-s.stride+1):]
		for _, form := range s.forms {
			if bytes.Contains(around[:min(len(around), s.stride+len(form))], form) {
				return true
			}
		}
	}
	return false
}
