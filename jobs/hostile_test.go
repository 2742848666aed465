package jobs_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/rs/zerolog"
	"pgregory.net/rapid"

	"syncer/fetch"
	"syncer/fetch/fetchtest"
	"syncer/fetch/rest"
	"syncer/finance"
	"syncer/jobs"
	"syncer/persist/connections"
	"syncer/persist/consents"
	"syncer/persist/persisttest"
	"syncer/persist/queue"
	"syncer/persist/read"
)

// Whatever records stand on a page: the good ones are stored, the others are in quarantine, each once, and
// the run has its verdict after at most three calls. A record that stays as it is stays in quarantine, and
// what is accepted is not missed.
func TestHostileRecords(t *testing.T) {
	sameTrials(t)
	t.Parallel()
	h, end := newShared(t, persisttest.New(t).Config())
	t.Cleanup(end)
	_, err := h.pool.Exec(t.Context(), `ALTER TABLE transactions ADD CHECK (text <> 'forbidden')`)
	h.must(err)
	v := h.hostile()
	t.Cleanup(v.stop)
	rapid.Check(t, func(rt *rapid.T) {
		page := drawHostile(rt)
		body := page.body()
		rt.Logf("the answer: %.2000s", body)
		v.move()
		for night := 1; night <= 3; night++ {
			got := v.night(body)
			want := hostileNight{queue.VerdictComplete, page.good(), page.bad(), got.calls}
			if want.quarantined > 0 {
				want.verdict = queue.VerdictPartial
			}
			if fmt.Sprint(got) != fmt.Sprint(want) || got.calls > 3 {
				rt.Fatalf("night %d: %+v\nwant %+v", night, got, want)
			}
		}
		v.acceptAll()
		if got := v.night(body); got.verdict != queue.VerdictComplete || got.quarantined != 0 {
			rt.Fatalf("after all was accepted: %+v", got)
		}
	})
}

// hostileRecord is one record of an answer.
type hostileRecord struct {
	id   string
	text string // JSON
	bad  bool
}

type hostilePage []hostileRecord

// drawHostile draws a page of which not most records are bad: such a page is not taken at all.
func drawHostile(t *rapid.T) (page hostilePage) {
	kinds := hostileKinds()
	names := make([]string, 0, len(kinds))
	for name := range kinds {
		names = append(names, name)
	}
	slices.Sort(names)
	for i, name := range rapid.SliceOfN(rapid.SampledFrom(names), 0, 6).Draw(t, "bad records") {
		page = append(page, kinds[name](fmt.Sprintf("b%d", i))...)
	}
	for i := range rapid.IntRange(len(page), len(page)+4).Draw(t, "good records") {
		page = append(page, goodRecord(fmt.Sprintf("g%d", i)))
	}
	return rapid.Permutation(page).Draw(t, "order")
}

func member(id string, change ...string) string {
	members := map[string]string{
		"id": `"` + id + `"`, "day": `"2026-11-10"`, "amount": `"-10.00"`,
		"name": `"purchase ` + id + `"`, "account": `"acc"`,
	}
	for i := 0; i < len(change); i += 2 {
		members[change[i]] = change[i+1]
	}
	var b strings.Builder
	for _, name := range []string{"id", "day", "amount", "name", "account", "more"} {
		if value := members[name]; value != "" {
			fmt.Fprintf(&b, `,%q:%s`, name, value)
		}
	}
	return "{" + b.String()[1:] + "}"
}

func goodRecord(id string, change ...string) hostileRecord {
	return hostileRecord{id: id, text: member(id, change...)}
}

// hostileKinds make records out of an id.
func hostileKinds() map[string]func(id string) []hostileRecord {
	bad := func(change ...string) func(string) []hostileRecord {
		return func(id string) []hostileRecord {
			return []hostileRecord{{id: id, text: member(id, change...), bad: true}}
		}
	}
	good := func(change ...string) func(string) []hostileRecord {
		return func(id string) []hostileRecord { return []hostileRecord{goodRecord(id, change...)} }
	}
	deep := strings.Repeat(`[{"a":`, 50_000) + "1" + strings.Repeat("}]", 50_000)
	return map[string]func(string) []hostileRecord{
		"no day":                bad("day", ""),
		"a null day":            bad("day", "null"),
		"a blank day":           bad("day", `""`),
		"the year 1":            bad("day", `"0001-01-01T00:00:00"`),
		"the year 0":            bad("day", `"0000-01-01"`),
		"a day that is none":    bad("day", `"2026-02-31"`),
		"no amount":             bad("amount", ""),
		"an amount of words":    bad("amount", `"ten"`),
		"an amount too long":    bad("amount", "0.12345678901234567891"),
		"a raw line feed":       bad("name", "\"a\nb\""),
		"a raw NUL":             bad("name", "\"a\x00b\""),
		"an escaped NUL":        bad("name", `"a\u0000b"`),
		"half a character":      bad("name", `"a\ud800b"`),
		"invalid UTF-8":         bad("name", "\"a\xffb\""),
		"a key twice":           bad("more", `1,"more":2`),
		"100,000 levels":        bad("more", deep),
		"a number beyond jsonb": bad("more", `1e400000`),
		"a number near nothing": bad("more", `{"a":[-1.5E-99999]}`),
		"what Postgres refuses": bad("name", `"forbidden"`),
		"no id":                 bad("id", ""),
		"a blank id":            bad("id", "\" \u00a0\u200b\""),
		"an id of 3,200":        longID(3200, true),
		"an id of 1,001":        longID(1001, true),
		"no record": func(id string) []hostileRecord {
			return []hostileRecord{{id: id, text: `"` + id + `"`, bad: true}}
		},
		"one id, two contents": func(id string) []hostileRecord {
			one, other := goodRecord(id), goodRecord(id, "amount", "7")
			one.bad, other.bad = true, true
			return []hostileRecord{one, other}
		},
		"the same twice": func(id string) []hostileRecord {
			return []hostileRecord{goodRecord(id), goodRecord(id)}
		},
		"a long id":         longID(1000, false),
		"a large number":    good("more", "1e308"),
		"50 levels":         good("more", strings.Repeat("[", 50)+strings.Repeat("]", 50)),
		"a line feed":       good("name", `"a\nb"`),
		"an id with spaces": func(id string) []hostileRecord { return []hostileRecord{goodRecord(" " + id + " ")} },
	}
}

// longID makes a record whose id has so many bytes.
func longID(n int, bad bool) func(string) []hostileRecord {
	return func(id string) []hostileRecord {
		r := goodRecord((id + strings.Repeat("x", n))[:n])
		r.bad = bad
		return []hostileRecord{r}
	}
}

func (p hostilePage) body() []byte {
	var texts []string
	for _, r := range p {
		texts = append(texts, r.text)
	}
	return []byte(`{"rows":[` + strings.Join(texts, ",") + `]}`)
}

func (p hostilePage) good() (ids []string) {
	for _, r := range p {
		if !r.bad {
			ids = append(ids, r.id)
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// bad is how many bad records there are, those with the same bytes counted once.
func (p hostilePage) bad() int {
	texts := map[string]bool{}
	for _, r := range p {
		if r.bad {
			texts[r.text] = true
		}
	}
	return len(texts)
}

// victim is one provider whose answers are given, and the process that reads it.
type victim struct {
	*shared
	engine  *jobs.Engine
	answer  atomic.Pointer[[]byte]
	calls   atomic.Int64
	name    string
	consent int64
	stop    func()
}

type hostileNight struct {
	verdict     queue.Verdict
	rows        []string
	quarantined int
	calls       int64
}

func (h *shared) hostile() *victim {
	v := &victim{shared: h, name: "hostile"}
	h.must(h.store.Connections.Use(h.Context(), v.name, connections.Endpoint{Provider: "rest"}))
	pipe := fetchtest.NewPipe()
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		v.calls.Add(1)
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(*v.answer.Load())
	})}
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = server.Serve(pipe)
	}()
	dir := h.TempDir()
	description := way{kind: noPaging, dated: true}.description()
	h.must(os.WriteFile(filepath.Join(dir, "hostile.yaml"), []byte(description), 0o600))
	provider := rest.Provider()
	c := fetch.Connection{Name: v.name, Provider: provider.Name, BaseURL: "http://api.example/v1", Dir: dir,
		Settings: &rest.Settings{Description: "hostile.yaml"}}
	driver, err := provider.Open(c)
	h.must(err)
	client, err := fetch.NewClient(fetch.Options{
		Connection: c, Driver: driver, Concurrency: 1, AllowPrivate: true,
		Timeout: 10 * time.Second, MaxWait: time.Second,
		Retry: fetch.Retry{Attempts: 2, Base: time.Millisecond, Cap: 5 * time.Millisecond, Budget: time.Minute},
		Calls: h.store.Admit, Once: h.store.Admit, Tokens: h.store.Tokens, Log: zerolog.Nop(), Dial: pipe.Dial,
	})
	h.must(err)
	v.stop = func() {
		client.CloseIdle()
		_ = server.Close()
		<-served
	}
	v.engine, err = jobs.New(jobs.Options{
		Store: h.store, Pages: h.writer, Committer: h.committer, Pool: h.pool, Log: zerolog.Nop(),
		Step: func(string) {},
		Connections: []*jobs.Connection{{
			Name: v.name, Endpoint: connections.Endpoint{Provider: provider.Name}, Connector: client.Connector(), Concurrency: 1, Keep: time.Hour,
		}},
		Jobs: []jobs.Job{{
			Name: v.name, Connection: v.name, Datasets: []finance.Dataset{finance.Transactions}, Zone: time.UTC,
			BatchSize: 1, History: historyDays, Lookback: lookbackDays,
		}},
	})
	h.must(err)
	return v
}

// move goes on with a consent of which nothing is stored.
func (v *victim) move() {
	ctx := v.Context()
	if v.consent != 0 {
		_, err := v.store.Consents.End(ctx, v.consent, finance.ConsentRevoked, "its trial is over",
			consents.FromOperator, finance.CallID{})
		v.must(err)
	}
	v.providers++
	external := fmt.Sprintf("c%d", v.providers)
	_, err := v.store.Consents.Import(ctx, v.name, []consents.Import{{ExternalID: external}})
	v.must(err)
	consent, err := v.store.Consents.ByExternalID(ctx, v.name, external)
	v.must(err)
	v.consent = consent.ID
}

// night makes a run against an answer.
func (v *victim) night(body []byte) hostileNight {
	ctx := v.Context()
	v.answer.Store(&body)
	v.calls.Store(0)
	job, err := v.engine.Job(v.name)
	v.must(err)
	run, _, err := v.engine.Fire(ctx, job, queue.Manual, time.Now())
	v.must(err)
	var batch int64
	v.must(v.pool.QueryRow(ctx, "SELECT id FROM batches WHERE run_id = $1", run.ID).Scan(&batch))
	v.must(v.engine.Work(ctx, batch))
	out := hostileNight{calls: v.calls.Load()}
	var verdict *queue.Verdict
	v.must(v.pool.QueryRow(ctx, "SELECT verdict FROM runs WHERE id = $1", run.ID).Scan(&verdict))
	if verdict != nil {
		out.verdict = *verdict
	}
	rows, err := v.pool.Query(ctx, `SELECT transaction_id FROM transactions
		WHERE consent_id = $1 AND removed_at IS NULL ORDER BY 1`, v.consent)
	v.must(err)
	out.rows, err = pgx.CollectRows(rows, pgx.RowTo[string])
	v.must(err)
	v.must(v.pool.QueryRow(ctx, `SELECT count(*) FROM quarantine
		WHERE consent_id = $1 AND resolved_at IS NULL`, v.consent).Scan(&out.quarantined))
	return out
}

// acceptAll accepts whatever is in quarantine.
func (v *victim) acceptAll() {
	list, err := v.store.Read.Quarantine(v.Context(), read.QuarantineFilter{Consent: v.consent})
	v.must(err)
	for _, r := range list {
		v.must(v.store.Streams.AcceptQuarantined(v.Context(), r.ID, "it is a test"))
	}
}
