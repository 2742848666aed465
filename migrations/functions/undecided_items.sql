-- undecided_items are the items that open runs of a job have not decided yet. Backfills, and reruns of
-- them, read streams of their own. It is a function because it must be planned by itself: few runs are
-- open, so each is looked up by its key, while the statements that plan a run are kept from doing that
-- with a million consents.
CREATE OR REPLACE FUNCTION undecided_items(of_job text) RETURNS TABLE (consent_id bigint, dataset text)
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
        AND b.state <> 'done'
        AND i.outcome IS NULL
$$;
