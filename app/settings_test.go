package app

import (
	"context"
	"fmt"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"syncer/config"
	"syncer/fetch"
	"syncer/finance"
	"syncer/jobs"
	"syncer/persist"
	"syncer/persist/persisttest"
	"syncer/persist/pg"
	"syncer/persist/seal"
)

// built is what the program makes of a configuration.
type built struct {
	client fetch.Options
	conn   *jobs.Connection
	job    jobs.Job
	engine *jobs.Engine
}

// setting is a line of the configuration, and what must have become of it.
type setting struct {
	line string
	got  func(built) any
	want any
}

// Every setting of a connection, a job and a worker reaches the place where it acts. A new one needs a row here.
func TestEverySettingReachesItsPlace(t *testing.T) {
	t.Parallel()
	settings := map[string]setting{
		"connection.provider":    {"provider: other", func(b built) any { return b.client.Connection.Provider }, "other"},
		"connection.environment": {"environment: far", func(b built) any { return b.client.Connection.Environment }, "far"},
		"connection.base_url":    {"base_url: https://api.example/v7", func(b built) any { return b.client.Connection.BaseURL }, "https://api.example/v7"},
		"connection.auth_url":    {"auth_url: https://auth.example/v7", func(b built) any { return b.client.Connection.AuthURL }, "https://auth.example/v7"},
		"connection.credentials": {`credentials: { secret: "env:A_SECRET" }`, func(b built) any {
			return b.client.Connection.Credentials["secret"].Reveal()
		}, "of-the-environment"},
		"connection.rate.per_second": {"rate: { per_second: 7 }", func(b built) any { return []float64{b.client.Rate, b.conn.Rate} }, []float64{7, 7}},
		"connection.rate.per_minute": {"rate: { per_minute: 30 }", func(b built) any { return []float64{b.client.Rate, b.conn.Rate} }, []float64{0.5, 0.5}},
		"connection.rate.unlimited":  {"rate: { unlimited: true }", func(b built) any { return []float64{b.client.Driver.Rate, b.conn.Rate} }, []float64{0, 0}},
		"connection.rate.per_day": {"rate: { per_day: 77 }", func(b built) any {
			return []int{b.client.Quota.PerDay, b.conn.Quota.PerDay}
		}, []int{77, 77}},
		"connection.rate.resets": {`rate: { per_day: 77, resets: "03:30" }`, func(b built) any {
			return []time.Duration{b.client.Quota.Resets, b.conn.Quota.Resets}
		}, []time.Duration{210 * time.Minute, 210 * time.Minute}},
		"connection.concurrency": {"concurrency: 17", func(b built) any {
			return []int{b.client.Concurrency, b.conn.Concurrency}
		}, []int{17, 17}},
		"connection.max_in_flight": {"max_in_flight: 17", func(b built) any { return b.client.MaxInFlight }, 17},
		"connection.reads_per_day": {"reads_per_day: 3", func(b built) any { return b.conn.ReadsPerDay }, 3},
		"connection.timeout": {"timeout: 17s", func(b built) any {
			return []time.Duration{b.client.Timeout, b.conn.InFlight}
		}, []time.Duration{17 * time.Second, jobs.InFlight(17 * time.Second)}},
		"connection.retry.attempts":  {"retry: { attempts: 3 }", func(b built) any { return b.client.Retry.Attempts }, 3},
		"connection.retry.base":      {"retry: { base: 7s }", func(b built) any { return b.client.Retry.Base }, 7 * time.Second},
		"connection.retry.cap":       {"retry: { cap: 77s }", func(b built) any { return b.client.Retry.Cap }, 77 * time.Second},
		"connection.retry.budget":    {"retry: { budget: 17m }", func(b built) any { return b.client.Retry.Budget }, 17 * time.Minute},
		"connection.max_body":        {"max_body: 7MiB", func(b built) any { return b.client.MaxBody }, int64(7 << 20)},
		"connection.limits.accounts": {"limits: { accounts: 17 }", func(b built) any { return b.conn.Accounts }, 17},
		"connection.limits.answer_records": {"limits: { answer_records: 1717 }", func(b built) any {
			return b.client.MaxRecords
		}, 1717},
		"connection.limits.pass_hours": {"limits: { pass_hours: 7 }", func(b built) any { return b.client.PassTime }, 7 * time.Hour},
		"connection.limits.pass_bytes": {"limits: { pass_bytes: 77MiB }", func(b built) any { return b.client.PassBytes }, int64(77 << 20)},
		"connection.answers.keep":      {"answers: { keep: 7d }", func(b built) any { return b.conn.Keep }, 7 * 24 * time.Hour},
		"connection.allow_private":     {"allow_private: true", func(b built) any { return b.client.AllowPrivate }, true},
		"connection.settings": {"settings: { word: mine }", func(b built) any {
			return b.client.Connection.Settings.(*testSettings).Word
		}, "mine"},

		"job.connection": {"connection: d", func(b built) any { return b.job.Connection }, "d"},
		"job.datasets": {"datasets: [debt, accounts]", func(b built) any { return b.job.Datasets }, []finance.Dataset{
			finance.Debts, finance.Accounts,
		}},
		"job.schedule": {`schedule: "17 3 * * *", time_zone: UTC`, func(b built) any {
			return b.job.Schedule.Next(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)).UTC().Format(time.TimeOnly)
		}, "03:17:00"},
		"job.time_zone": {`schedule: "17 3 * * *", time_zone: Europe/Oslo`, func(b built) any {
			return b.job.Zone.String() + " " + b.job.Schedule.Next(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)).UTC().Format(time.TimeOnly)
		}, "Europe/Oslo 02:17:00"},
		"job.catch_up":   {"catch_up: all", func(b built) any { return string(b.job.CatchUp) }, "all"},
		"job.batch_size": {"batch_size: 17", func(b built) any { return b.job.BatchSize }, 17},
		"job.lookback":   {"lookback: 17d", func(b built) any { return b.job.Lookback }, 17},
		"job.history":    {"history: 177d", func(b built) any { return b.job.History }, 177},
		"job.purposes":   {"purposes: [credit, advice]", func(b built) any { return b.job.Purposes }, []string{"credit", "advice"}},

		"worker.lease":     {"lease: 77s", func(b built) any { return b.engine.Lease }, 77 * time.Second},
		"worker.heartbeat": {"heartbeat: 3s", func(b built) any { return b.engine.Heartbeat }, 3 * time.Second},
		"worker.sweep":     {"sweep: 7s", func(b built) any { return b.engine.Sweep }, 7 * time.Second},
		"worker.max_wait":  {"max_wait: 17s", func(b built) any { return b.client.MaxWait }, 17 * time.Second},
		"worker.batches":   {"batches: 7", func(b built) any { return b.engine.Batches }, 7},
		"worker.memory":    {"memory: 77MiB", func(b built) any { return b.client.Memory }, fetch.NewMemory(77 << 20)},
		"worker.drain":     {"drain: 7s", func(b built) any { return b.engine.Drain }, 7 * time.Second},
	}
	elsewhere := map[string]string{
		"worker.id": "the name in the tables: Installation.openAll",
	}
	for part, of := range map[string]reflect.Type{
		"connection": reflect.TypeFor[config.Connection](), "job": reflect.TypeFor[config.Job](), "worker": reflect.TypeFor[config.Worker](),
	} {
		for _, path := range leaves(part, of) {
			if _, told := elsewhere[path]; !told && settings[path].line == "" {
				t.Errorf("nothing says where the setting %s acts", path)
			}
		}
	}
	db := persisttest.New(t)
	keys, err := seal.NewKeyset()
	if err != nil {
		t.Fatal(err)
	}
	sealer, err := seal.OpenSealer(keys)
	if err != nil {
		t.Fatal(err)
	}
	usual := func(path, line string) built {
		cfg, err := config.Parse([]byte(configWith(path, line)), "syncer.yaml", testEnv)
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		inst := Configured(cfg, Options{Providers: testProviders(), Env: testEnv, Log: zerolog.Nop()})
		inst.Pool = db
		inst.sealer = sealer
		inst.Store = persist.NewStore(db, sealer, pg.Worker{Host: "test"})
		defer inst.Close()
		return build(t, inst)
	}
	without := usual("", "")
	for path, s := range settings {
		if got := s.got(usual(path, s.line)); !reflect.DeepEqual(got, s.want) {
			t.Errorf("%s: of %q has become %v, want %v", path, s.line, got, s.want)
		}
		if path != "job.schedule" && path != "job.time_zone" && reflect.DeepEqual(s.got(without), s.want) {
			t.Errorf("%s: %v is also what holds without it, so the row shows nothing", path, s.want)
		}
	}
}

func build(t *testing.T, inst *Installation) (b built) {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	var err error
	b.client, err = inst.ClientOptions("c")
	must(err)
	b.conn, err = inst.connection("c")
	must(err)
	b.job, err = inst.Job("j")
	must(err)
	life, end := context.WithCancel(t.Context())
	defer end()
	b.engine, err = inst.Engine(life, EngineSpec{Jobs: []string{"j"}})
	must(err)
	return b
}

// leaves are the paths of the settings within a part of the configuration.
func leaves(path string, of reflect.Type) (all []string) {
	for i := range of.NumField() {
		f := of.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		parts := f.Type.Kind() == reflect.Struct && f.Type.NumField() > 0 && f.Type.Field(0).Tag.Get("yaml") != ""
		if parts {
			all = append(all, leaves(path+"."+name, f.Type)...)
		} else {
			all = append(all, path+"."+name)
		}
	}
	return all
}

type testSettings struct {
	Word string `yaml:"word"`
}

func testEnv(name string) (string, bool) {
	if name == "A_SECRET" {
		return "of-the-environment", true
	}
	return "", false
}

func testProviders() (list []fetch.Provider) {
	for _, name := range []string{"plain", "other"} {
		list = append(list, fetch.Provider{
			Name: name, Title: name, Datasets: []finance.Dataset{finance.Accounts, finance.Debts},
			Settings: func() any { return &testSettings{} },
			Open: func(fetch.Connection) (fetch.Driver, error) {
				base, err := url.Parse("https://api.example/")
				return fetch.Driver{
					Base: base, Rate: 5,
					Classify: func(*fetch.Request, *fetch.Answer) fetch.Meaning { return fetch.Meaning{} },
					Connect:  func(*fetch.Client) fetch.Connector { return nil },
				}, err
			},
		})
	}
	return list
}

// configWith is a configuration with one line more.
func configWith(path, line string) string {
	part, _, _ := strings.Cut(path, ".")
	lines := map[string]string{"connection.provider": "provider: plain", "job.connection": "connection: c", "job.datasets": "datasets: [accounts]"}
	delete(lines, path)
	of := func(part string) (list []string) {
		for at, usual := range lines {
			if strings.HasPrefix(at, part+".") {
				list = append(list, usual)
			}
		}
		return list
	}
	connection, job, worker := of("connection"), of("job"), of("worker")
	switch part {
	case "connection":
		connection = append(connection, line)
	case "job":
		job = append(job, line)
	case "worker":
		worker = append(worker, line)
	}
	text := fmt.Sprintf("connections:\n  c: { %s }\n  d: { provider: plain }\njobs:\n  j: { %s }\n",
		strings.Join(connection, ", "), strings.Join(job, ", "))
	if len(worker) > 0 {
		text += fmt.Sprintf("worker: { %s }\n", strings.Join(worker, ", "))
	}
	return text
}
