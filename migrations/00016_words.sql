-- +goose Up

-- worker_rates: the time between two calls over a connection, as the configuration of a worker names its
-- rate. The longest one of those who live holds for all. Without a rate there is no row, and it goes with
-- the worker's.
CREATE TABLE worker_rates (
    connection  text   NOT NULL,
    worker_id   uuid   NOT NULL REFERENCES workers ON DELETE CASCADE,
    interval_us bigint NOT NULL CHECK (interval_us > 0),
    PRIMARY KEY (connection, worker_id)
);

-- What takes a permission back is told to all processes the moment it is committed, by the name of its
-- connection: those who hold a permission ask again. So a statement that takes one back can't forget to say
-- so, also one of an older program. A change that only gives is not told. However many rows a transaction
-- changes, it tells each connection once.
-- +goose StatementBegin
CREATE FUNCTION tell_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_TABLE_NAME = 'connections' THEN
        PERFORM pg_notify('syncer_changes', NEW.name);
    ELSIF TG_TABLE_NAME = 'batches' THEN
        PERFORM pg_notify('syncer_changes', r.connection) FROM runs r WHERE r.id = NEW.run_id;
    ELSE
        PERFORM pg_notify('syncer_changes', NEW.connection);
    END IF;
    RETURN NULL;
END $$;
-- +goose StatementEnd

CREATE TRIGGER told AFTER UPDATE OF not_before ON gates
    FOR EACH ROW WHEN (NEW.not_before > OLD.not_before) EXECUTE FUNCTION tell_change();
CREATE TRIGGER told_new AFTER INSERT ON gates
    FOR EACH ROW WHEN (NEW.not_before > '-infinity') EXECUTE FUNCTION tell_change();

CREATE TRIGGER told AFTER INSERT OR UPDATE OF not_before ON lone_gates
    FOR EACH ROW EXECUTE FUNCTION tell_change();

CREATE TRIGGER told AFTER UPDATE OF state ON connections
    FOR EACH ROW WHEN (NEW.state = 'parked' AND OLD.state <> 'parked') EXECUTE FUNCTION tell_change();

CREATE TRIGGER told AFTER INSERT ON credential_parks
    FOR EACH ROW EXECUTE FUNCTION tell_change();

CREATE TRIGGER told AFTER INSERT OR UPDATE OF interval_us ON worker_rates
    FOR EACH ROW EXECUTE FUNCTION tell_change();

CREATE TRIGGER told AFTER UPDATE OF status, valid_from, valid_until, scopes, purpose ON consents
    FOR EACH ROW WHEN (
        OLD.status = 'active' AND NEW.status <> 'active'
        OR NEW.valid_from > OLD.valid_from
        OR coalesce(NEW.valid_until, 'infinity') < coalesce(OLD.valid_until, 'infinity')
        OR NEW.scopes <> OLD.scopes
        OR NEW.purpose <> OLD.purpose
    ) EXECUTE FUNCTION tell_change();

-- A batch that is taken from a holder whose lease has ended: he may wake up.
CREATE TRIGGER told AFTER UPDATE OF fence ON batches
    FOR EACH ROW WHEN (OLD.state = 'working') EXECUTE FUNCTION tell_change();
