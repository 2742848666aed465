package pg

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/rs/zerolog"
)

// Guard watches every connection of a pool that Open has made, River's statements included.
//
// A server that goes silent without closing its connections, such as one behind a firewall that has forgotten them,
// would hold a statement for as long as the kernel is patient: hours. No timeout of Postgres helps, because its word
// does not arrive. So every round trip has a limit on this side too, a little above the server's own.
//
// What one connection shows of the server is true of the others that are as old: when one was silent, or leads to a
// server that has become read-only, none of them is used again.
type Guard struct {
	Log      zerolog.Logger
	limit    atomic.Int64 // of a round trip, a time.Duration; 0: none
	distrust atomic.Int64 // connections made before are not used; Unix time in ns
	valve    valve
	lost     lost
}

// slack is by how much the limit of a round trip is above the server's own limit of a statement, whose word should be
// the one that is heard.
const slack = 5 * time.Second

// pingLimit bounds the question whether a connection that was idle still works. All that is asked is one round trip.
const pingLimit = 3 * time.Second

// pingAfter is how long a connection may be idle and be used unasked.
const pingAfter = time.Second

// What a guard remembers of a connection, in its CustomData.
const (
	madeAt  = "syncer.made"
	idledAt = "syncer.idle"
	ownTrip = "syncer.limit" // for round trips of the transaction under way
)

// watch puts g before every connection of a pool to be made.
func (g *Guard) watch(cfg *pgxpool.Config) {
	fatal := cfg.ConnConfig.OnPgError
	cfg.ConnConfig.OnPgError = func(c *pgconn.PgConn, err *pgconn.PgError) bool {
		if Full(err.Code) {
			g.valve.close(g.Log, err)
		}
		if Gone(err.Code) {
			g.drop(time.Now())
			return false
		}
		return fatal == nil || fatal(c, err)
	}
	cfg.ConnConfig.Tracer = g
	cfg.AfterConnect = func(_ context.Context, c *pgx.Conn) error {
		c.PgConn().CustomData()[madeAt] = time.Now()
		return nil
	}
	cfg.ShouldPing = func(context.Context, pgxpool.ShouldPingParams) bool { return false } // fit does
	cfg.PrepareConn = g.fit
}

// GuardOf is the guard of a pool. One that Open has not made has a guard of its own that limits nothing.
func GuardOf(pool *pgxpool.Pool) *Guard {
	if pool != nil {
		if g, ok := pool.Config().ConnConfig.Tracer.(*Guard); ok {
			return g
		}
	}
	return &Guard{Log: zerolog.Nop()}
}

// Gone says of Postgres' word that the server behind the connection is of no more use, though another may be: after a
// failover the old primary is read-only and answers as if nothing had happened.
func Gone(code string) bool {
	switch code {
	case "25006", "25P03", "57P01", "57P02", "57P03", "57P05":
		return true
	}
	return false
}

// drop has no connection used again that was made before.
func (g *Guard) drop(before time.Time) { g.distrust.Store(before.UnixNano()) }

// fit says whether an idle connection may be used; if not, the pool closes it and takes another.
func (g *Guard) fit(ctx context.Context, c *pgx.Conn) (bool, error) {
	data := c.PgConn().CustomData()
	if made, ok := data[madeAt].(time.Time); ok && made.UnixNano() < g.distrust.Load() {
		return false, nil
	}
	if g.works(ctx, c) {
		g.endLost(ctx, c)
		return !c.IsClosed(), nil
	}
	return false, nil
}

// works says whether a connection is young, was used just now, or answers.
func (g *Guard) works(ctx context.Context, c *pgx.Conn) bool {
	if idle, ok := c.PgConn().CustomData()[idledAt].(time.Time); !ok || time.Since(idle) < pingAfter {
		return true
	}
	// Not with the caller's limit: a good connection must not be lost because its user had no time left.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), pingLimit)
	defer cancel()
	asked := time.Now()
	err := c.Ping(ctx)
	if err != nil && ctx.Err() != nil {
		g.silent(c, asked)
	}
	return err == nil
}

// silent closes a connection whose server has not answered, and says so.
func (g *Guard) silent(c *pgx.Conn, asked time.Time) {
	g.Log.Warn().Stringer("for", time.Since(asked).Round(time.Millisecond)).Str("address", c.Config().Host).
		Msg("the database is silent: its connection is closed, and every other that is as old will be")
	g.drop(time.Now())
	g.lost.add(c.PgConn().PID())
	// pgx has given the connection up. It would still wait 15 s for the server's goodbye, and with it a place of the pool.
	_ = c.PgConn().Conn().Close()
}

var errSilent = errors.New("the database was silent")

// trip is one round trip under way.
type trip struct {
	cancel context.CancelFunc
	asked  time.Time
}

type tripKey struct{}

// Begin limits a round trip over c. end must be called with the context that it gives.
func (g *Guard) Begin(ctx context.Context, c *pgx.Conn) context.Context {
	limit := time.Duration(g.limit.Load())
	if own, ok := c.PgConn().CustomData()[ownTrip].(time.Duration); ok {
		limit = own
	}
	t := &trip{asked: time.Now(), cancel: func() {}}
	if limit > 0 {
		ctx, t.cancel = context.WithTimeoutCause(ctx, limit, errSilent)
	}
	return context.WithValue(ctx, tripKey{}, t)
}

// longerThanSilence is how long a statement whose asker had no more time must have waited to be called a silence.
const longerThanSilence = 2 * time.Second

// End ends a round trip that begin has limited. One that the server was silent in closes the connection.
func (g *Guard) End(ctx context.Context, c *pgx.Conn, err error) {
	t, ok := ctx.Value(tripKey{}).(*trip)
	if !ok {
		return
	}
	if errors.Is(err, context.DeadlineExceeded) &&
		(context.Cause(ctx) == errSilent || time.Since(t.asked) > longerThanSilence) {
		g.silent(c, t.asked)
	}
	t.cancel()
}

// limitTrips sets the limit of round trips over c until it goes back to its pool, for a transaction whose statements
// may take shorter or longer than others.
func limitTrips(c *pgx.Conn, statement time.Duration) {
	c.PgConn().CustomData()[ownTrip] = statement + slack
}

// LimitAtMost is limitTrips for statements that have a shorter limit of their own than others.
func (g *Guard) LimitAtMost(c *pgx.Conn, statement time.Duration) {
	if limit := time.Duration(g.limit.Load()); limit > statement+slack {
		limitTrips(c, statement)
	}
}

// Hold says that somebody keeps what the database has no room for, until release.
func (g *Guard) Hold() { g.valve.hold() }

// Release says that it is kept no more; written: the database has had room for it.
func (g *Guard) Release(written bool) { g.valve.release(g.Log, written) }

// TraceQueryStart limits a statement.
func (g *Guard) TraceQueryStart(ctx context.Context, c *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	return g.Begin(ctx, c)
}

// TraceQueryEnd ends it.
func (g *Guard) TraceQueryEnd(ctx context.Context, c *pgx.Conn, data pgx.TraceQueryEndData) {
	g.End(ctx, c, data.Err)
}

// TraceBatchStart limits all statements of a batch, which are one round trip.
func (g *Guard) TraceBatchStart(ctx context.Context, c *pgx.Conn, _ pgx.TraceBatchStartData) context.Context {
	return g.Begin(ctx, c)
}

// TraceBatchQuery does nothing.
func (g *Guard) TraceBatchQuery(context.Context, *pgx.Conn, pgx.TraceBatchQueryData) {}

// TraceBatchEnd ends it.
func (g *Guard) TraceBatchEnd(ctx context.Context, c *pgx.Conn, data pgx.TraceBatchEndData) {
	g.End(ctx, c, data.Err)
}

// TraceCopyFromStart limits a COPY.
func (g *Guard) TraceCopyFromStart(ctx context.Context, c *pgx.Conn, _ pgx.TraceCopyFromStartData) context.Context {
	return g.Begin(ctx, c)
}

// TraceCopyFromEnd ends it.
func (g *Guard) TraceCopyFromEnd(ctx context.Context, c *pgx.Conn, data pgx.TraceCopyFromEndData) {
	g.End(ctx, c, data.Err)
}

// TraceRelease notes since when a connection is idle. (The pool's own AfterRelease would do so in another
// goroutine: whoever asks for a connection right after giving one back would find none idle, and have another
// one made.)
func (g *Guard) TraceRelease(_ *pgxpool.Pool, released pgxpool.TraceReleaseData) {
	data := released.Conn.PgConn().CustomData()
	data[idledAt] = time.Now()
	delete(data, ownTrip)
}

// TraceAcquireStart limits the wait for a connection of the pool.
func (g *Guard) TraceAcquireStart(ctx context.Context, _ *pgxpool.Pool, _ pgxpool.TraceAcquireStartData) context.Context {
	t := &trip{asked: time.Now(), cancel: func() {}}
	if limit := time.Duration(g.limit.Load()); limit > 0 {
		ctx, t.cancel = context.WithTimeoutCause(ctx, limit, errSilent)
	}
	return context.WithValue(ctx, tripKey{}, t)
}

// TraceAcquireEnd ends it.
func (g *Guard) TraceAcquireEnd(ctx context.Context, pool *pgxpool.Pool, data pgxpool.TraceAcquireEndData) {
	t, ok := ctx.Value(tripKey{}).(*trip)
	if !ok {
		return
	}
	if data.Err != nil && context.Cause(ctx) == errSilent {
		g.Log.Warn().Stringer("for", time.Since(t.asked).Round(time.Millisecond)).Int32("connections", pool.Config().MaxConns).
			Msg("no connection to the database became free: all are busy, or none can be made")
	}
	t.cancel()
}
