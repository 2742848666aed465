package wire

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
)

// byteOrderMark may stand in front of a JSON text, and a reader may pass over it (RFC 8259 section 8.1).
const byteOrderMark = "\ufeff"

// longestErrorBody is how much of an answer is read that is none of 2xx: what is wrong stands in its first lines.
const longestErrorBody = 256 << 10

// Receive reads a whole answer, undoes gzip and takes a byte order mark off. What is bounded is the
// decompressed size: a few kilobytes of gzip can hold gigabytes. Of an answer that is none of 2xx the beginning is read.
//
// room is called before memory is taken for so many bytes in all.
func Receive(r *http.Response, limit int64, room func(int64) error) ([]byte, error) {
	good := r.StatusCode >= 200 && r.StatusCode < 300
	if !good {
		limit = min(limit, longestErrorBody)
	}
	var body io.Reader = r.Body
	codings := codingsOf(r.Header)
	announced := r.ContentLength
	switch {
	case len(codings) == 0, r.ContentLength == 0, isBodiless(r.StatusCode):
	case isGzip(codings):
		// The input is bounded as well: an endless row of empty members yields no byte and would be read for ever.
		z, err := gzip.NewReader(io.LimitReader(r.Body, limit+64<<10))
		if err != nil {
			return nil, fmt.Errorf("the answer's gzip can't be read: %w", err)
		}
		body = z
		announced = -1
	default:
		return nil, ErrEncoding
	}
	if good && r.ContentLength > limit {
		return nil, ErrTooLarge
	}
	if !good {
		body = io.LimitReader(body, limit)
		announced = min(announced, limit)
	}
	whole, err := readPieces(body, announced, limit, room)
	if err != nil {
		return nil, err
	}
	return bytes.TrimPrefix(whole, []byte(byteOrderMark)), nil
}

// AnnouncedPiece is how many bytes of a body are read at once, if so many are announced.
const AnnouncedPiece = 1 << 20

// The first piece of another body is as large as most are. Each that follows is as large as all before it, up to a point.
const (
	usualPiece   = 64 << 10
	largestPiece = 4 << 20
)

// readPieces reads a body of at most limit bytes. announced is how long it will be; negative: it is not known. It is read in
// pieces, since a buffer that is doubled takes three times its size.
func readPieces(body io.Reader, announced, limit int64, room func(int64) error) ([]byte, error) {
	first := int64(usualPiece)
	if announced >= 0 {
		first = min(announced, AnnouncedPiece)
	}
	var pieces [][]byte
	total := int64(0)
	for size := first; ; size = min(total, largestPiece) {
		if announced >= 0 {
			size = min(size, max(announced-total, 0))
		}
		if err := room(total + size); err != nil {
			return nil, err
		}
		piece := make([]byte, size+bytes.MinRead) // so that the end is met without another piece
		n, err := fill(body, piece)
		pieces = append(pieces, piece[:n])
		total += int64(n)
		switch {
		case total > limit:
			return nil, ErrTooLarge
		case err == io.EOF:
			return joined(pieces, total), nil
		case err != nil:
			return nil, fmt.Errorf("the answer breaks off after %d bytes: %w", total, err)
		}
	}
}

// fill reads until p is full or the reader fails. Unlike io.ReadFull it tells an end from a cut: the error is the reader's own.
func fill(r io.Reader, p []byte) (n int, err error) {
	for n < len(p) && err == nil {
		var read int
		read, err = r.Read(p[n:])
		n += read
	}
	return n, err
}

// joined is all pieces in one.
func joined(pieces [][]byte, total int64) []byte {
	if len(pieces) == 1 {
		return pieces[0]
	}
	whole := make([]byte, 0, total)
	for _, piece := range pieces {
		whole = append(whole, piece...)
	}
	return whole
}
