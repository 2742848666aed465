package persist

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

// guard watches every connection of a pool that Open has made, River's statements included.
//
// A server that goes silent without closing its connections, such as one behind a firewall that has forgotten them,
// would hold a statement for as long as the kernel is patient: hours. No timeout of Postgres helps, because its word
// does not arrive. So every round trip has a limit on this side too, a little above the server's own.
//
// What one connection shows of the server is true of the others that are as old: when one was silent, or leads to a
// server that has become read-only, none of them is used again.
type guard struct {
	log      zerolog.Logger
	limit    atomic.Int64 // of a round trip, a time.Duration; 0: none
	distrust atomic.Int64 // connections made before are not used; Unix time in ns
	valve    valve
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
func (g *guard) watch(cfg *pgxpool.Config) {
	fatal := cfg.ConnConfig.OnPgError
	cfg.ConnConfig.OnPgError = func(c *pgconn.PgConn, err *pgconn.PgError) bool {
		if full(err.Code) {
			g.valve.close(g.log, err)
		}
		if gone(err.Code) {
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
	cfg.AfterRelease = func(c *pgx.Conn) bool {
		data := c.PgConn().CustomData()
		data[idledAt] = time.Now()
		delete(data, ownTrip)
		return true
	}
	cfg.ShouldPing = func(context.Context, pgxpool.ShouldPingParams) bool { return false } // fit does
	cfg.PrepareConn = g.fit
}

// guardOf is the guard of a pool. One that Open has not made has a guard of its own that limits nothing.
func guardOf(pool *pgxpool.Pool) *guard {
	if pool != nil {
		if g, ok := pool.Config().ConnConfig.Tracer.(*guard); ok {
			return g
		}
	}
	return &guard{log: zerolog.Nop()}
}

// gone says of Postgres' word that the server behind the connection is of no more use, though another may be: after a
// failover the old primary is read-only and answers as if nothing had happened.
func gone(code string) bool {
	switch code {
	case "25006", "25P03", "57P01", "57P02", "57P03", "57P05":
		return true
	}
	return false
}

// drop has no connection used again that was made before.
func (g *guard) drop(before time.Time) { g.distrust.Store(before.UnixNano()) }

// fit says whether an idle connection may be used; if not, the pool closes it and takes another.
func (g *guard) fit(ctx context.Context, c *pgx.Conn) (bool, error) {
	data := c.PgConn().CustomData()
	if made, ok := data[madeAt].(time.Time); ok && made.UnixNano() < g.distrust.Load() {
		return false, nil
	}
	if idle, ok := data[idledAt].(time.Time); !ok || time.Since(idle) < pingAfter {
		return true, nil
	}
	// Not with the caller's limit: a good connection must not be lost because its user had no time left.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), pingLimit)
	defer cancel()
	asked := time.Now()
	err := c.Ping(ctx)
	if err != nil && ctx.Err() != nil {
		g.silent(c, asked)
	}
	return err == nil, nil
}

// silent closes a connection whose server has not answered, and says so.
func (g *guard) silent(c *pgx.Conn, asked time.Time) {
	g.log.Warn().Dur("for", time.Since(asked)).Str("address", c.Config().Host).
		Msg("the database is silent: its connection is closed, and every other that is as old will be")
	g.drop(time.Now())
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

// begin limits a round trip over c. end must be called with the context that it gives.
func (g *guard) begin(ctx context.Context, c *pgx.Conn) context.Context {
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

func (g *guard) end(ctx context.Context, c *pgx.Conn, err error) {
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

// limitCommit limits the round trips of a transaction that writes pages, whose statements may take 30 s. There must be
// time for another attempt.
func (g *guard) limitCommit(c *pgx.Conn) {
	if limit := time.Duration(g.limit.Load()); limit > commitStatement+slack {
		limitTrips(c, commitStatement)
	}
}

// TraceQueryStart limits a statement.
func (g *guard) TraceQueryStart(ctx context.Context, c *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	return g.begin(ctx, c)
}

// TraceQueryEnd ends it.
func (g *guard) TraceQueryEnd(ctx context.Context, c *pgx.Conn, data pgx.TraceQueryEndData) {
	g.end(ctx, c, data.Err)
}

// TraceBatchStart limits all statements of a batch, which are one round trip.
func (g *guard) TraceBatchStart(ctx context.Context, c *pgx.Conn, _ pgx.TraceBatchStartData) context.Context {
	return g.begin(ctx, c)
}

// TraceBatchQuery does nothing.
func (g *guard) TraceBatchQuery(context.Context, *pgx.Conn, pgx.TraceBatchQueryData) {}

// TraceBatchEnd ends it.
func (g *guard) TraceBatchEnd(ctx context.Context, c *pgx.Conn, data pgx.TraceBatchEndData) {
	g.end(ctx, c, data.Err)
}

// TraceCopyFromStart limits a COPY.
func (g *guard) TraceCopyFromStart(ctx context.Context, c *pgx.Conn, _ pgx.TraceCopyFromStartData) context.Context {
	return g.begin(ctx, c)
}

// TraceCopyFromEnd ends it.
func (g *guard) TraceCopyFromEnd(ctx context.Context, c *pgx.Conn, data pgx.TraceCopyFromEndData) {
	g.end(ctx, c, data.Err)
}

// TraceAcquireStart limits the wait for a connection of the pool.
func (g *guard) TraceAcquireStart(ctx context.Context, _ *pgxpool.Pool, _ pgxpool.TraceAcquireStartData) context.Context {
	t := &trip{asked: time.Now(), cancel: func() {}}
	if limit := time.Duration(g.limit.Load()); limit > 0 {
		ctx, t.cancel = context.WithTimeoutCause(ctx, limit, errSilent)
	}
	return context.WithValue(ctx, tripKey{}, t)
}

// TraceAcquireEnd ends it.
func (g *guard) TraceAcquireEnd(ctx context.Context, pool *pgxpool.Pool, data pgxpool.TraceAcquireEndData) {
	t, ok := ctx.Value(tripKey{}).(*trip)
	if !ok {
		return
	}
	if data.Err != nil && context.Cause(ctx) == errSilent {
		g.log.Warn().Dur("for", time.Since(t.asked)).Int32("connections", pool.Config().MaxConns).
			Msg("no connection to the database became free: all are busy, or none can be made")
	}
	t.cancel()
}
