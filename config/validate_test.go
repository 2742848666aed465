package config

import (
	"strings"
	"testing"
)

// TestValidate changes one line of a good file at a time and expects one problem, at that line's path.
func TestValidate(t *testing.T) {
	for _, c := range []struct{ from, to, want string }{
		{"level: debug", "level: loud", "log.level: want one of"},
		{"file: /etc/keys", "file: ''", "keys.file: want"},
		{`listen: ":80"`, "listen: '80'", "server.listen: want host:port"},
		{`listen: ":80"`, "listen: ':70000'", "server.listen: want host:port"},
		{"lease: 1m", "lease: 41s", ""},
		{"lease: 1m", "lease: 40s", "worker.heartbeat: want more than 0 and less than half of lease (40s), got 20s"},
		{"heartbeat: 20s", "heartbeat: 0", "worker.heartbeat: want more than 0"},
		{"sweep: 1s", "sweep: 1ms", "worker.sweep: want at least 100ms"},
		{"batches: 4", "batches: 0", "worker.batches: want 1 to 256, got 0"},
		{"drain: 5s", "drain: 0", "worker.drain: want at least 1s"},
		{"id: 007", `id: "a\tb"`, "worker.id: want at most"},
		{"  ng:\n", "  Ng:\n", `connections.Ng: "Ng" is not a name`},
		{"by-hand:", "'by hand':", `jobs.by hand: "by hand" is not a name`},
		{"by-hand:", strings.Repeat("x", 64) + ":", "is not a name"},
		{"provider: norskgjeld", "provider: ''", "connections.ng.provider: want the name"},
		{"environment: preprod", "environment: Pre Prod", "connections.ng.environment"},
		{"http://127.0.0.1:9000/ng", "http://api.example.com", "base_url: want https://"},
		{"http://127.0.0.1:9000/ng", "http://[::1]:9000", ""},
		{"http://127.0.0.1:9000/ng", "ftp://localhost", "base_url: want https://"},
		{"http://127.0.0.1:9000/ng", "https://u@api.example.com", "base_url: no user or password"},
		{"http://127.0.0.1:9000/ng", "https://api.example.com?x=1", "base_url: no ? or #"},
		{"http://127.0.0.1:9000/ng", "api.example.com", "base_url: want a URL"},
		{"http://127.0.0.1:9000/ng", "https://:443", "base_url: want a URL"},
		{"http://127.0.0.1:9000/ng", "https:api.example.com", "base_url: want a URL"},
		{"allow_private: true", "allow_private: false", "base_url: 127.0.0.1 is on loopback"},
		{"https://auth.example.com", "http://169.254.169.254", "auth_url: want https://"},
		{"client_id:", "Client-ID:", "connections.ng.credentials.Client-ID"},
		{"per_minute: 30", "per_minute: 0", "connections.ng.rate.per_minute: want more than 0"},
		{"per_minute: 30", "per_minute: -1", "rate.per_minute: want more than 0"},
		{"per_minute: 30", "per_second: NaN", "rate.per_second: want more than 0"},
		{"per_minute: 30", "per_second: 1e99", "rate.per_second: want more than 0"},
		{"per_minute: 30", "per_minute: 30, unlimited: true", "connections.ng.rate: want only one of"},
		{"per_minute: 30", "unlimited: true", ""},
		{"per_minute: 30", "per_day: 5000", ""},
		{"per_minute: 30", "per_minute: 30, per_day: 5000, resets: '23:59'", ""},
		{"per_minute: 30", "per_second: 0.5, per_day: 1, resets: 06:30", ""},
		{"per_minute: 30", "unlimited: true, per_day: 5000, resets: 00:00", ""},
		{"per_minute: 30", "per_day: 0", "connections.ng.rate.per_day: want 1 to 864000000 calls, got 0"},
		{"per_minute: 30", "per_day: -5", "connections.ng.rate.per_day: want 1 to 864000000 calls, got -5"},
		{"per_minute: 30", "per_day: 864000001", "connections.ng.rate.per_day: want 1 to"},
		{"per_minute: 30", "per_day: 1.5", "connections.ng.rate.per_day: want a whole number"},
		{"per_minute: 30", "per_day: many", "connections.ng.rate.per_day: want a whole number"},
		{"per_minute: 30", "per_minute: 30, resets: '06:00'", "connections.ng.rate.resets: want per_day beside it"},
		{"per_minute: 30", "resets: '00:00'", "connections.ng.rate.resets: want per_day beside it"},
		{"per_minute: 30", "per_day: 5, resets: '25:00'", `connections.ng.rate.resets: "25:00" is not a time of day`},
		{"per_minute: 30", "per_day: 5, resets: '24:00'", `connections.ng.rate.resets: "24:00" is not a time of day: write it as "00:00" to "23:59"`},
		{"per_minute: 30", "per_day: 5, resets: '0:00'", `connections.ng.rate.resets: "0:00" is not a time of day`},
		{"per_minute: 30", "per_day: 5, resets: '06:60'", `connections.ng.rate.resets: "06:60" is not a time of day`},
		{"per_minute: 30", "per_day: 5, resets: midnight", `connections.ng.rate.resets: "midnight" is not a time of day`},
		{"per_minute: 30", "per_day: 5, resets: '00:00Z'", `connections.ng.rate.resets: "00:00Z" is not a time of day`},
		{"per_minute: 30", "per_day: 5, resets: 6", `connections.ng.rate.resets: "6" is not a time of day`},
		{"per_minute: 30", "per_minute: 30, unlimited: true, per_day: 5", "connections.ng.rate: want only one of"},
		{"concurrency: 2", "concurrency: -1", "connections.ng.concurrency: want 1 to"},
		{"concurrency: 2", "reads_per_day: -1", "connections.ng.reads_per_day: want 0 to"},
		{"timeout: 10s", "timeout: 0", "connections.ng.timeout: want at least"},
		{"attempts: 3", "attempts: 0", "connections.ng.retry.attempts: want 1 to"},
		{"cap: 2s", "cap: 50ms", "connections.ng.retry.cap: want at least base (100ms), got 50ms"},
		{"answer_records: 5000", "answer_records: 0", "connections.ng.limits.answer_records: want 1 to"},
		{"pass_hours: 2", "pass_hours: 1000", "connections.ng.limits.pass_hours: want 1 to 168, got 1000"},
		{"pass_bytes: 1GiB", "pass_bytes: 1", "connections.ng.limits.pass_bytes: want 1KiB to 10240GiB, got 1B"},
		{"accounts: 300", "accounts: 0", "connections.ng.limits.accounts: want 1 to"},
		{"max_body: 1MiB", "max_body: 2GiB", "connections.ng.max_body: want 1KiB to 1GiB, got 2GiB"},
		{"connection: ng", "connection: gn", `jobs.nightly.connection: no connection "gn"`},
		{"connection: bare, ", "", "jobs.by-hand.connection: want the name"},
		{"[debt, accounts]", "[debt, acounts]", `jobs.nightly.datasets.1: want one of accounts, transactions, debt, got "acounts"; did you mean "accounts"?`},
		{"[debt, accounts]", "[debt, debt]", `jobs.nightly.datasets.1: "debt" is already in the list`},
		{"[debt, accounts]", "[]", "jobs.nightly.datasets: want at least one"},
		{"30 2 * * *", "0 0 31 2 *", "jobs.nightly.schedule: \"0 0 31 2 *\" never fires"},
		{"30 2 * * *", "0 0 29 2 *", ""},
		{"30 2 * * *", "@daily", ""},
		{"30 2 * * *", "30 2 * * 7", ""},
		{"30 2 * * *", "30 2 * * fri-7", ""},
		{"30 2 * * *", "*/90 * * * *", "a step of 90 is longer"},
		{"30 2 * * *", "30 2 */2 * 1", "crontab takes the days that are both"},
		{"30 2 * * *", "TZ=0", "jobs.nightly.schedule: no TZ="},
		{"30 2 * * *", "CRON_TZ=Europe/Oslo 30 2 * * *", "schedule: no TZ="},
		{"30 2 * * *", "@every 1h", "schedule: @every depends"},
		{"30 2 * * *", "30 2 * *", "is not a cron expression"},
		{"30 2 * * *", "61 2 * * *", "is not a cron expression"},
		{"30 2 * * *", " ", "an empty schedule"},
		{"time_zone: Europe/Oslo", "time_zone: ''", "jobs.nightly.time_zone: a schedule needs"},
		{"Europe/Oslo", "Europe/Olso", `jobs.nightly.time_zone: no time zone "Europe/Olso"`},
		{"Europe/Oslo", "Local", "jobs.nightly.time_zone: \"Local\" differs"},
		{"Europe/Oslo", "../../etc/passwd", "jobs.nightly.time_zone: no time zone"},
		{"catch_up: all", "catch_up: lates", `jobs.nightly.catch_up: want one of latest, all, none, got "lates"; did you mean "latest"?`},
		{"batch_size: 50", "batch_size: 0", "jobs.nightly.batch_size: want 1 to"},
		{"[credit assessment]", "[credit, credit]", `jobs.nightly.purposes.1: "credit" is already in the list`},
		{"[credit assessment]", "['']", "jobs.nightly.purposes.0: want the words that consents carry"},
		{"[credit assessment]", "[' credit']", "jobs.nightly.purposes.0: want the words that consents carry"},
		{"history: 2w", "history: 1h", "jobs.nightly.lookback: want at most history (1h), got 1d"},
		{"lookback: 1d", "lookback: 0d", "jobs.nightly.lookback: want more than 0"},
		{"lookback: 1d\n    history: 2w", "lookback: 0\n    history: 0", "jobs.nightly.history: want more than 0"},
	} {
		if !strings.Contains(whole, c.from) {
			t.Fatalf("%q is not in the file", c.from)
		}
		doc := strings.Replace(whole, c.from, c.to, 1)
		if c.to == "  Ng:\n" {
			doc = strings.Replace(doc, "connection: ng", "connection: Ng", 1)
		}
		_, err := Parse([]byte(doc), "s.yaml", noEnv)
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%s: %v", c.to, err)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") || !strings.HasPrefix(err.Error(), "s.yaml:")):
			t.Errorf("%s:\n%v\nwant one problem with %s", c.to, err, c.want)
		}
	}
}

func TestRateLimit(t *testing.T) {
	for _, c := range []struct {
		rate          Rate
		perSecond     float64
		unlimited, ok bool
	}{
		{Rate{}, 0, false, false}, {Rate{PerSecond: 10}, 10, false, true}, {Rate{PerMinute: 30}, 0.5, false, true}, {Rate{Unlimited: true}, 0, true, true},
		{Rate{PerDay: 5000}, 0, false, false}, {Rate{PerMinute: 30, PerDay: 5000}, 0.5, false, true},
	} {
		if perSecond, unlimited, ok := c.rate.Limit(); perSecond != c.perSecond || unlimited != c.unlimited || ok != c.ok {
			t.Errorf("%+v: %v %v %v", c.rate, perSecond, unlimited, ok)
		}
	}
}

func TestCheckProviders(t *testing.T) {
	c, err := Parse([]byte(whole), "s.yaml", noEnv)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.CheckProviders([]string{"norskgjeld", "sbanken"}); err != nil {
		t.Error(err)
	}
	err = c.CheckProviders([]string{"norskgjeld", "sbank", "vipps"})
	if want := `s.yaml:22:20: connections.bare.provider: no provider "sbanken"; did you mean "sbank"? (there are: norskgjeld, sbank, vipps)`; err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
	if got := c.Problemf("connections.ng.environment", "no environment %q", "preprod").Error(); got != `s.yaml:10:18: connections.ng.environment: no environment "preprod"` {
		t.Errorf("got %s", got)
	}
}
