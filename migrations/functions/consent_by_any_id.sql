-- consent_by_any_id is the number of the consent of a connection that goes by an id of the provider: the one in force,
-- one that it had, or one that a renewal has named. No row: there is none.
CREATE OR REPLACE FUNCTION consent_by_any_id(in_connection text, in_external_id text) RETURNS TABLE (id bigint)
LANGUAGE sql STABLE AS $$
    SELECT c.id
    FROM consents c
    WHERE c.connection = in_connection AND c.external_id = in_external_id
    UNION
    SELECT k.consent_id
    FROM consent_ids k
    WHERE k.connection = in_connection AND k.external_id = in_external_id
$$;
