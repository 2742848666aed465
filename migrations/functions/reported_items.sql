-- reported_items are the items that a report of a run speaks of: those of a root run as they stand after its reruns, or
-- (in_own) those of one attempt as they are.
CREATE OR REPLACE FUNCTION reported_items(in_run bigint, in_own boolean)
RETURNS TABLE (
    run_id         bigint,
    batch_id       bigint,
    consent_id     bigint,
    dataset        text,
    outcome        text,
    class          text,
    reason         text,
    correlation_id text,
    call_id        uuid,
    pages          integer,
    records        integer,
    inserted       integer,
    updated        integer,
    removed        integer,
    quarantined    integer,
    started_at     timestamptz,
    finished_at    timestamptz)
LANGUAGE sql STABLE AS $$
    SELECT e.run_id, e.batch_id, e.consent_id, e.dataset, e.outcome, e.class, e.reason, e.correlation_id, e.call_id,
        e.pages, e.records, e.inserted, e.updated, e.removed, e.quarantined, e.started_at, e.finished_at
    FROM effective_items e
    WHERE e.root_run = in_run
        AND NOT in_own
    UNION ALL
    SELECT b.run_id, i.batch_id, i.consent_id, i.dataset, i.outcome, i.class, i.reason, i.correlation_id, i.call_id,
        i.pages, i.records, i.inserted, i.updated, i.removed, i.quarantined, i.started_at, i.finished_at
    FROM batches b
    JOIN items i ON i.batch_id = b.id
    WHERE b.run_id = in_run
        AND in_own
$$;
