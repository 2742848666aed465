// Package config is what an operator may say to syncer: one YAML file, the
// environment on top of it, and references to secrets that live elsewhere.
//
// The package decides nothing and starts nothing. It promises that a *Config
// which Load or Parse returned without an error is complete (defaults filled
// in), consistent (every name that is referred to exists, every number is in
// range, every schedule fires) and free of secrets: only references to them are
// held, and they are read when they are needed. Whatever is wrong is reported
// all at once, each with its line, its column and its path.
//
// The doc comments of the fields below are also the descriptions in the JSON
// schema (`syncer config schema`), so they are written for the person who edits the file.
package config

import (
	"time"

	"syncer/strictyaml"
)

// DefaultPath is the file that is read where neither a flag nor EnvPath names another.
const DefaultPath = "syncer.yaml"

// EnvPath is the environment variable that names the config file.
const EnvPath = "SYNCER_CONFIG"

// Config is a whole config file with defaults filled in and the environment applied.
type Config struct {
	// The Postgres that everything is written to.
	Database Database `yaml:"database"`
	// The keys that seal stored answers and identify subjects.
	Keys Keys `yaml:"keys"`
	// What is logged.
	Log Log `yaml:"log"`
	// How a process claims and works batches.
	Worker Worker `yaml:"worker"`
	// Where probes ask whether this process is alive and ready.
	Server Server `yaml:"server"`
	// The accounts at providers, by a name of your choice.
	Connections map[string]Connection `yaml:"connections"`
	// What is pulled over which connection and when, by a name of your choice.
	Jobs map[string]Job `yaml:"jobs"`

	src *strictyaml.Source // where each value came from; for messages only
}

// Database says where Postgres is.
type Database struct {
	// Where Postgres is: env:NAME, file:PATH, or a postgres:// URL without a password.
	// Left out, syncer runs an embedded server of its own.
	URL DatabaseURL `yaml:"url"`
	// Directory of the embedded server's data. Left out, syncer chooses one.
	// Relative to this file. Not used when url is set.
	StateDir string `yaml:"state_dir"`
	// The schema that the tables are in. Left out, it is where they are, and for a new installation the first
	// one of the role's search path. Several installations in one database have one each.
	Schema string `yaml:"schema"`
	// Who brings the schema up to date: auto, every command that writes; off, `syncer db migrate` alone, so that
	// everything else runs with a role that may not change tables.
	Migrate string `yaml:"migrate"`
	// Allow a connection that is not encrypted to a server elsewhere. Without it only a socket or loopback may be.
	Plaintext bool `yaml:"plaintext"`
}

// MigrateAuto and MigrateOff are what database.migrate may say.
const (
	MigrateAuto = "auto"
	MigrateOff  = "off"
)

// Migrations are the words that database.migrate may have.
func Migrations() []string { return []string{MigrateAuto, MigrateOff} }

// Keys says where the key file is.
type Keys struct {
	// The key file that `syncer init` made, relative to this file. Keep a copy elsewhere:
	// without it the stored answers can't be read and subjects can't be recognised.
	File string `yaml:"file"`
}

// Log says how much is logged.
type Log struct {
	// The least level that is logged: trace, debug, info, warn or error.
	Level string `yaml:"level"`
}

// Worker is how a process claims, holds and leaves batches.
type Worker struct {
	// Name of this process in the tables and logs; must differ between processes.
	// Left out, one is made at every start.
	ID string `yaml:"id"`
	// How long a silent worker keeps its batches before another takes them over. At least 1s.
	Lease Duration `yaml:"lease"`
	// How often a worker renews its lease. Less than half of lease, so that one lost renewal costs nothing.
	Heartbeat Duration `yaml:"heartbeat"`
	// How often due batches that nobody holds are looked for.
	Sweep Duration `yaml:"sweep"`
	// A pause up to this long is waited out by the worker; a longer one parks the batch and frees the worker.
	MaxWait Duration `yaml:"max_wait"`
	// Batches that one process works at once, per job.
	Batches int `yaml:"batches"`
	// How long a stopping process may take to finish the pages in hand.
	Drain Duration `yaml:"drain"`
	// What the answers of a process may take of its memory together, with their records, until these are committed.
	// Calls wait while there is none; an answer that needs more than this goes alone. At least 32MiB.
	Memory Size `yaml:"memory"`
}

// Server is where `syncer serve` answers health checks.
type Server struct {
	// host:port to listen on. /healthz and /readyz ask for no login and tell nothing but how the process is.
	Listen string `yaml:"listen"`
}

// Connection is one configured account at a provider.
type Connection struct {
	// The kind of API, such as norskgjeld or sbanken.
	Provider string `yaml:"provider"`
	// The provider's environment, such as preprod or production. The provider knows the names and their URLs.
	Environment string `yaml:"environment"`
	// Replaces the environment's API address. https, except on loopback. The provider's page says which path belongs to it.
	BaseURL string `yaml:"base_url"`
	// Replaces the environment's token server address. https, except on loopback. A host or an issuer: the provider's page says.
	AuthURL string `yaml:"auth_url"`
	// What the provider knows this account by. Each value is env:NAME or file:PATH, never the secret itself.
	Credentials map[string]Secret `yaml:"credentials"`
	// How fast calls may be sent, and how many in a day, all processes together.
	// Left out, the provider's own limit.
	Rate Rate `yaml:"rate"`
	// Calls in flight at once, per process: two processes make twice as many. max_in_flight bounds all of them together.
	Concurrency int `yaml:"concurrency"`
	// Calls in flight at once over all processes together, for a provider that counts them. Each call then takes two more
	// round trips to the database. Left out, there is no such bound.
	MaxInFlight int `yaml:"max_in_flight"`
	// Reads a day of a consent whose import names none. PSD2 knows four unattended ones in 24 hours unless
	// agreed otherwise: write 4 for such an account. 0 is no bound.
	ReadsPerDay int `yaml:"reads_per_day"`
	// Time for one attempt, from connecting to the last byte of the answer.
	Timeout Duration `yaml:"timeout"`
	// What happens after an attempt that failed and may be made again.
	Retry Retry `yaml:"retry"`
	// The largest answer that is read, after decompression.
	MaxBody Size `yaml:"max_body"`
	// How much of one thing is read before it is taken for endless.
	Limits Limits `yaml:"limits"`
	// The sealed copies of what the provider answered.
	Answers Answers `yaml:"answers"`
	// Allow addresses on loopback and private networks. Leave it off for anything on the internet: it stops
	// a forged link or DNS answer from pointing syncer at your own network.
	AllowPrivate bool `yaml:"allow_private"`
	// Settings of the provider's own; its page lists them.
	Settings Settings `yaml:"settings"`
}

// Limits are how much of one thing is read at most. What is beyond a limit is not lost: the item says which one it met.
type Limits struct {
	// Accounts of one consent that a run reads. If there are more, the next run goes on with them.
	Accounts int `yaml:"accounts"`
	// Records in one list of an answer. An answer with more is not read, since it would need too much memory.
	AnswerRecords int `yaml:"answer_records"`
	// Hours that one pass over a stream takes of its own, pauses left out. The next run goes on where it stopped.
	PassHours int `yaml:"pass_hours"`
	// Bytes of all answers of one pass over a stream. The next run goes on where it stopped.
	PassBytes Size `yaml:"pass_bytes"`
}

// Rate is how fast calls may be sent, and how many in a day. Its zero value means the provider's default and no
// quota.
type Rate struct {
	// Calls a second.
	PerSecond float64 `yaml:"per_second"`
	// Calls a minute, for limits below one call a second.
	PerMinute float64 `yaml:"per_minute"`
	// No limit of our own. The provider's Retry-After is still obeyed.
	Unlimited bool `yaml:"unlimited"`
	// Calls a day, all processes together. When they are used up, batches are parked until the day ends.
	PerDay int `yaml:"per_day"`
	// When the day of per_day begins, in the connection's time zone: HH:MM, 00:00 if left out.
	Resets WallTime `yaml:"resets"`
}

// Limit returns the calls allowed a second. ok is false when the config says nothing and the
// provider's default holds; unlimited wins over both numbers (validation refuses to have two).
func (r Rate) Limit() (perSecond float64, unlimited, ok bool) {
	switch {
	case r.Unlimited:
		return 0, true, true
	case r.PerSecond > 0:
		return r.PerSecond, false, true
	case r.PerMinute > 0:
		return r.PerMinute / 60, false, true
	}
	return 0, false, false
}

// Retry bounds the attempts of one call.
type Retry struct {
	// Attempts in all, the first included. 1 never tries again.
	Attempts int `yaml:"attempts"`
	// The first wait; it doubles with every attempt, and a random part of it is taken.
	Base Duration `yaml:"base"`
	// The longest wait between two attempts that we choose ourselves. A longer Retry-After is obeyed all the same.
	Cap Duration `yaml:"cap"`
	// Time after which no further attempt is begun.
	Budget Duration `yaml:"budget"`
}

// Answers is the retention of what a provider said.
type Answers struct {
	// How long an answer is kept, compressed and sealed, beside its call. 0 keeps none.
	Keep Duration `yaml:"keep"`
}

// Job is a connection, datasets and a schedule.
type Job struct {
	// The connection that is used.
	Connection string `yaml:"connection"`
	// What is pulled: accounts, transactions, debt.
	Datasets []string `yaml:"datasets"`
	// When it fires: five cron fields (minute hour day month weekday, Sunday is 0 or 7) or @daily and its like.
	// Left out, it fires only by hand.
	Schedule string `yaml:"schedule"`
	// The time zone of schedule, such as Europe/Oslo. Required with a schedule.
	TimeZone string `yaml:"time_zone"`
	// What happens to firings that were missed while nothing ran: latest runs the last one, all runs every one, none forgets them.
	CatchUp string `yaml:"catch_up"`
	// Consents in a batch: what one worker claims and what an operator re-runs.
	BatchSize int `yaml:"batch_size"`
	// How far behind its last position an incremental dataset is read again, for rows that arrive late or change.
	Lookback Duration `yaml:"lookback"`
	// How far back a first load goes.
	History Duration `yaml:"history"`
	// What the data is for, in the words of the consents' own purpose: only consents that were given for one of
	// these are called. Left out, a consent's purpose does not matter.
	Purposes []string `yaml:"purposes"`
}

// Location returns the job's time zone, UTC where it has none. Validation has proven that it exists.
func (j Job) Location() *time.Location {
	loc, err := time.LoadLocation(j.TimeZone)
	if err != nil {
		return time.UTC
	}
	return loc
}

// Datasets are the datasets a job may name, in the order in which they are pulled.
func Datasets() []string { return []string{"accounts", "transactions", "debt"} }

// CatchUps are the policies for missed firings; the first is the default.
func CatchUps() []string { return []string{"latest", "all", "none"} }

// LogLevels are the levels log.level may name, from the most to the least talkative.
func LogLevels() []string { return []string{"trace", "debug", "info", "warn", "error"} }

// Default returns what holds where a file says nothing: no connections and no jobs, an embedded database.
func Default() *Config {
	return &Config{
		Database: Database{Migrate: MigrateAuto},
		Keys:     Keys{File: "syncer.keys"},
		Log:      Log{Level: "info"},
		Worker: Worker{
			Lease:     Duration(30 * time.Second),
			Heartbeat: Duration(10 * time.Second),
			Sweep:     Duration(5 * time.Second),
			MaxWait:   Duration(30 * time.Second),
			Batches:   2,
			Drain:     Duration(20 * time.Second),
			Memory:    256 << 20,
		},
		Server: Server{Listen: "127.0.0.1:8080"},
		src:    &strictyaml.Source{File: DefaultPath},
	}
}

// SetDefaults makes c what a connection is of which the file says nothing.
func (c *Connection) SetDefaults() {
	*c = Connection{
		Concurrency: 8,
		Timeout:     Duration(time.Minute),
		Retry: Retry{
			Attempts: 6,
			Base:     Duration(time.Second),
			Cap:      Duration(time.Minute),
			Budget:   Duration(5 * time.Minute),
		},
		MaxBody: 32 << 20,
		Limits:  Limits{Accounts: 1000, AnswerRecords: 1_000_000, PassHours: 6, PassBytes: 10 << 30},
		Answers: Answers{Keep: Duration(90 * day)},
	}
}

// SetDefaults makes j what a job is of which the file says nothing.
func (j *Job) SetDefaults() {
	*j = Job{
		CatchUp:   CatchUps()[0],
		BatchSize: 500,
		Lookback:  Duration(10 * day),
		History:   Duration(730 * day),
	}
}
