package config

import (
	"fmt"
	"maps"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"syncer/crontab"
	"syncer/strictyaml"
)

// NamePattern is what connections and jobs may be called: names go into tables, log lines, metrics and commands.
const NamePattern = `^[a-z0-9][a-z0-9_-]{0,62}$`

var nameRE = regexp.MustCompile(NamePattern)

// Bounds whose other side is certainly a slip of the pen.
const (
	maxRate        = 10_000 // calls a second
	maxPerDay      = 24 * 60 * 60 * maxRate
	maxConcurrency = 1_000
	maxReads       = 100_000
	maxAttempts    = 100
	maxBatches     = 256
	maxAccounts    = 1_000_000
	maxRecords     = 100_000_000
	maxPassHours   = 168
	maxPassBytes   = 10 << 40
	maxBatchSize   = 100_000
	minBody        = 1 << 10
	maxBody        = 1 << 30
	minMemory      = 32 << 20
	maxMemory      = 1 << 40
)

// schemaRE is what a schema may be called. Postgres cuts longer names, and keeps those that begin with pg_ for itself.
var schemaRE = regexp.MustCompile(`^[a-z_][a-z0-9_]{0,62}$`)

// checker collects what is wrong below one path.
type checker struct {
	src    *strictyaml.Source
	path   string
	unread map[string]bool // values that could not even be read: reported before, they hold their defaults now
}

func (k checker) under(keys ...string) checker {
	k.path = strictyaml.Join(append([]string{k.path}, keys...)...)
	return k
}

func (k checker) fail(key, format string, args ...any) {
	if path := strictyaml.Join(k.path, key); !k.unread[path] {
		k.src.Fail(path, format, args...)
	}
}

// want reports key unless ok.
func (k checker) want(ok bool, key, format string, args ...any) {
	if !ok {
		k.fail(key, format, args...)
	}
}

func (k checker) within(n, low, high int, key string) {
	k.want(isBetween(n, low, high), key, "want %d to %d, got %d", low, high, n)
}

func isBetween[N ~int | ~int64](n, low, high N) bool { return n >= low && n <= high }

func (k checker) atLeast(d Duration, least time.Duration, key string) {
	k.want(d.Std() >= least, key, "want at least %s, got %s", Duration(least), d)
}

func (k checker) oneOf(value string, allowed []string, key string) {
	k.want(slices.Contains(allowed, value), key, "want one of %s, got %q%s", strings.Join(allowed, ", "), value, strictyaml.DidYouMean(value, allowed))
}

func (k checker) name(name string) {
	k.want(nameRE.MatchString(name), "", "%q is not a name: use at most 63 of a-z, 0-9, - and _, beginning with a letter or digit", name)
}

// validate adds to the problems everything that the types alone can't forbid.
func (c *Config) validate() {
	k := checker{src: c.src, unread: map[string]bool{}}
	for _, p := range c.src.Problems {
		k.unread[p.Path] = true
	}
	k.want(c.Keys.File != "", "keys.file", "want the path of the key file that `syncer init` made")
	k.under("database").schema(c.Database.Schema)
	k.under("database").oneOf(c.Database.Migrate, Migrations(), "migrate")
	k.under("log").oneOf(c.Log.Level, LogLevels(), "level")
	k.under("server").listen(c.Server.Listen)
	k.under("worker").worker(c.Worker)
	for _, name := range slices.Sorted(maps.Keys(c.Connections)) {
		k.under("connections", name).connection(name, c.Connections[name])
	}
	for _, name := range slices.Sorted(maps.Keys(c.Jobs)) {
		k.under("jobs", name).job(name, c.Jobs[name], slices.Sorted(maps.Keys(c.Connections)))
	}
}

func (k checker) schema(name string) {
	k.want(name == "" || schemaRE.MatchString(name), "schema",
		"%q is not a schema's name: use at most 63 of a-z, 0-9 and _, beginning with a letter or _", name)
	k.want(!strings.HasPrefix(name, "pg_") && name != "information_schema", "schema", "%q is a schema of Postgres' own", name)
}

func (k checker) listen(address string) {
	_, port, err := net.SplitHostPort(address)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	k.want(err == nil, "listen", "want host:port, such as 127.0.0.1:8080, got %q", address)
}

func (k checker) worker(w Worker) {
	k.want(len(w.ID) <= 200 && isPrintable(w.ID), "id", "want at most 200 printable characters")
	k.atLeast(w.Lease, time.Second, "lease")
	k.want(w.Heartbeat > 0 && w.Heartbeat < w.Lease/2, "heartbeat",
		"want more than 0 and less than half of lease (%s), got %s: one lost heartbeat must not cost the batch", w.Lease, w.Heartbeat)
	k.atLeast(w.Sweep, 100*time.Millisecond, "sweep")
	k.within(w.Batches, 1, maxBatches, "batches")
	k.atLeast(w.Drain, time.Second, "drain")
	k.want(minMemory <= w.Memory && w.Memory <= maxMemory, "memory", "want %s to %s, got %s", Size(minMemory), Size(maxMemory), w.Memory)
}

func isPrintable(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return !strconv.IsPrint(r) })
}

func (k checker) connection(name string, c Connection) {
	k.name(name)
	k.want(c.Provider != "", "provider", "want the name of a provider, such as norskgjeld or sbanken")
	k.want(c.Environment == "" || nameRE.MatchString(c.Environment), "environment", "%q is not an environment's name, such as preprod", c.Environment)
	k.address(c.BaseURL, c.AllowPrivate, "base_url")
	k.address(c.AuthURL, c.AllowPrivate, "auth_url")
	for _, key := range slices.Sorted(maps.Keys(c.Credentials)) {
		k.under("credentials", key).name(key)
	}
	k.under("rate").rate(c.Rate)
	k.within(c.Concurrency, 1, maxConcurrency, "concurrency")
	if k.src.Said(strictyaml.Join(k.path, "max_in_flight")) {
		k.within(c.MaxInFlight, 1, maxConcurrency, "max_in_flight")
	}
	k.within(c.ReadsPerDay, 0, maxReads, "reads_per_day")
	k.atLeast(c.Timeout, 100*time.Millisecond, "timeout")
	k.under("retry").retry(c.Retry)
	k.want(isBetween(c.MaxBody, minBody, maxBody), "max_body", "want %s to %s, got %s", Size(minBody), Size(maxBody), c.MaxBody)
	k.under("limits").limits(c.Limits)
}

func (k checker) limits(l Limits) {
	k.within(l.Accounts, 1, maxAccounts, "accounts")
	k.within(l.AnswerRecords, 1, maxRecords, "answer_records")
	k.within(l.PassHours, 1, maxPassHours, "pass_hours")
	k.want(isBetween(l.PassBytes, minBody, maxPassBytes), "pass_bytes",
		"want %s to %s, got %s", Size(minBody), Size(maxPassBytes), l.PassBytes)
}

// address checks a URL that credentials are sent to.
func (k checker) address(text string, allowPrivate bool, key string) {
	if text == "" {
		return
	}
	u, err := url.Parse(text)
	if err != nil || !hasHost(u) {
		k.fail(key, "want a URL such as https://api.example.com/v1") // not quoted: it may hold a password
		return
	}
	loopback, private := reach(u.Hostname())
	schemes := []string{"https"}
	if loopback {
		schemes = append(schemes, "http")
	}
	k.want(u.User == nil, key, "no user or password in a URL: credentials have a key of their own")
	k.want(slices.Contains(schemes, u.Scheme), key, "want https:// (http:// only on loopback), got %s://", u.Scheme)
	k.want(u.RawQuery+u.Fragment == "" && !u.ForceQuery, key, "no ? or # in a base address")
	k.want(allowPrivate || !private, key, "%s is on loopback or a private network: such addresses are only called with allow_private: true", u.Hostname())
}

// hasHost says that an address names a host, whatever its port.
func hasHost(u *url.URL) bool {
	if u.Opaque != "" || u.Host == "" {
		return false
	}
	return u.Hostname() != ""
}

// reach says whether a host is plainly this machine, and whether it is plainly not on the internet. What a name
// leads to is only known when it is dialled, and checked there.
func reach(host string) (loopback, private bool) {
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true, true
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return false, false
	}
	ip = ip.Unmap()
	switch {
	case ip.IsLoopback():
		return true, true
	case ip.IsPrivate(), ip.IsLinkLocalUnicast(), ip.IsUnspecified():
		return false, true
	}
	return false, false
}

func (k checker) rate(r Rate) {
	said := 0
	for _, is := range []bool{r.PerSecond != 0, r.PerMinute != 0, r.Unlimited} {
		if is {
			said++
		}
	}
	k.want(said <= 1, "", "want only one of per_second, per_minute and unlimited")
	k.positiveRate(r.PerSecond, maxRate, "per_second")
	k.positiveRate(r.PerMinute, 60*maxRate, "per_minute")
	if k.src.Said(strictyaml.Join(k.path, "per_day")) {
		k.want(isBetween(r.PerDay, 1, maxPerDay), "per_day",
			"want 1 to %d calls, got %d (to stop a job, remove its schedule; without a quota, leave it out)",
			maxPerDay, r.PerDay)
		return
	}
	alone := k.src.Said(strictyaml.Join(k.path, "resets"))
	k.want(!alone, "resets", "want per_day beside it, the calls that the day has")
}

// positiveRate reports a rate that was given and is no sensible number of calls. An explicit 0 would mean "never",
// and silently mean "the provider's default".
func (k checker) positiveRate(r, most float64, key string) {
	if k.src.Said(strictyaml.Join(k.path, key)) {
		k.want(r > 0 && r <= most, key, "want more than 0 and at most %g calls, got %g (to stop a job, remove its schedule; for no limit write unlimited: true)", most, r)
	}
}

func (k checker) retry(r Retry) {
	k.within(r.Attempts, 1, maxAttempts, "attempts")
	k.atLeast(r.Base, time.Millisecond, "base")
	k.want(r.Cap >= r.Base, "cap", "want at least base (%s), got %s", r.Base, r.Cap)
	k.atLeast(r.Budget, time.Second, "budget")
}

func (k checker) job(name string, j Job, connections []string) {
	k.name(name)
	switch {
	case j.Connection == "":
		k.fail("connection", "want the name of a connection")
	case !slices.Contains(connections, j.Connection):
		k.fail("connection", "no connection %q%s", j.Connection, strictyaml.DidYouMean(j.Connection, connections))
	}
	k.datasets(j.Datasets)
	k.schedule(j)
	k.oneOf(j.CatchUp, CatchUps(), "catch_up")
	k.within(j.BatchSize, 1, maxBatchSize, "batch_size")
	k.want(j.History > 0, "history", "want more than 0")
	for i, p := range j.Purposes {
		at := fmt.Sprintf("purposes.%d", i)
		k.want(strings.TrimSpace(p) == p && p != "", at, "want the words that consents carry as their purpose, got %q", p)
		k.want(!slices.Contains(j.Purposes[:i], p), at, "%q is already in the list", p)
	}
	k.want(j.Lookback > 0 || j.History <= 0, "lookback",
		"want more than 0: a day that was not over when it was read must be read again")
	k.want(j.Lookback <= j.History, "lookback", "want at most history (%s), got %s", j.History, j.Lookback)
}

func (k checker) datasets(datasets []string) {
	k.want(len(datasets) > 0, "datasets", "want at least one of %s", strings.Join(Datasets(), ", "))
	for i, d := range datasets {
		at := fmt.Sprintf("datasets.%d", i)
		k.oneOf(d, Datasets(), at)
		k.want(!slices.Contains(datasets[:i], d), at, "%q is already in the list", d)
	}
}

func (k checker) schedule(j Job) {
	if j.Schedule != "" {
		if _, err := crontab.Parse(j.Schedule); err != nil {
			k.fail("schedule", "%s", err)
		}
		k.want(j.TimeZone != "", "time_zone", "a schedule needs a time zone, such as Europe/Oslo")
	}
	if j.TimeZone != "" {
		if _, err := loadZone(j.TimeZone); err != nil {
			k.fail("time_zone", "%s", err)
		}
	}
}
