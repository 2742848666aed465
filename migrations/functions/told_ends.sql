-- told_ends are the consents of a connection that answers or statuses have ended since a moment, each with the first
-- that told so, and that nobody else has confirmed: neither an event of the feed, which names the consent, nor an
-- operator.
CREATE OR REPLACE FUNCTION told_ends(in_connection text, in_since timestamptz)
RETURNS TABLE (id bigint, at timestamptz)
LANGUAGE sql STABLE AS $$
    SELECT c.id, min(e.at)
    FROM consent_events e
    JOIN consents c ON c.id = e.consent_id
    WHERE e.source IN ('answer', 'status')
        AND e.at > in_since
        AND c.connection = in_connection
        AND c.status = e.to_status
        AND c.status IN ('revoked', 'expired', 'reauth_required')
        AND NOT EXISTS (
            SELECT FROM consent_events f
            WHERE f.consent_id = c.id
                AND f.source IN ('feed', 'operator')
                AND f.id > e.id
        )
    GROUP BY c.id
$$;
