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
		// Again and again, since a heartbeat that is on its way may hide it. Far back, since it must be older
		// than the one before it.
		l.number("WITH lost AS (UPDATE workers SET seen_xid = 1 RETURNING 1) SELECT count(*) FROM lost")
		return l.number("SELECT count(*) FROM identity WHERE restored_reason ~ 'not there any more'") == 1
	})
}
