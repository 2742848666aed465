-- +goose Up

-- record_keys: how the keys of a dataset's records are made over a connection: a fingerprint of what the connector, or its
-- description, makes them of. Records that are keyed in another way would stand beside those that are there, so another
-- fingerprint is refused until an operator resets the keys. told_run is the last run whose log was told of a refusal.
CREATE TABLE record_keys (
    connection text        NOT NULL,
    dataset    text COLLATE "C" NOT NULL,
    made       text COLLATE "C" NOT NULL,
    since      timestamptz NOT NULL DEFAULT now(),
    told_run   bigint,
    PRIMARY KEY (connection, dataset)
);

-- key_changes: streams whose rows still have their old keys. account_id is the stream's; empty: all streams of the consent
-- and dataset, as when the keys of accounts have changed. days are the booking days of which that is so; of accounts and
-- debts they are all days until it is over. What such a stream reads is staged, and replaces those rows in one commit. moved is
-- by how many days a booking day has been seen to move under the new key.
CREATE TABLE key_changes (
    consent_id bigint        NOT NULL,
    dataset    text COLLATE "C" NOT NULL,
    account_id text COLLATE "C" NOT NULL DEFAULT '',
    days       datemultirange NOT NULL DEFAULT '{(,)}',
    moved      integer       NOT NULL DEFAULT 0,
    since      timestamptz   NOT NULL DEFAULT now(),
    PRIMARY KEY (consent_id, dataset, account_id)
);

-- key_passes: what the pass that is being staged covers, a row for each stream. since is the day that it was to begin with,
-- given the first one that the provider has given, where it has refused older ones.
CREATE TABLE key_passes (
    consent_id bigint  NOT NULL,
    dataset    text COLLATE "C" NOT NULL,
    account_id text COLLATE "C" NOT NULL DEFAULT '',
    span       text COLLATE "C" NOT NULL DEFAULT '',
    since      date,
    given      date,
    dated      boolean NOT NULL DEFAULT false, -- the stream is asked for by days
    lacks      boolean NOT NULL DEFAULT false, -- it has not got something that it should have
    whole      boolean NOT NULL DEFAULT false, -- it has shown all there is
    done       boolean NOT NULL DEFAULT false, -- it has come to its end
    PRIMARY KEY (consent_id, dataset, account_id, span)
);

-- staged_<record>: what passes have read under new keys, until one of them is whole. Nobody reads these rows. They have the
-- columns of their record's table; of several with one key the last one, by n, counts. stream is the account of the stream
-- that has read them. A column that is added to a record's table has to be added here too.
CREATE TABLE staged_accounts (LIKE accounts INCLUDING DEFAULTS INCLUDING CONSTRAINTS,
    stream text COLLATE "C" NOT NULL, span text COLLATE "C" NOT NULL, n bigint GENERATED ALWAYS AS IDENTITY);
CREATE TABLE staged_balances (LIKE balances INCLUDING DEFAULTS INCLUDING CONSTRAINTS,
    stream text COLLATE "C" NOT NULL, span text COLLATE "C" NOT NULL, n bigint GENERATED ALWAYS AS IDENTITY);
CREATE TABLE staged_transactions (LIKE transactions INCLUDING DEFAULTS INCLUDING CONSTRAINTS,
    stream text COLLATE "C" NOT NULL, span text COLLATE "C" NOT NULL, n bigint GENERATED ALWAYS AS IDENTITY);
CREATE TABLE staged_debts (LIKE debts INCLUDING DEFAULTS INCLUDING CONSTRAINTS,
    stream text COLLATE "C" NOT NULL, span text COLLATE "C" NOT NULL, n bigint GENERATED ALWAYS AS IDENTITY);
CREATE INDEX staged_accounts_stream ON staged_accounts (consent_id, stream, span);
CREATE INDEX staged_balances_stream ON staged_balances (consent_id, stream, span);
CREATE INDEX staged_transactions_stream ON staged_transactions (consent_id, stream, span);
CREATE INDEX staged_debts_stream ON staged_debts (consent_id, stream, span);
