package queue

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"syncer/finance"
	"syncer/persist/pg"
)

// DueBatch is a batch that somebody should claim.
type DueBatch struct {
	ID       int64
	Run      int64
	Job      string
	Fence    int64
	Backfill bool // it can wait for what is no backfill
}

// Claimed is a batch as its holder sees it. Every later write carries Fence.
type Claimed struct {
	ID           int64
	Run          int64
	Seq          int
	Job          string
	Connection   string
	Kind         RunKind
	ScheduledFor time.Time
	OfRun        int64
	Fence        int64
	Datasets     []finance.Dataset
	WindowFrom   finance.Date
	WindowTo     finance.Date
	Claims       int  // how often it was claimed, this time included
	Lost         int  // holders in a row that died on it without progress
	InLine       bool // not claimed: it stands in line behind another run at the same consents
	Poisoned     bool // claimed no more: it has killed its holders, its open items have failed and it is done
}

// ConnectionOf is the connection of a batch, or ErrNotFound.
func (s *Store) ConnectionOf(ctx context.Context, batch int64) (name string, err error) {
	err = s.db.QueryRow(ctx, `SELECT r.connection
		FROM batches b
		JOIN runs r ON r.id = b.run_id
		WHERE b.id = $1`, batch).Scan(&name)
	if errors.Is(err, pgx.ErrNoRows) {
		err = pg.ErrNotFound
	}
	if err != nil {
		return "", fmt.Errorf("look for the connection of batch %d: %w", batch, err)
	}
	return name, nil
}
