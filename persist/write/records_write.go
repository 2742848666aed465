package write

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"syncer/finance"
	"syncer/persist/pg"
)

// write brings one round of records into its table. Only what is new or changed is written.
func (r *rows[T]) write(ctx context.Context, a *attempt, round int) error {
	if round >= len(r.rounds) || len(r.rounds[round]) == 0 {
		return nil
	}
	fresh, known, err := r.kind.probe(ctx, a, r.rounds[round], round == 0 && !a.probe)
	if err != nil {
		return err
	}
	old, gone, err := r.kind.retire(ctx, a, known)
	if err != nil {
		return err
	}
	fresh = append(fresh, gone...)
	if err := r.kind.copy(ctx, a, fresh, nil); err != nil {
		return err
	}
	return r.kind.copy(ctx, a, old.entries, old.firstSeen)
}

// probe sorts the entries into new and changed ones and counts the rest as unchanged. With trust, those of a new
// stream are new without asking; COPY will say so if they are not.
func (k *kind[T]) probe(ctx context.Context, a *attempt, es []entry[T], trust bool) (fresh, known []*entry[T], err error) {
	asked := make([]*entry[T], 0, len(es))
	for i := range es {
		if e := &es[i]; trust && e.page.NewStream {
			fresh = append(fresh, e)
			k.wrote(e.page, Written{Inserted: 1})
		} else {
			asked = append(asked, e)
			e.page.written.Unchanged++
		}
	}
	if len(asked) == 0 {
		return fresh, nil, nil
	}
	hashes := make([][]byte, len(asked))
	for i, e := range asked {
		hashes[i] = e.hash[:]
	}
	rows, err := a.tx.Query(ctx, k.probeSQL(), append(k.keyArrays(asked), hashes)...)
	if err != nil {
		return nil, nil, k.failed("look up", err)
	}
	var n int64
	var there bool
	_, err = pgx.ForEachRow(rows, []any{&n, &there}, func() error {
		e := asked[n-1]
		e.page.written.Unchanged--
		if there {
			known = append(known, e)
			k.wrote(e.page, Written{Updated: 1})
		} else {
			fresh = append(fresh, e)
			k.wrote(e.page, Written{Inserted: 1})
		}
		return nil
	})
	if err != nil {
		return nil, nil, k.failed("look up", err)
	}
	return fresh, known, nil
}

// wrote counts what becomes of records of a page. Balances are counted apart too.
func (k *kind[T]) wrote(p *page, w Written) {
	p.written.add(w)
	if k.table == balanceKind.table {
		p.figures.add(w)
	}
}

// retired are entries whose old version went to the history, and when each was first seen.
type retired[T any] struct {
	entries   []*entry[T]
	firstSeen []time.Time
}

// retire moves the old versions of known entries to the history. An entry whose row has gone meanwhile is new.
func (k *kind[T]) retire(ctx context.Context, a *attempt, known []*entry[T]) (old retired[T], gone []*entry[T], err error) {
	if len(known) == 0 {
		return old, nil, nil
	}
	calls := make([][16]byte, len(known))
	hashes := make([][]byte, len(known))
	for i, e := range known {
		calls[i] = e.page.Call.ID
		hashes[i] = e.hash[:]
	}
	rows, err := a.tx.Query(ctx, k.retireSQL(), append(k.keyArrays(known), calls, hashes)...)
	if err != nil {
		return old, nil, k.failed("replace", err)
	}
	var n int64
	var at time.Time
	var contested bool
	_, err = pgx.ForEachRow(rows, []any{&n, &at, &contested}, func() error {
		if contested {
			known[n-1].contest(k)
		}
		old.entries = append(old.entries, known[n-1])
		old.firstSeen = append(old.firstSeen, at)
		known[n-1] = nil
		return nil
	})
	if err != nil {
		return old, nil, k.failed("replace", err)
	}
	for _, e := range known {
		if e != nil {
			gone = append(gone, e)
			k.wrote(e.page, Written{Updated: -1, Inserted: 1})
		}
	}
	return old, gone, nil
}

// contest notes that the record's key came with other content on an earlier page of the run, and that both contents had come
// before: whoever looks at the row sees the one or the other, by the page that came last, and each night has two changes.
func (e *entry[T]) contest(k *kind[T]) {
	e.page.written.Contested++
	e.page.contested = append(e.page.contested, finance.Reject{Place: k.place(e.rec), Body: e.hash,
		Reason: "an earlier answer of the same run has the same key in " + k.table + " and other content, and not for " +
			"the first time: this one was kept"})
}

// keyArrays are the keys of es, a parameter for each column.
func (k *kind[T]) keyArrays(es []*entry[T]) []any {
	consents := make([]int64, len(es))
	arrays := []any{consents}
	columns := make([][]string, len(k.key))
	for n := range columns {
		columns[n] = make([]string, len(es))
		arrays = append(arrays, columns[n])
	}
	for i, e := range es {
		key := k.keyOf(e)
		consents[i] = key.consent
		for n := range columns {
			columns[n][i] = key.columns[n]
		}
	}
	return arrays
}

func (k *kind[T]) failed(what string, err error) error {
	return fmt.Errorf("%s %s: %w", what, k.table, pg.Describe(err))
}

// copy writes rows straight into the table. The stream's lock makes us its only writer, so a unique violation means
// that a page's stream was not new.
func (k *kind[T]) copy(ctx context.Context, a *attempt, es []*entry[T], firstSeen []time.Time) error {
	if len(es) == 0 {
		return nil
	}
	return k.copyTo(ctx, a, &copySource[T]{kind: k, entries: es, firstSeen: firstSeen})
}

// copyTo writes the rows of a source straight into their table, or into the one where they are staged.
func (k *kind[T]) copyTo(ctx context.Context, a *attempt, src *copySource[T]) error {
	table := k.table
	es := src.entries
	if src.staged {
		table = k.staged()
	}
	src.enc = encoder{buf: append(a.scratch[:0], copyHeader...)}
	ctx = a.guard.Begin(ctx, a.tx.Conn())
	_, err := a.tx.Conn().PgConn().CopyFrom(ctx, src, copySQL(table, src.columns()))
	a.guard.End(ctx, a.tx.Conn(), err)
	var own error
	a.scratch, own = src.end()
	if own != nil {
		return own
	}
	if refused, ok := errors.AsType[*pgconn.PgError](err); ok && classify(err) == data {
		if line, ok := copyLine(refused.Where, table); ok && line >= 1 && line <= len(es) {
			return es[line-1].rowError(k, pg.Describe(err))
		}
	}
	if err != nil {
		return k.failed("write", err)
	}
	return nil
}

// copySource encodes rows as they are sent, so that Postgres works on the first while we encode the next. pgx reads it in a
// goroutine that it leaves behind when the connection breaks; see end.
type copySource[T any] struct {
	mu        sync.Mutex
	given     bool // end was called
	kind      *kind[T]
	entries   []*entry[T]
	firstSeen []time.Time // nil: the column is not written
	staged    bool        // they go where they are staged, each with its stream
	named     []string    // see columns
	next      int
	ended     bool
	enc       encoder
	sent      int // of enc.buf
	err       error
}

// copyChunk is how many bytes are encoded at a time: what pgconn puts into one message.
const copyChunk = 60 << 10

// end waits until no row is being encoded, and has none encoded any more: the records and the buffer are its caller's again. It
// gives the buffer, and why a row could not be encoded.
func (s *copySource[T]) end() ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.given = true
	return s.enc.buf, s.err
}

// Read gives the next bytes of the COPY.
func (s *copySource[T]) Read(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.given {
		return 0, io.ErrClosedPipe
	}
	if s.sent == len(s.enc.buf) {
		if s.ended {
			return 0, io.EOF
		}
		s.enc.buf = s.enc.buf[:0]
		s.sent = 0
	}
	for len(s.enc.buf) < copyChunk && !s.ended {
		if s.next == len(s.entries) {
			s.enc.buf = append(s.enc.buf, 0xff, 0xff) // the trailer
			s.ended = true
			break
		}
		if s.err = s.encodeNext(); s.err != nil {
			return 0, s.err
		}
	}
	n := copy(p, s.enc.buf[s.sent:])
	s.sent += n
	return n, nil
}

func (s *copySource[T]) encodeNext() error {
	e := s.entries[s.next]
	s.enc.row(len(s.columns()))
	s.enc.int8(e.page.Stream.Consent)
	s.kind.encode(&s.enc, e.rec)
	s.enc.bytes(e.hash[:])
	s.enc.bytes(e.page.Call.ID[:])
	s.enc.int4(s.kind.place(e.rec))
	if s.firstSeen != nil {
		s.enc.time(s.firstSeen[s.next])
	}
	if s.staged {
		s.enc.text(e.page.Stream.Account)
		s.enc.text(e.page.Stream.Span)
	}
	s.next++
	if s.enc.bad > 0 {
		return e.rowError(s.kind, fmt.Errorf("column %s is not valid UTF-8 without NUL", s.columns()[s.enc.bad-1]))
	}
	return nil
}

// columns are those that are written, in their order.
func (s *copySource[T]) columns() []string {
	if s.named == nil {
		s.named = s.kind.copied(s.firstSeen != nil)
		if s.staged {
			s.named = append(s.named, "stream", "span")
		}
	}
	return s.named
}
