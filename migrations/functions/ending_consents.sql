-- ending_consents are the consents that are due for a job's final pull: they end soon, no run that is going is about to
-- read them, and since in_lead before their end they were not read completely. One that was finally pulled for this end
-- is due again only when that has failed, in whole or for some accounts, or was refused because its daily reads were
-- spent, and in_again has passed.
CREATE OR REPLACE FUNCTION ending_consents(
    in_connection text,
    in_job text,
    in_datasets text[],
    in_purposes text[],
    in_before timestamptz,
    in_lead interval,
    in_again interval)
RETURNS TABLE (consent_id bigint, valid_until timestamptz)
LANGUAGE sql STABLE AS $$
    SELECT c.id, c.valid_until
    FROM consents c
    CROSS JOIN LATERAL (SELECT c.valid_until - in_lead AS early) t
    WHERE c.connection = in_connection
        AND consent_usable(c, now(), in_purposes)
        AND c.valid_until > now()
        AND c.valid_until <= in_before
        AND t.early <= now()
        AND NOT EXISTS ( -- a final pull that is going, was made just now, or has done what it could
            SELECT FROM final_pulls f
            JOIN runs r ON r.id = f.run_id
            WHERE f.job = in_job
                AND f.consent_id = c.id
                AND f.valid_until = c.valid_until
                AND (
                    r.verdict IS NULL
                    OR f.planned_at > now() - in_again
                    OR NOT EXISTS (
                        SELECT FROM batches b
                        JOIN items i ON i.batch_id = b.id AND i.consent_id = c.id
                        WHERE b.run_id = r.id
                            AND (
                                i.outcome = 'failed'
                                OR i.outcome = 'excused' AND i.class IN ('refused', 'spent')
                                OR i.outcome = 'partial' AND i.class IN ('rejected', 'throttled', 'transient', 'spent')
                            )
                    )
                )
        )
        AND NOT ( -- every dataset has a stream that was read since then, and no stream is behind
            cardinality(in_datasets) = (
                SELECT count(DISTINCT k.dataset)
                FROM cursors k
                WHERE k.consent_id = c.id
                    AND k.span = ''
                    AND k.dataset = ANY (in_datasets)
                    AND NOT k.mid_pass
                    AND k.moved_at >= t.early
            )
            AND NOT EXISTS (
                SELECT FROM cursors k
                WHERE k.consent_id = c.id
                    AND k.span = ''
                    AND k.dataset = ANY (in_datasets)
                    AND (k.mid_pass OR k.moved_at < t.early)
                    AND (
                        k.account_id = ''
                        OR EXISTS (
                            SELECT FROM accounts a
                            WHERE a.consent_id = c.id
                                AND a.account_id = k.account_id
                                AND a.removed_at IS NULL
                        )
                    )
            )
        )
        AND NOT EXISTS ( -- an item of an open run
            SELECT FROM runs r
            JOIN batches b ON b.run_id = r.id AND b.state <> 'done'
            JOIN items i ON i.batch_id = b.id AND i.outcome IS NULL
            WHERE r.job = in_job
                AND r.verdict IS NULL
                AND r.window_from IS NULL
                AND i.consent_id = c.id
        )
$$;
