package pg

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/rs/zerolog"
)

// Options tune [Open]. The zero value is right for a worker.
type Options struct {
	// MaxConns bounds the pool, unless the URL does so by pool_max_conns. 0 means 16.
	MaxConns int32
	// ApplicationName is what pg_stat_activity shows. Empty means syncer.
	ApplicationName string
	// StatementTimeout ends a statement that takes longer. 0 means 60 s, negative means none.
	StatementTimeout time.Duration
	// Schema is where our tables are. Empty means where they are found, and for a new installation the first of the path.
	Schema string
	// ConnectTimeout bounds one attempt to connect. 0 means 10 s.
	ConnectTimeout time.Duration
	// ReadOnly says that nothing will be written: a server or a role that can only read will do.
	ReadOnly bool
	// Dial connects to the server. Nil means [Dial].
	Dial DialFunc
	// Log is told when the database is silent, and when removals are withheld. The zero value tells nobody.
	Log zerolog.Logger
}

// Open connects to the database at url (libpq URL or key=value form) and makes sure that it answers and can be written.
// Limits and timeouts that the URL sets win over ours; TLS is as the URL says. Which schema a session uses and how durable a
// commit is are ours alone; see server. No error contains the password. Every round trip of the pool is limited in time;
// see Guard.
func Open(ctx context.Context, url string, opt Options) (*pgxpool.Pool, error) {
	cfg, err := poolConfig(url, opt)
	if err != nil {
		return nil, err
	}
	found, schema, err := look(ctx, cfg.ConnConfig, opt.Schema)
	if err != nil {
		return nil, err
	}
	found.fix(cfg.ConnConfig.RuntimeParams, schema)
	g := &Guard{Log: opt.Log}
	g.watch(cfg)
	if found.statement > 0 {
		g.limit.Store(int64(found.statement + slack))
	}
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("open the database: %w", WithHint(err))
	}
	return pool, nil
}

// defaultMaxConns is how many connections a process has at most, beside the one of its heartbeat.
const defaultMaxConns = 16

func poolConfig(url string, opt Options) (*pgxpool.Config, error) {
	cfg, err := pgxpool.ParseConfig(url)
	if err != nil {
		// The parser's own words may quote the URL, and with it a password that it could not tell from a host.
		return nil, errors.New("the database URL can't be read: expected postgres://user:password@host:port/database?sslmode=... " +
			"with every special character of the password percent-encoded (@ is %40, / is %2F, : is %3A, # is %23)")
	}
	// pgconn, unlike pgxpool, tells which of the pool's parameters the URL has. It reads what pgxpool has read.
	asked, err := pgconn.ParseConfig(url)
	if err != nil {
		return nil, errors.New("the database URL can't be read")
	}
	if _, set := asked.RuntimeParams["pool_max_conns"]; !set {
		cfg.MaxConns = cmp.Or(opt.MaxConns, defaultMaxConns)
	}
	cfg.MaxConnIdleTime = 5 * time.Minute
	cfg.MaxConnLifetime = time.Hour
	cfg.MaxConnLifetimeJitter = 10 * time.Minute // or a failover's reconnects come back together every hour
	conn := cfg.ConnConfig
	conn.ConnectTimeout = cmp.Or(conn.ConnectTimeout, cmp.Or(opt.ConnectTimeout, 10*time.Second))
	conn.DialFunc = Dial
	if opt.Dial != nil {
		conn.DialFunc = pgconn.DialFunc(opt.Dial)
	}
	if conn.ValidateConnect == nil && !opt.ReadOnly {
		conn.ValidateConnect = mustWrite
	}
	statement := max(cmp.Or(opt.StatementTimeout, time.Minute), 0)
	for name, value := range map[string]string{
		"application_name":  cmp.Or(opt.ApplicationName, "syncer"),
		"statement_timeout": milliseconds(statement),
		"lock_timeout":      milliseconds(5 * time.Second),
		// A worker that hangs between two statements, or whose connection has gone silent, must not hold its rows and
		// locks: all others of its connection would stand still for as long. Our own transactions never pause.
		"idle_in_transaction_session_timeout": milliseconds(10 * time.Second),
		"timezone":                            "UTC",
		// Over tables that were not analysed yet, such as that of an import, the planner expects enough work to have the
		// server compile a statement: a second and more, for one that takes milliseconds.
		"jit": "off",
	} {
		if _, set := conn.RuntimeParams[name]; !set {
			conn.RuntimeParams[name] = value
		}
	}
	return cfg, nil
}

// WithHint adds what to do to the errors of connecting that have one usual cause.
func WithHint(err error) error {
	pg, told := errors.AsType[*pgconn.PgError](err)
	_, dialled := errors.AsType[*net.OpError](err)
	hint := ""
	switch {
	case told && (pg.Code == "28P01" || pg.Code == "28000"):
		hint = "check the user, the password and the server's pg_hba.conf"
	case told && pg.Code == "3D000":
		hint = "create the database or correct its name in database.url"
	case told && pg.Code == "53300":
		hint = fmt.Sprintf("the server has no connection left: raise its max_connections, or lower what each process takes "+
			"by pool_max_conns in database.url, such as ?pool_max_conns=8; it is %d if not set", defaultMaxConns)
	case told && pg.Code == "08P01" && strings.Contains(pg.Message, "unsupported startup parameter"):
		hint = "a PgBouncer stands in between and refuses the settings of the session: connect to Postgres itself, since a " +
			"pool in transaction mode can't work"
	case dialled:
		hint = "check that the server runs there and that host and port in database.url are right"
	default:
		return err
	}
	return fmt.Errorf("%w (%s)", err, hint)
}

func milliseconds(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }

// Slog lets a library that logs with slog write into ours.
func Slog(log zerolog.Logger) *slog.Logger {
	return slog.New(zerolog.NewSlogHandler(log.Level(max(log.GetLevel(), zerolog.WarnLevel))))
}
