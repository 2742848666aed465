package fetch

import (
	"context"
	"iter"
)

// Step is how one position of a stream is read.
type Step struct {
	Request Request
	Version string // of the decoder: part of the page's key, so that a changed decoder reads kept pages anew
	// Tail says that a page whose Next is the position asked for means "caught up", as in an event feed. Elsewhere
	// it is a loop, and an error.
	Tail bool
	// Together says that the pages of the pass form one set, declared whole on its last page. Then no page of several
	// is skipped as unchanged, because its records would look as if they had vanished.
	Together bool
	// Decode reads an answer of class ok. Walk fills in the page's Answer and Key. An error or a panic fails the pass
	// with class malformed.
	Decode func(*Answer) (Page, error)
}

// Walk reads a stream page by page from a position on.
func (c *Client) Walk(ctx context.Context, s Stream, from string, step func(from string) (Step, error)) iter.Seq2[Page, error] {
	return func(yield func(Page, error) bool) {}
}
