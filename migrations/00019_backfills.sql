-- +goose Up

-- leaves_reads is how many of a consent's reads of a day the run must leave to runs of other kinds: a
-- backfill is never what keeps the night from its reads.
ALTER TABLE runs ADD COLUMN leaves_reads integer NOT NULL DEFAULT 0;

-- backfill says of a read that a backfill has spent it, so that it is none of those that were left to
-- the others.
ALTER TABLE consent_reads ADD COLUMN backfill boolean NOT NULL DEFAULT false;

-- asked_at is when somebody last asked for a batch in vain because another run was at the same
-- consents. It stands in line since then, and whoever asks is there to work it. Null: it does not stand
-- in line.
ALTER TABLE batches ADD COLUMN asked_at timestamptz;
CREATE INDEX batches_in_line ON batches (run_id) WHERE asked_at IS NOT NULL;

-- jobs are those whose batches the process works, so that somebody who waits can be told that nobody is
-- there.
ALTER TABLE workers ADD COLUMN jobs text[] NOT NULL DEFAULT '{}';
