package jobs

import (
	"context"

	"github.com/rs/zerolog"

	"syncer/fetch"
	"syncer/finance"
	"syncer/persist"
)

// parkUnusable stops every further call over a connection that a call has shown to be unusable, and says so
// once. Where its credentials were refused, only calls with these are stopped: a process that has others goes
// on.
func parkUnusable(ctx context.Context, store *persist.Store, log *zerolog.Logger, connection string, f *fetch.Error) error {
	reason := f.Error()
	if f.Credentials == "" {
		first, err := store.Connections.Park(ctx, connection, f.Class, reason)
		if first {
			tellParked(log, connection, f.Class, reason)
		}
		return err
	}
	first, err := store.Connections.ParkCredentials(ctx, connection, f.Credentials, f.Class, reason)
	if first {
		tellRefused(log, connection, f.Class, reason)
	}
	return err
}

// parkConnection stops every further call over the connection until an operator opens it again, and says so
// once.
func (w *batchWork) parkConnection(ctx context.Context, class finance.Class, reason string) error {
	first, err := w.Store.Connections.Park(ctx, w.conn.Name, class, reason)
	if first {
		tellParked(&w.log, w.conn.Name, class, reason)
	}
	return err
}

func tellParked(log *zerolog.Logger, connection string, class finance.Class, reason string) {
	log.Error().Str("class", string(class)).Str("reason", reason).
		Msg("connection parked: no further call is made over it; mend the cause, then `syncer connections open " + connection + "`")
}

func tellRefused(log *zerolog.Logger, connection string, class finance.Class, reason string) {
	log.Error().Str("class", string(class)).Str("reason", reason).
		Msg("connection parked for the credentials that were refused: new ones are used as soon as they are in their file or in the " +
			"configuration; `syncer connections open " + connection + "` tries the same ones again")
}
