-- +goose Up

-- identity: which database this is, as the processes that work here know it. One that is another, as after a dump was
-- restored, does not know which calls were made since it was dumped: until somebody has said what is to become of them
-- (restored_at is null again), no call is made that a consent has only one or a few of.
CREATE TABLE identity (
    only_row        boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    system_id       bigint,  -- of the cluster, as Postgres made it; null: no process was allowed to ask
    database_id     bigint,  -- the oid of the database; null: no process has worked here yet
    table_id        bigint,  -- the oid of this table: what restores a dump makes another one
    last_xid        bigint NOT NULL DEFAULT 0,  -- a transaction that has ended, as of known_at
    known_at        timestamptz NOT NULL DEFAULT clock_timestamp(),
    restored_at     timestamptz,
    restored_reason text,
    CHECK ((restored_at IS NULL) = (restored_reason IS NULL))
);
INSERT INTO identity DEFAULT VALUES;

-- The transaction of a process' last heartbeat: what went before it must be there, whoever answers.
ALTER TABLE workers ADD COLUMN seen_xid bigint;
