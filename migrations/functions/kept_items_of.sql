-- kept_items_of are the items that runs keep from a run to come: those that they have not decided yet,
-- and those that they have decided since then; null: none of these. Whoever plans names the runs that he
-- has seen open: one that is settled a moment later keeps what it has read all the same.
CREATE OR REPLACE FUNCTION kept_items_of(of_runs bigint[], since timestamptz)
    RETURNS TABLE (consent_id bigint, dataset text)
LANGUAGE sql STABLE
    SET enable_nestloop = on
    SET enable_hashjoin = off
    SET enable_mergejoin = off
    SET enable_seqscan = off
AS $$
    SELECT DISTINCT i.consent_id, i.dataset
    FROM batches b
    JOIN items i ON i.batch_id = b.id
    WHERE b.run_id = ANY (of_runs)
        AND (b.state <> 'done' AND i.outcome IS NULL OR i.finished_at >= since)
$$;
