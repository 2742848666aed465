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
