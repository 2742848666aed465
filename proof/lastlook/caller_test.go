package lastlook

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/rs/zerolog"

	"syncer/calls"
	"syncer/fetch"
	"syncer/finance"
	"syncer/persist"
	"syncer/persist/pg"
	"syncer/proof/lab"
)

// callerEnv has the caller that a process of this test binary is.
const callerEnv = "SYNCER_TEST_CALLER"

// TestMain runs the tests, or is a process that calls.
func TestMain(m *testing.M) {
	text := os.Getenv(callerEnv)
	if text == "" {
		os.Exit(lab.Races(m.Run))
	}
	var c caller
	err := json.Unmarshal([]byte(text), &c)
	if err == nil {
		err = c.run(context.Background())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// callerName is what the connections of a caller are called in Postgres.
const callerName = "syncer caller"

// caller is a process that calls over connections, with the store and the stack of the program, until it is
// killed.
type caller struct {
	Database, Base string
	Connections    map[string]line
}

// line is what a process does over one connection.
type line struct {
	Rate     float64 // calls a second of all processes
	Callers  int     // side by side
	Calls    int     // of each of them; 0: without end
	Consents []int64
}

// start starts it as a process of its own, which ends with the test at the latest.
func (c caller) start(t *testing.T) (ended <-chan struct{}) {
	t.Helper()
	text, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), callerEnv+"="+string(text))
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = cmd.Wait()
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-done
	})
	return done
}

func (c caller) run(ctx context.Context) error {
	pool, err := pg.Open(ctx, c.Database, pg.Options{MaxConns: 6, ApplicationName: callerName})
	if err != nil {
		return err
	}
	s := persist.NewStore(pool, nil, pg.Worker{ID: uuid.New(), Host: "caller", PID: os.Getpid()})
	for name, line := range c.Connections {
		s.Workers.NameRate(name, line.Rate)
	}
	if err := s.Workers.Heartbeat(ctx, time.Hour); err != nil {
		return err
	}
	go s.Admit.Listen(ctx)
	var all sync.WaitGroup
	for name, line := range c.Connections {
		client, err := c.client(s, name, line.Rate)
		if err != nil {
			return err
		}
		for i := range line.Callers {
			all.Go(func() { callInTurn(ctx, client, name, line, i) })
		}
	}
	all.Wait()
	pool.Close()
	return ctx.Err()
}

func (c caller) client(s *persist.Store, name string, rate float64) (*fetch.Client, error) {
	base, err := url.Parse(c.Base)
	if err != nil {
		return nil, err
	}
	return fetch.NewClient(fetch.Options{
		Connection: fetch.Connection{Name: name, Provider: "test"}, AllowPrivate: true, Rate: rate, Concurrency: 64,
		Driver: fetch.Driver{
			Base:     base,
			Classify: func(*fetch.Request, *fetch.Answer) fetch.Meaning { return fetch.Meaning{} },
			Connect:  func(*fetch.Client) fetch.Connector { return nil },
		},
		Calls: s.Admit, Log: zerolog.Nop(),
	})
}

// callInTurn calls for one consent after the other. What is not let through is asked for again a little later.
func callInTurn(ctx context.Context, client *fetch.Client, connection string, line line, first int) {
	for i := 0; line.Calls == 0 || i < line.Calls; i++ {
		id := line.Consents[(first+i)%len(line.Consents)]
		_, err := client.Do(ctx, fetch.Request{
			Path: connection + "/" + strconv.FormatInt(id, 10), Template: "/{connection}/{consent}",
			Task: calls.Task{Dataset: finance.Debts, Consent: &finance.Consent{ID: id}},
		})
		if err == nil {
			continue
		}
		rest := time.NewTimer(50 * time.Millisecond)
		select {
		case <-rest.C:
		case <-ctx.Done():
		}
	}
}
