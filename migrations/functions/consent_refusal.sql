-- consent_refusal is why a consent may not be called at a moment, by the first rule that refuses it, or null:
--
--  unknown    there is no such consent
--  renewed    it goes on under another id than the call's (called_as)
--  ended      it is neither active nor suspected
--  suspected  it was refused, and its time has not come (suspected_until)
--  expired    its window is over
--  not_yet    its window has not begun
--  scope      it names scopes, and none of those of which one is needed (needs, with spaces between them)
--  purpose    it was given for none of the purposes
--
-- It is the one place that says so: planning, final pulls and admission ask it. What is null or empty is not asked. A
-- call of no run (of_run), such as for the consent's status, is made for a suspected one and for whatever purpose.
--
-- The planner puts its text where it is called. That needs a LANGUAGE sql function without SET and STRICT, and a
-- moment that is not volatile: now(), or a variable.
CREATE OR REPLACE FUNCTION consent_refusal(
    status          text,
    suspected_until timestamptz,
    moment          timestamptz,
    valid_from      timestamptz DEFAULT NULL,
    valid_until     timestamptz DEFAULT NULL,
    scopes          text[] DEFAULT NULL,
    purpose         text DEFAULT NULL,
    external_id     text DEFAULT NULL,
    called_as       text DEFAULT NULL,
    needs           text DEFAULT NULL,
    purposes        text[] DEFAULT NULL,
    of_run          boolean DEFAULT true)
RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE
        WHEN status IS NULL THEN 'unknown'
        WHEN called_as <> '' AND called_as <> external_id THEN 'renewed'
        WHEN status NOT IN ('active', 'suspected') THEN 'ended'
        WHEN status = 'suspected' AND of_run AND suspected_until > moment THEN 'suspected'
        WHEN valid_until <= moment THEN 'expired'
        WHEN valid_from > moment THEN 'not_yet'
        WHEN needs <> '' AND cardinality(scopes) > 0 AND NOT scopes_cover(scopes, string_to_array(needs, ' '))
            THEN 'scope'
        WHEN of_run AND NOT serves(purpose, purposes) THEN 'purpose'
    END
$$;
