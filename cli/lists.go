package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"

	"syncer/files"
)

// maxList bounds a list that is read from a file: two million consents.
const maxList = 256 << 20

// openList opens a list: a file, or standard input for a dash. What is no regular file must come by standard input. Reading it
// ends with ctx.
func (p *Program) openList(ctx context.Context, path string) (io.ReadCloser, error) {
	if path == "-" {
		return io.NopCloser(heed(ctx, p.in)), nil
	}
	f, err := files.Open(path, maxList)
	if errors.Is(err, files.ErrIrregular) {
		return nil, fmt.Errorf("%w: give it to standard input and write - in its place", err)
	}
	if err != nil {
		return nil, err
	}
	return f, nil
}

// heeded is a reader that ends with a context: a pipe that nobody writes to would keep the program from hearing a signal.
type heeded struct {
	ctx    context.Context
	pieces chan []byte // closed at the end
	left   []byte
	err    error // why it has ended; to be looked at when pieces is closed
}

func heed(ctx context.Context, r io.Reader) *heeded {
	h := &heeded{ctx: ctx, pieces: make(chan []byte)}
	go h.pump(r)
	return h
}

// pump reads ahead by one piece.
func (h *heeded) pump(r io.Reader) {
	defer close(h.pieces)
	for h.err == nil {
		piece := make([]byte, 32<<10)
		n, err := r.Read(piece)
		h.err = err
		if n == 0 {
			continue
		}
		select {
		case h.pieces <- piece[:n]:
		case <-h.ctx.Done():
			return
		}
	}
}

// Read implements io.Reader.
func (h *heeded) Read(p []byte) (int, error) {
	for len(h.left) == 0 {
		select {
		case piece, more := <-h.pieces:
			if !more {
				return 0, cmp.Or(h.err, context.Cause(h.ctx))
			}
			h.left = piece
		case <-h.ctx.Done():
			return 0, context.Cause(h.ctx)
		}
	}
	n := copy(p, h.left)
	h.left = h.left[n:]
	return n, nil
}
