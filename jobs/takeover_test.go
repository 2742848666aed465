package jobs_test

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"syncer/fetch"
	"syncer/finance"
	"syncer/persist/plan"
	"syncer/persist/queue"
	ngsim "syncer/sandbox/norskgjeld"
	banksim "syncer/sandbox/sbanken"
)

// spoiling changes what a connector gives, but for pages that it passes over. An error ends the reading behind the page.
type spoiling struct {
	fetch.Connector
	spoil func(*fetch.Page, fetch.Stream) error
}

func (c spoiling) Pages(ctx context.Context, s fetch.Stream, from string) iter.Seq2[fetch.Page, error] {
	return func(yield func(fetch.Page, error) bool) {
		for page, err := range c.Connector.Pages(ctx, s, from) {
			if err == nil && !page.Unchanged {
				err = c.spoil(&page, s)
			}
			if !yield(page, err) || err != nil {
				return
			}
		}
	}
}

// spoils is for nodeOptions.wrap.
func spoils(spoil func(*fetch.Page, fetch.Stream) error) func(fetch.Connector) fetch.Connector {
	return func(c fetch.Connector) fetch.Connector { return spoiling{c, spoil} }
}

const leftOut = "the provider has left records out"

// incompletely are the ways in which a page may not be complete.
var incompletely = map[string]func(*fetch.Page, fetch.Stream) error{
	"left out": func(p *fetch.Page, _ fetch.Stream) error {
		p.Partial = leftOut
		p.Whole = nil
		return nil
	},
	"broken": func(p *fetch.Page, s fetch.Stream) error {
		p.Rejects = append(p.Rejects, finance.Reject{Place: 999, Reason: "it can't be read", Body: finance.HashOf(s.Account + "broken")})
		p.Whole = nil
		return nil
	},
}

// only spoils the pages of some datasets.
func only(of []finance.Dataset, spoil func(*fetch.Page, fetch.Stream) error) func(*fetch.Page, fetch.Stream) error {
	return func(p *fetch.Page, s fetch.Stream) error {
		if !slices.Contains(of, s.Dataset) {
			return nil
		}
		return spoil(p, s)
	}
}

// outcomes are those of a run's items, in an order of their own.
func (l *lab) outcomes(run queue.Run) (list []string) {
	l.Helper()
	rows, err := l.db.Pool.Query(l.Context(), `SELECT i.consent_id || ' ' || i.dataset || ' ' || i.outcome
		FROM items i JOIN batches b ON b.id = i.batch_id WHERE b.run_id = $1 ORDER BY 1`, run.ID)
	l.must(err)
	for rows.Next() {
		var one string
		l.must(rows.Scan(&one))
		list = append(list, one)
	}
	l.must(rows.Err())
	return list
}

// The same answer that is not complete, night after night, is partial each time, whatever it lacks and whichever dataset it
// is of: what is remembered of it does not make it whole. Of accounts it makes the transactions partial too, whether the
// list has an item of its own or not.
func TestTheSameIncompleteAnswerIsPartialEachNight(t *testing.T) {
	t.Parallel()
	type night struct {
		job     string
		partial int // items
	}
	for name, spoil := range incompletely {
		for _, c := range []struct {
			of     []finance.Dataset
			nights []night
		}{
			{[]finance.Dataset{finance.Debts, finance.Accounts}, []night{{debt, 1}, {money, 2}, {moves, 1}}},
			{[]finance.Dataset{finance.Transactions}, []night{{money, 1}, {moves, 1}}},
		} {
			t.Run(fmt.Sprint(name, c.of), func(t *testing.T) {
				t.Parallel()
				l := newLab(t, ngsim.Options{Consents: 1}, banksim.Options{Customers: 1, Transactions: 20})
				l.importNG(1)
				l.importBank(1)
				n := l.start(nodeOptions{wrap: spoils(only(c.of, spoil))})
				for _, of := range c.nights {
					for night := range 3 {
						r := l.run(n, of.job)
						partial := slices.DeleteFunc(l.outcomes(r.Run), func(o string) bool { return !strings.HasSuffix(o, " partial") })
						if r.Run.Verdict != queue.VerdictPartial || len(partial) != of.partial {
							t.Fatalf("night %d of %s is %s: %v", night+1, of.job, r.Run.Verdict, l.outcomes(r.Run))
						}
					}
				}
				l.kept()
			})
		}
	}
}

// asleep starts a process that falls asleep for good the nth time that it comes to a step, and waits until it has. The lease
// of what it holds ends then. wake has it go on.
func (l *lab) asleep(o nodeOptions, job, step string, nth int) (sleeper *node, run queue.Run, wake func()) {
	l.Helper()
	waking, sleeping := make(chan struct{}), make(chan struct{})
	var times atomic.Int32
	o.mute = true
	// Or it would claim its own batch again, since its lease is over: by itself, or when its successor asks for somebody.
	o.sweep = time.Hour
	o.batches = 1
	o.concurrency = 1
	o.step = func(at string) {
		if at == step && int(times.Add(1)) == nth {
			close(sleeping)
			<-waking
		}
	}
	sleeper = l.start(o)
	wake = sync.OnceFunc(func() { close(waking) })
	l.Cleanup(wake)
	run = l.fire(sleeper, job)
	<-sleeping
	l.lapse()
	return sleeper, run, wake
}

// Whoever takes a batch over between an item's last commit and its decision knows what the item had brought, and what of it
// was not complete; and it asks for nothing that was read.
func TestATakeOverKnowsWhatTheItemHadBrought(t *testing.T) {
	t.Parallel()
	ways := map[string]func(*fetch.Page, fetch.Stream) error{"whole": func(*fetch.Page, fetch.Stream) error { return nil }}
	for name, spoil := range incompletely {
		ways[name] = spoil
	}
	for name, spoil := range ways {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want := " partial"
			if name == "whole" {
				want = " rows"
			}
			l := newLab(t, ngsim.Options{Consents: 1}, banksim.Options{Customers: 1, Transactions: 20})
			l.importNG(1)
			l.importBank(1)
			o := nodeOptions{wrap: spoils(spoil), concurrency: 1}
			for _, at := range []struct {
				job  string
				item int
			}{{debt, 1}, {money, 1}, {money, 2}, {moves, 1}} {
				began := l.kit.Journal.Arrivals()
				sleeper, run, wake := l.asleep(o, at.job, "item.deciding", at.item)
				asked := map[string]bool{}
				before := l.kit.Journal.Arrivals()
				for _, e := range l.kit.Journal.Entries()[began:] {
					asked[e.Path] = true
				}
				successor := l.start(o)
				r := l.settled(successor, run)
				for _, o := range l.outcomes(r.Run) {
					if !strings.HasSuffix(o, want) {
						t.Errorf("item %d of %s, taken over: %s, want%s", at.item, at.job, o, want)
					}
				}
				for _, e := range l.kit.Journal.Entries()[before:] {
					if asked[e.Path] && !e.Token {
						t.Errorf("item %d of %s, taken over: %s was asked for again", at.item, at.job, e.Path)
					}
				}
				wake()
				sleeper.stop()
				successor.stop()
			}
			l.kept()
		})
	}
}

// A worker whose lease has ended wakes up while its successor is still at the batch: it writes no page over the newer ones and
// decides no item.
func TestASleeperWritesNothingBesideItsSuccessor(t *testing.T) {
	t.Parallel()
	for step, jobs := range map[string][]string{"page.decoded": {debt, money}, "item.deciding": {debt}} {
		for _, job := range jobs {
			t.Run(step+" "+job, func(t *testing.T) {
				t.Parallel()
				l := newLab(t, ngsim.Options{Consents: 1}, banksim.Options{Customers: 1, Transactions: 20})
				l.importNG(1)
				l.importBank(1)
				const older = "what it was before"
				aged := func(p *fetch.Page, _ fetch.Stream) error {
					for i := range p.Records.Debts {
						p.Records.Debts[i].Creditor = older
					}
					for i := range p.Records.Accounts {
						p.Records.Accounts[i].Name = older
					}
					return nil
				}
				sleeper, run, wake := l.asleep(nodeOptions{wrap: spoils(aged)}, job, step, 1)
				held := make(chan struct{})
				var once sync.Once
				resting := make(chan struct{})
				successor := l.start(nodeOptions{concurrency: 1, step: func(at string) {
					if at == "item.deciding" {
						once.Do(func() { close(resting) })
						<-held
					}
				}})
				release := sync.OnceFunc(func() { close(held) })
				l.Cleanup(release)
				<-resting
				was := l.decided(run)
				wake()
				sleeper.stop()
				if now := l.decided(run); now != was {
					t.Errorf("beside its successor the sleeper has made of %q %q", was, now)
				}
				if n := l.number("SELECT sum(lost)::int FROM batches WHERE run_id = $1", run.ID); n != 0 {
					t.Errorf("%d workers count as dead, though the sleeper woke up", n)
				}
				release()
				r := l.settled(successor, run)
				if r.Run.Verdict != queue.VerdictComplete {
					t.Errorf("%s: %+v", r.Run.Verdict, r.NotComplete)
				}
				if step == "page.decoded" {
					for _, sql := range []string{
						"SELECT count(*) FROM debts WHERE creditor = $1", "SELECT count(*) FROM accounts WHERE name = $1",
						"SELECT count(*) FROM debts_history WHERE creditor = $1", "SELECT count(*) FROM accounts_history WHERE name = $1",
					} {
						if n := l.number(sql, older); n != 0 {
							t.Errorf("%s: %d", sql, n)
						}
					}
				}
				l.kept()
			})
		}
	}
}

// decided tells the state of a run's batches and items.
func (l *lab) decided(run queue.Run) (text string) {
	l.Helper()
	l.must(l.db.Pool.QueryRow(l.Context(), `SELECT string_agg(concat_ws(' ', b.state, b.fence, b.holder, i.dataset, i.outcome,
			i.records, i.pages, i.attempts, i.finished_at), ', ' ORDER BY i.consent_id, i.dataset)
		FROM batches b JOIN items i ON i.batch_id = b.id WHERE b.run_id = $1`, run.ID).Scan(&text))
	return text
}

// The one answer of a single-use consent that could not be read is kept, and the consent is not spent: a rerun reads it, with
// a better connector, and asks for nothing.
func TestASingleUseAnswerThatCouldNotBeReadIsKept(t *testing.T) {
	t.Parallel()
	for name, bad := range map[string]func(*fetch.Page, fetch.Stream) error{
		"a page that can't be read": func(*fetch.Page, fetch.Stream) error {
			return &fetch.Error{Class: finance.Malformed, Reason: "it can't be read"}
		},
		"a defect": func(*fetch.Page, fetch.Stream) error { panic("a defect") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t, ngsim.Options{Consents: 4, SingleUse: 1}, banksim.Options{})
			l.importNG(4)
			var mended atomic.Bool
			n := l.start(nodeOptions{wrap: spoils(func(p *fetch.Page, s fetch.Stream) error {
				if mended.Load() || p.Records.Len() == 0 {
					return nil
				}
				return bad(p, s)
			})})
			root := l.run(n, debt)
			if root.Run.Verdict == queue.VerdictComplete {
				t.Fatal("the answers were read")
			}
			for _, item := range root.NotComplete {
				if item.Class != finance.Malformed && item.Class != finance.Rejected {
					t.Errorf("%+v", item)
				}
			}
			open := l.number("SELECT count(*) FROM inbox WHERE body IS NOT NULL AND settled_at IS NULL")
			if active := l.number("SELECT count(*) FROM consents WHERE status = 'active'"); open == 0 || open != active || open != len(root.NotComplete) {
				t.Fatalf("%d answers are kept, %d consents are active, %d items failed", open, active, len(root.NotComplete))
			}
			mended.Store(true)
			_, root = l.rerun(n, root.Run, plan.Selection{})
			if root.Run.Verdict != queue.VerdictComplete {
				t.Errorf("after the connector was mended: %s %+v", root.Run.Verdict, root.NotComplete)
			}
			for i := range 4 {
				if calls := l.calls(i); calls != 1 || l.consent(i).Status != finance.ConsentConsumed {
					t.Errorf("consent %d is %s after %d calls", i, l.consent(i).Status, calls)
				}
			}
			l.kept()
		})
	}
}
