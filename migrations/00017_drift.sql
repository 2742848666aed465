-- +goose Up
-- reported: when the stream's records were made, as the provider said it last: for each record eight
-- bytes of a hash of its key and eight of the moment, in microseconds since 1970. Null: its records don't
-- tell, or none was read since.
ALTER TABLE cursors ADD COLUMN reported bytea;

-- Whose accounts a list shows is asked by their ids alone.
CREATE INDEX accounts_by_id ON accounts (account_id);

-- run_members: of the records that a run has decoded, how many held something in a member. member is a
-- column, or one of those that have none, such as extra.note; empty: all records, and then consents is
-- how many these are of, and reader who has decoded them, such as a description: null: more than one. It
-- is kept for the last runs of a job that decoded some records, to compare the next one with.
CREATE TABLE run_members (
    connection text   NOT NULL,
    kind       text   NOT NULL,                       -- a table; reservations are a kind of their own
    run_id     bigint NOT NULL REFERENCES runs,
    member     text COLLATE "C" NOT NULL,
    records    bigint NOT NULL,
    consents   bigint NOT NULL DEFAULT 0,
    reader     text,
    PRIMARY KEY (connection, kind, run_id, member)
) WITH (fillfactor = 50);

-- counted: how many claims of the batch have added to run_members what they read. A holder that was killed
-- has not.
ALTER TABLE batches ADD COLUMN counted integer NOT NULL DEFAULT 0;

-- drifts: members that most records of the last runs had, and none of a run's. ended_by is the first run
-- behind it that has read the member again.
CREATE TABLE drifts (
    run_id   bigint  NOT NULL REFERENCES runs,
    kind     text    NOT NULL,
    member   text COLLATE "C" NOT NULL,
    records  bigint  NOT NULL,                        -- of the run
    consents bigint  NOT NULL,                        -- that these are of
    held     bigint  NOT NULL,                        -- of the last runs, the records that had the member
    before   bigint  NOT NULL,                        -- of so many
    runs     integer NOT NULL,                        -- so many runs
    at       timestamptz NOT NULL DEFAULT now(),
    ended_by bigint REFERENCES runs,
    PRIMARY KEY (run_id, kind, member)
);
CREATE INDEX drifts_open ON drifts (at) WHERE ended_by IS NULL;
