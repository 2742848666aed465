-- unproven_items are the items of a root run that a rerun takes: the latest decision of each is not a proof, it meets
-- the selection, and its consent has not ended and is not held back by a suspicion. Whether it is valid at the moment
-- is looked at when it is called.
--
-- Both flags false: whatever the outcome is. Null classes or consents: any.
CREATE OR REPLACE FUNCTION unproven_items(
    in_root bigint,
    in_failed boolean,
    in_partial boolean,
    in_classes text[],
    in_consents bigint[])
RETURNS TABLE (consent_id bigint, dataset text)
LANGUAGE sql STABLE AS $$
    SELECT e.consent_id, e.dataset
    FROM effective_items e
    JOIN consents c ON c.id = e.consent_id
    WHERE e.root_run = in_root
        AND coalesce(e.outcome, '') NOT IN ('rows', 'empty')
        AND coalesce(consent_refusal(
            status => c.status,
            suspected_until => c.suspected_until,
            moment => now()), '') NOT IN ('ended', 'suspected')
        AND (
            NOT in_failed AND NOT in_partial
            OR in_failed AND e.outcome = 'failed'
            OR in_partial AND e.outcome = 'partial'
        )
        AND (in_classes IS NULL OR e.class = ANY (in_classes))
        AND (in_consents IS NULL OR e.consent_id = ANY (in_consents))
$$;
