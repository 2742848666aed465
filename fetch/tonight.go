package fetch

import (
	"sync/atomic"
	"time"
)

// night is how long ago something may have been that was tonight.
const night = 12 * time.Hour

// Tonight is when a connection's answers last showed something, such as the member that leads to a next page: what was
// seen tonight has not moved since. The zero value has seen nothing; it may be used by many goroutines at once.
type Tonight struct{ at atomic.Int64 }

// Note says that an answer shows it now.
func (t *Tonight) Note() { t.at.Store(time.Now().UnixNano()) }

// Seen says whether an answer has shown it tonight.
func (t *Tonight) Seen() bool {
	at := t.at.Load()
	return at != 0 && time.Since(time.Unix(0, at)) < night
}
