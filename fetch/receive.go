package fetch

import (
	"bytes"
	"context"
	"net/http"

	"syncer/fetch/wire"
)

// receive reads the attempt's answer, and takes memory for it. The time that it waits for memory is none of the answer's. That of
// a single-use call exists nowhere else until it is stored, so it waits for no memory.
func (a *attempt) receive(ctx context.Context, resp *http.Response, within *allowance) ([]byte, error) {
	take := func(size int64) error {
		if a.once && size <= costs(wire.AnnouncedPiece) {
			a.memory.force(size)
			return nil
		}
		return within.apart(func() error { return a.memory.grow(ctx, size) })
	}
	body, err := wire.Receive(resp, a.c.opt.MaxBody, func(bytes int64) error { return take(costs(bytes)) })
	if err != nil || !isSuccess(resp.StatusCode) {
		return body, err
	}
	need := weighs(body)
	a.memory.shrink(need)
	if a.once {
		a.memory.force(need)
		return body, nil
	}
	return body, take(need)
}

// weighs is what a body and the records in it cost until they are committed. A record is an object, or has some in it.
func weighs(body []byte) int64 {
	const record = 900
	return 2*int64(len(body)) + record*int64(bytes.Count(body, []byte{'{'}))
}
