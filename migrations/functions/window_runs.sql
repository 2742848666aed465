-- window_runs are the runs of a job that have read, or are to read, a window of a backfill. A rerun has the window of
-- its root.
CREATE OR REPLACE FUNCTION window_runs(in_job text, in_connection text, in_from date, in_to date)
RETURNS TABLE (id bigint, of_run bigint, verdict text)
LANGUAGE sql STABLE AS $$
    SELECT r.id, r.of_run, r.verdict
    FROM runs r
    WHERE r.job = in_job
        AND r.connection = in_connection
        AND r.window_from = in_from
        AND r.window_to = in_to
$$;
