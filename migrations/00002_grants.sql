-- +goose Up

-- grants: the refresh token of a consent that a person has given in the browser, sealed and bound to its consent. It is
-- replaced whenever the provider rotates it, in a commit of its own before its successor's access token is used.
-- refused_at: the provider has refused it. It stays, because a refusal may turn out not to be believed (a provider that
-- refuses everybody at once); a person who gives the consent again replaces it.
CREATE TABLE grants (
    consent_id bigint PRIMARY KEY REFERENCES consents,
    sealed     bytea       NOT NULL,
    granted_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    rotated_at timestamptz,
    refused_at timestamptz
);

ALTER TABLE consent_events DROP CONSTRAINT consent_events_source_check;
ALTER TABLE consent_events ADD CONSTRAINT consent_events_source_check
    CHECK (source IN ('import', 'feed', 'answer', 'operator', 'clock', 'status', 'grant'));

-- sealed_by is the id of the key that a value was sealed with. It stands in the value itself (the prefix of tink's
-- output: a byte 1, then four bytes of the id, highest first), so that no value can be without it; of a large value
-- only its beginning is read.
CREATE FUNCTION sealed_by(sealed bytea) RETURNS bigint LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    RETURN ('x' || encode(substring(sealed FROM 2 FOR 4), 'hex'))::bit(32)::bigint;
