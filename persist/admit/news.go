package admit

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"syncer/calls"
	"syncer/persist/pg"
)

// newsChannel is what the triggers of migrations/00016 tell every change on that takes a permission back.
const newsChannel = "syncer_changes"

// How old news may be. A word is heard within a millisecond or so; what these bound is how long it may go
// unnoticed that no word comes through.
const (
	freshFor = 50 * time.Millisecond  // an answer, to a question or to a ping, counts as news for so long
	patience = 20 * time.Millisecond  // is waited for a ping's answer; then the database is asked the question
	tooSlow  = 900 * time.Millisecond // an answer that took longer is of the past: this process was frozen, say
	deaf     = 2 * time.Second        // a connection that leaves a ping unanswered for so long is given up
	again    = time.Second            // before another connection is made
)

// news is what this process has heard of changes that other processes have committed. A question to the
// database that was answered before a word is void; without a word it holds, if it is certain that there
// was none.
//
// That is certain by a ping: Postgres signals the listeners before a commit returns, so all that was
// committed before a ping was sent has been heard when it is answered. All calls share the pings, and
// nobody pings while no call is made.
type news struct {
	mu        sync.Mutex
	words     map[string]uint64 // by connection
	gaps      uint64            // how often words may have been missed, about whatever connection
	listening bool              // words are heard
	proven    time.Time         // when a ping was last answered
	ping      *ping             // wanted or under way
	interrupt func()            // ends the wait for words, so that a ping is sent
}

// ping is one round trip over the connection that words are heard on.
type ping struct {
	wanted time.Time
	done   chan struct{} // closed when it was answered, or failed
}

func newNews() *news { return &news{words: map[string]uint64{}, interrupt: func() {}} }

// arrived is when an answer counts as news from, by when it was asked for and when it was here.
func arrived(began, ended time.Time) time.Time {
	if ended.Sub(began) > tooSlow {
		return time.Time{}
	}
	return ended
}

// said notes before questions are put what has been heard.
func (n *news) said(asks []calls.Ask) []calls.Said {
	n.mu.Lock()
	defer n.mu.Unlock()
	said := make([]calls.Said, len(asks))
	for i := range asks {
		said[i] = calls.Said{Connection: asks[i].Connection, Words: n.heard(asks[i].Connection)}
	}
	return said
}

func (n *news) heard(connection string) uint64 { return n.words[connection] + n.gaps }

// tell takes a word.
func (n *news) tell(_ *pgconn.PgConn, word *pgconn.Notification) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.words[word.Payload]++
}

// Holds says whether what the store has said holds at a moment, now or soon: no word was heard since, and
// there is proof that all words of up to 50 ms before the moment have been. It asks the database nothing;
// it may wait for 20 ms for a ping that all callers share. Without [Store.Listen] only a fresh answer
// holds.
func (s *Store) Holds(ctx context.Context, said calls.Said, at time.Time) bool {
	return s.news.holds(ctx, said, at)
}

func (n *news) holds(ctx context.Context, said calls.Said, at time.Time) bool {
	if !said.Ends.IsZero() && !at.Before(said.Ends) {
		return false
	}
	n.mu.Lock()
	holds, certain := n.known(said, at)
	if !holds || certain || !n.listening {
		n.mu.Unlock()
		return holds && certain
	}
	p := n.want()
	n.mu.Unlock()
	left := patience - time.Since(p.wanted)
	if left <= 0 {
		return false
	}
	enough := time.NewTimer(left)
	defer enough.Stop()
	select {
	case <-p.done:
	case <-enough.C:
		return false
	case <-ctx.Done():
		return false
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	holds, certain = n.known(said, at)
	return holds && certain
}

// known says whether no word was heard since, and whether that is certain for the moment. The caller holds
// mu.
func (n *news) known(said calls.Said, at time.Time) (holds, certain bool) {
	last := said.At
	if n.proven.After(last) {
		last = n.proven
	}
	return n.heard(said.Connection) == said.Words, at.Sub(last) <= freshFor
}

// want has a ping sent, unless one is under way. The caller holds mu.
func (n *news) want() *ping {
	if n.ping == nil {
		n.ping = &ping{wanted: time.Now(), done: make(chan struct{})}
		n.interrupt()
	}
	return n.ping
}

// Listen hears, until ctx ends, what other processes commit that takes a permission back. It has a
// connection of its own, over which nothing goes while no call is made. As long as there is none, calls ask
// the database.
func (s *Store) Listen(ctx context.Context) {
	for told := false; ctx.Err() == nil; {
		heard, err := s.listen(ctx)
		if ctx.Err() != nil {
			return
		}
		if heard || !told {
			s.db.Guard.Log.Warn().Err(err).Msg("what other processes take back is not heard at once: " +
				"each call asks the database, until there is a connection again")
		}
		told = true
		pause := time.NewTimer(again)
		select {
		case <-ctx.Done():
		case <-pause.C:
		}
		pause.Stop()
	}
}

// listen hears over one connection, until it breaks. heard says whether there was one.
func (s *Store) listen(ctx context.Context) (heard bool, err error) {
	config := s.db.Whole.Config().ConnConfig.Copy()
	config.Tracer = nil
	config.OnPgError = nil // what happens to this connection says nothing of the pool's
	config.OnNotification = s.news.tell
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return false, fmt.Errorf("connect to hear what other processes commit: %w", pg.WithHint(err))
	}
	defer func() {
		s.news.end()
		bye, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = conn.Close(bye) // nobody is left whom its error would help
	}()
	first, cancel := context.WithTimeout(ctx, deaf)
	defer cancel()
	if _, err := conn.Exec(first, "LISTEN "+newsChannel); err != nil {
		return false, fmt.Errorf("listen to what other processes commit: %w", err)
	}
	s.news.begin()
	for {
		if err := s.news.next(ctx, conn.PgConn()); err != nil {
			return true, fmt.Errorf("hear what other processes commit: %w", err)
		}
	}
}

// begin: from now on words are heard. Those before may have been missed.
func (n *news) begin() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.gaps++
	n.listening = true
}

// end: no words are heard any more.
func (n *news) end() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.listening = false
	n.proven = time.Time{}
	n.interrupt = func() {}
	n.answered()
}

// answered ends the ping. The caller holds mu.
func (n *news) answered() {
	if n.ping != nil {
		close(n.ping.done)
		n.ping = nil
	}
}

// next waits for a word, or sends the ping that is wanted.
func (n *news) next(ctx context.Context, conn *pgconn.PgConn) error {
	wait, interrupt := context.WithCancel(ctx)
	defer interrupt()
	n.mu.Lock()
	wanted := n.ping != nil
	n.interrupt = interrupt
	n.mu.Unlock()
	if wanted {
		return n.send(ctx, conn)
	}
	err := conn.WaitForNotification(wait)
	if err != nil && wait.Err() != nil && !conn.IsClosed() {
		return ctx.Err() // interrupted: nil, unless it is over
	}
	return err
}

// send sends a ping and waits for its answer.
func (n *news) send(ctx context.Context, conn *pgconn.PgConn) error {
	ctx, cancel := context.WithTimeout(ctx, deaf)
	defer cancel()
	began := time.Now()
	err := conn.Exec(ctx, "-- ping").Close()
	if err != nil {
		return err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.proven = arrived(began, time.Now())
	n.answered()
	return nil
}
