package jobs_test

import (
	"testing"

	"syncer/sandbox/norskgjeld"
	"syncer/sandbox/sbanken"
)

// A process whose last heartbeat is gone, as after a failover that has lost it, notices that before its next one stands in its
// place.
func TestALostHeartbeatIsNoticedBeforeTheNext(t *testing.T) {
	t.Parallel()
	l := newLab(t, norskgjeld.Options{Consents: 1}, sbanken.Options{Customers: 1})
	l.start(nodeOptions{})
	l.eventually("it is noticed", func() bool {
		// Again, where the process has not heard of the heartbeat that is lost here: on a busy machine it may have given it up.
		l.number("WITH lost AS (UPDATE workers SET seen_xid = seen_xid - 1 RETURNING 1) SELECT count(*) FROM lost")
		return l.number("SELECT count(*) FROM identity WHERE restored_reason ~ 'not there any more'") == 1
	})
}
