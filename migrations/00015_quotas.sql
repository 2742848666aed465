-- +goose Up

-- The calls of a provider's day, for a bucket with a quota. day_calls counts to the day that ends at
-- day_ends. What is sent from day_doubt on may be counted to the next day by the provider, so it counts to
-- both: day_late.
ALTER TABLE gates ADD COLUMN day_calls bigint NOT NULL DEFAULT 0;
ALTER TABLE gates ADD COLUMN day_late bigint NOT NULL DEFAULT 0;
ALTER TABLE gates ADD COLUMN day_doubt timestamptz NOT NULL DEFAULT '-infinity';
ALTER TABLE gates ADD COLUMN day_ends timestamptz NOT NULL DEFAULT '-infinity';

-- worker_quotas: how many calls a day the configuration of a worker allows to each bucket of a connection. The
-- lowest of those who live holds for all. turns are the resets around now (see on_day), for those who know no
-- quota. Without one there is no row, and it goes with the worker's.
CREATE TABLE worker_quotas (
    connection text   NOT NULL,
    worker_id  uuid   NOT NULL REFERENCES workers ON DELETE CASCADE,
    per_day    bigint NOT NULL CHECK (per_day > 0),
    turns      text   NOT NULL,
    PRIMARY KEY (connection, worker_id)
);

-- A quota that begins to hold is told to all processes: calls that were let through without it are asked for
-- anew before they are sent.
-- +goose StatementBegin
CREATE FUNCTION tell_quota() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('syncer_changes', NEW.connection);
    RETURN NULL;
END $$;
-- +goose StatementEnd

CREATE TRIGGER told AFTER INSERT ON worker_quotas
    FOR EACH ROW EXECUTE FUNCTION tell_quota();
CREATE TRIGGER told_lower AFTER UPDATE OF per_day ON worker_quotas
    FOR EACH ROW WHEN (NEW.per_day < OLD.per_day) EXECUTE FUNCTION tell_quota();
