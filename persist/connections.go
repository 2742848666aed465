package persist

import "time"

// Connection is what the database knows of a configured connection: whether it may be used.
type Connection struct {
	Name         string
	Provider     string
	Parked       bool
	ParkedAt     time.Time
	ParkedClass  string
	ParkedReason string
	FeedPosition string
	FeedReadAt   time.Time // zero: the feed was never read
}
