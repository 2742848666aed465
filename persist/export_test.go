package persist

import "syncer/persist/pg"

// Worker is the process that the Store writes for.
func (s *Store) Worker() pg.Worker { return s.db.Worker }
