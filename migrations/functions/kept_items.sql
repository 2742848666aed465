-- kept_items are the items that open runs of a job keep from a run to come: those that they have not
-- decided yet (undecided_items), and those that they have decided since then; null: none of these.
CREATE OR REPLACE FUNCTION kept_items(of_job text, since timestamptz) RETURNS TABLE (consent_id bigint, dataset text)
LANGUAGE sql STABLE
    SET enable_nestloop = on
    SET enable_hashjoin = off
    SET enable_mergejoin = off
    SET enable_seqscan = off
AS $$
    SELECT DISTINCT i.consent_id, i.dataset
    FROM runs r
    JOIN batches b ON b.run_id = r.id
    JOIN items i ON i.batch_id = b.id
    WHERE r.verdict IS NULL
        AND r.job = of_job
        AND r.window_from IS NULL
        AND (b.state <> 'done' AND i.outcome IS NULL OR i.finished_at >= since)
$$;
