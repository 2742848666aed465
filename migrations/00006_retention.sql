-- +goose Up

-- An answer is kept until keep_until; then its body goes, and its hash, by which a short body could be guessed. The row
-- stays beside its call, so that people can still be told that there was an answer and until when it was kept.
ALTER TABLE answers ALTER COLUMN body DROP NOT NULL;
DROP INDEX answers_keep_until;
CREATE INDEX answers_ending ON answers (keep_until) WHERE body IS NOT NULL;

-- overlapped: items that planning left to an earlier run of the job, which had them undecided still.
ALTER TABLE runs ADD COLUMN overlapped integer NOT NULL DEFAULT 0;

-- undecided_items are the items that open runs of a job have not decided yet. Backfills read streams of their own. It
-- is a function because it must be planned by itself: few runs are open, so each is looked up by its key, while the
-- statements that plan a run are kept from doing that with a million consents.
CREATE FUNCTION undecided_items(of_job text) RETURNS TABLE (consent_id bigint, dataset text)
LANGUAGE sql STABLE SET enable_nestloop = on SET enable_hashjoin = off SET enable_mergejoin = off SET enable_seqscan = off AS $$
    SELECT DISTINCT i.consent_id, i.dataset FROM runs r JOIN batches b ON b.run_id = r.id JOIN items i ON i.batch_id = b.id
    WHERE r.verdict IS NULL AND r.job = of_job AND r.kind <> 'backfill' AND b.state <> 'done' AND i.outcome IS NULL
$$;

-- The ledger of a job's ticks holds for the schedule that it was kept for. An edited one begins anew: what it would have
-- fired in the past was never missed. Null: not known yet, from before there was this column.
ALTER TABLE schedules ADD COLUMN expression text;

-- Few batches are being worked at a time: who claims one looks whether another run is at the same consents.
CREATE INDEX batches_working ON batches (holder) WHERE state = 'working';
