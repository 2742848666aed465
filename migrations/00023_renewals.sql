-- +goose Up

-- consents: a renewal gives a consent another id at its provider, and other terms, under the same number.
-- renewed_at: when the id in force changed last, and renewals how often it did, there and back; null and 0: never.
-- on_trial: the id in force is that of a renewal for which nobody has been answered yet.
ALTER TABLE consents
    ADD COLUMN renewed_at timestamptz,
    ADD COLUMN renewals integer NOT NULL DEFAULT 0,
    ADD COLUMN on_trial boolean NOT NULL DEFAULT false;
CREATE INDEX consents_renewed ON consents (connection, renewed_at) WHERE renewed_at IS NOT NULL;

-- consent_ids: every id of a consent that was ever renewed: the one in force, those it had, and those that a renewal
-- has named. So a consent is found by any of them, and none becomes another consent's.
CREATE TABLE consent_ids (
    connection  text        NOT NULL REFERENCES connections,
    external_id text        NOT NULL,
    consent_id  bigint      NOT NULL REFERENCES consents,
    since       timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (connection, external_id)
);
CREATE INDEX consent_ids_consent ON consent_ids (consent_id);

-- renewals: that a consent goes on under new_id. While it waits the consent goes on under the id it has, and terms are
-- those that the new one brings. On trial the new id is in force, and terms are those of the old one, which come back
-- if the new one is refused. terms holds columns of consents by their names.
-- not_before: it was refused by a status alone, and is tried again then.
-- withdrawn: an operator, or a whole list, has ended the consent meanwhile, so no line of a list brings it back.
CREATE TABLE renewals (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    consent_id bigint      NOT NULL REFERENCES consents,
    new_id     text        NOT NULL,
    old_id     text,
    state      text        NOT NULL CHECK (state IN ('waiting', 'trial', 'done', 'refused', 'replaced', 'withdrawn')),
    terms      jsonb       NOT NULL,
    not_before timestamptz NOT NULL DEFAULT '-infinity',
    reason     text        NOT NULL DEFAULT '',
    asked_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    settled_at timestamptz,
    CHECK (state NOT IN ('trial', 'done') OR old_id IS NOT NULL),
    CHECK ((state IN ('waiting', 'trial')) = (settled_at IS NULL))
);
CREATE UNIQUE INDEX renewals_open ON renewals (consent_id) WHERE state IN ('waiting', 'trial');
CREATE INDEX renewals_consent ON renewals (consent_id, id);

-- account_moves: an account that has another id at its provider since a renewal, say, and was known by what stayed.
-- Its rows and positions stand under new_id from moved_xid on. Whoever copies the tables by changed_xid renames first
-- what he has under old_id.
CREATE TABLE account_moves (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    consent_id bigint NOT NULL,
    old_id     text COLLATE "C" NOT NULL,
    new_id     text COLLATE "C" NOT NULL,
    call_id    uuid        NOT NULL,  -- whose answer has shown the account under new_id
    moved_at   timestamptz NOT NULL DEFAULT now(),
    moved_xid  xid8        NOT NULL DEFAULT pg_current_xact_id()
);
CREATE INDEX account_moves_consent ON account_moves (consent_id, id);

-- A consent that goes on under another id takes back what was admitted under the one before.
DROP TRIGGER told ON consents;
CREATE TRIGGER told AFTER UPDATE OF status, valid_from, valid_until, scopes, purpose, suspected_until, external_id
    ON consents
    FOR EACH ROW WHEN (
        OLD.status = 'active' AND NEW.status <> 'active'
        OR OLD.status = 'suspected' AND NEW.status NOT IN ('active', 'suspected')
        OR NEW.suspected_until > OLD.suspected_until
        OR NEW.valid_from > OLD.valid_from
        OR coalesce(NEW.valid_until, 'infinity') < coalesce(OLD.valid_until, 'infinity')
        OR NEW.scopes <> OLD.scopes
        OR NEW.purpose <> OLD.purpose
        OR NEW.external_id <> OLD.external_id
    ) EXECUTE FUNCTION tell_change();

-- It is asked for the id that a call carries, too; see functions/admit_calls_v2.sql.
DROP FUNCTION IF EXISTS admit_calls_v2(text[], text[], bigint[], boolean[], bigint[], bigint[], bigint[], uuid[], text[],
    bigint[], boolean[], text[], text[], bigint[], text[], bigint[]);

ALTER TABLE consent_events DROP CONSTRAINT consent_events_source_check;
ALTER TABLE consent_events ADD CONSTRAINT consent_events_source_check
    CHECK (source IN ('import', 'feed', 'answer', 'operator', 'clock', 'status', 'grant', 'renewal'));
