package persist_test

import (
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"syncer/persist/workers"
)

// A process is taken for dead at the second look at which it has no session, if its sessions bear its name and
// it was not heard of in between.
func TestOnlyTheDeadLoseTheirLease(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		unnamed, heard, session bool
		dead                    int
	}{
		"dead":                           {dead: 1},
		"its sessions have another name": {unnamed: true},
		"it was heard of":                {heard: true},
		"a session of it is left":        {session: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newFixture(t)
			w := h.sibling(t, time.Hour)
			named := func() { h.exec(t, "UPDATE workers SET sessions_named = $2 WHERE id = $1", w.Worker().ID, !c.unnamed) }
			named()
			if c.session {
				config := h.pool.Config().ConnConfig.Copy()
				config.RuntimeParams["application_name"] = workers.ApplicationName(w.Worker().ID)
				conn, err := pgx.ConnectConfig(t.Context(), config)
				must(t, err)
				defer conn.Close(t.Context())
			}
			deaths := h.Workers.Deaths()
			if dead, err := deaths.Look(t.Context()); err != nil || len(dead) > 0 {
				t.Errorf("the first look finds %v, %v", dead, err)
			}
			if c.heard {
				must(t, w.Workers.Heartbeat(t.Context(), time.Hour))
				named()
			}
			dead, err := deaths.Look(t.Context())
			if err != nil || len(dead) != c.dead {
				t.Errorf("the second look finds %v, %v; want %d", dead, err, c.dead)
			}
			alive, err := w.Workers.Alive(t.Context())
			if err != nil || alive != (c.dead == 0) {
				t.Errorf("alive: %t, %v", alive, err)
			}
		})
	}
}
