-- consent_usable says whether consent c may be called at a moment by a run for the purposes: consent_refusal has nothing
-- against it. It is for statements over many consents.
--
-- The first line says nothing more: it lets the planner use the indexes of active and of suspected consents. The CASE is
-- for its estimate, which is a half of the consents then. For IS NULL alone it would be one in 200.
CREATE OR REPLACE FUNCTION consent_usable(c consents, moment timestamptz, purposes text[] DEFAULT NULL) RETURNS boolean
LANGUAGE sql IMMUTABLE AS $$
    SELECT (c.status = 'active' OR c.status = 'suspected')
        AND CASE
            WHEN consent_refusal(
                status => c.status,
                suspected_until => c.suspected_until,
                valid_from => c.valid_from,
                valid_until => c.valid_until,
                purpose => c.purpose,
                purposes => purposes,
                moment => moment) IS NULL
            THEN true
            ELSE false
        END
$$;
