-- +goose Up

-- tokens: what an access token belongs to (client, secret, scopes, the address that gives it, the origin that it is sent to) is
-- part of its key, as a fingerprint. What was kept under the connection's name alone may belong to anybody, so it is forgotten;
-- whose turn it is to refresh stays. ForgetTokens finds by this index what has ended.
UPDATE tokens SET sealed = NULL, expires_at = NULL, updated_at = now();
CREATE INDEX tokens_ended ON tokens ((coalesce(expires_at, updated_at)));

-- holder: which client a refresh token was given to, and by which authorization server, as a fingerprint. It is sent for no
-- other. Null: it was kept before this column came, and belongs to whoever refreshes a token of its connection first.
ALTER TABLE grants ADD COLUMN holder text;

-- credential_parks: credentials that a provider has refused, as fingerprints. No call is made with them, and all others of the
-- connection are as good as before, such as those of a process that has a new secret already.
CREATE TABLE credential_parks (
    connection  text        NOT NULL REFERENCES connections,
    credentials text        NOT NULL CHECK (credentials <> ''),
    parked_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    class       text        NOT NULL,
    reason      text        NOT NULL,
    PRIMARY KEY (connection, credentials)
);

-- admit_calls_with is admit_calls (see 00014), and refuses what is asked for with credentials that are parked. Such a question
-- reserves no slot, spends no read and is no probe: admit_calls is shown it as one that only looks. While none of the credentials
-- is parked it costs one look at a small table.
-- +goose StatementBegin
CREATE FUNCTION admit_calls_with(in_credentials text[], in_connection text[], in_bucket text[], in_interval_us bigint[],
    in_opening boolean[], in_batch bigint[], in_fence bigint[], in_consent bigint[], in_call uuid[], in_needs text[],
    in_probe_us bigint[], in_once boolean[])
RETURNS TABLE (place integer, refusal text, reason text, gate_us bigint, send_us bigint, moment_us bigint,
    probe boolean, awaits boolean)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
    IF NOT EXISTS (SELECT FROM credential_parks p
            WHERE p.connection = ANY (in_connection) AND p.credentials = ANY (in_credentials)) THEN
        RETURN QUERY SELECT a.place, a.refusal, a.reason, a.gate_us, a.send_us, a.moment_us, a.probe, a.awaits
            FROM admit_calls(in_connection, in_bucket, in_interval_us, in_opening, in_batch, in_fence, in_consent, in_call,
                in_needs, in_probe_us, in_once) a;
        RETURN;
    END IF;
    RETURN QUERY WITH parked AS (
        SELECT u.place, 'connection ' || p.connection || ' is parked for these credentials: ' || p.reason AS reason
        FROM unnest(in_connection, in_credentials) WITH ORDINALITY AS u (connection, credentials, place)
        JOIN credential_parks p ON p.connection = u.connection AND p.credentials = u.credentials
    ), asked AS (
        SELECT array_agg(CASE WHEN p.place IS NULL THEN u.interval_us ELSE 0 END ORDER BY u.place) AS interval_us,
            array_agg(u.opening AND p.place IS NULL ORDER BY u.place) AS opening,
            array_agg(CASE WHEN p.place IS NULL THEN u.probe_us ELSE 0 END ORDER BY u.place) AS probe_us
        FROM unnest(in_interval_us, in_opening, in_probe_us) WITH ORDINALITY AS u (interval_us, opening, probe_us, place)
        LEFT JOIN parked p ON p.place = u.place
    )
    SELECT a.place,
        CASE WHEN p.place IS NULL OR a.refusal IN ('fenced', 'fatal') THEN a.refusal ELSE 'fatal' END,
        CASE WHEN p.place IS NULL OR a.refusal IN ('fenced', 'fatal') THEN a.reason ELSE p.reason END,
        a.gate_us, a.send_us, a.moment_us, a.probe, a.awaits
    FROM asked CROSS JOIN LATERAL admit_calls(in_connection, in_bucket, asked.interval_us, asked.opening,
        in_batch, in_fence, in_consent, in_call, in_needs, asked.probe_us, in_once) a
    LEFT JOIN parked p ON p.place = a.place;
END $$;
-- +goose StatementEnd
