-- +goose Up

-- A suspected consent was refused by an answer whose status alone speaks against it, or its end came with too many
-- others. It is not called before suspected_until, and then once: a good answer makes it active, see docs/consents.md.
-- suspected_as is what it is if the refusals are true, suspected_dataset whose call was refused (null: it is told of the
-- consent), suspected_times how many there were on different nights, and
-- held_at says that its end was told, and came with so many others that only an operator or a good answer decides;
-- held_told that the log has said so.
ALTER TABLE consents
    ADD COLUMN suspected_at timestamptz,
    ADD COLUMN suspected_until timestamptz,
    ADD COLUMN suspected_as text CHECK (suspected_as IN ('revoked', 'expired', 'consumed', 'reauth_required')),
    ADD COLUMN suspected_reason text,
    ADD COLUMN suspected_dataset text,
    ADD COLUMN suspected_times integer NOT NULL DEFAULT 0,
    ADD COLUMN held_at timestamptz,
    ADD COLUMN held_told boolean NOT NULL DEFAULT false;

ALTER TABLE consents
    DROP CONSTRAINT consents_status_check,
    DROP CONSTRAINT consents_check1,
    ADD CONSTRAINT consents_status_check CHECK (status IN
        ('active', 'suspected', 'revoked', 'expired', 'consumed', 'consumed_unknown', 'reauth_required')),
    ADD CONSTRAINT consents_ended_check CHECK ((status IN ('active', 'suspected')) = (ended_at IS NULL)),
    ADD CONSTRAINT consents_suspected_check CHECK ((status = 'suspected') =
        (suspected_at IS NOT NULL AND suspected_until IS NOT NULL AND suspected_as IS NOT NULL));

CREATE INDEX consents_suspected ON consents (connection, suspected_until) WHERE status = 'suspected';

-- The ends of a day that answers and statuses have told are counted at each further one.
DROP INDEX consent_events_answers;
CREATE INDEX consent_events_told ON consent_events (at) WHERE source IN ('answer', 'status');

-- A call for a suspected consent whose time has come holds a permission like that for an active one, which is taken back
-- when the consent ends or is refused again.
DROP TRIGGER told ON consents;
CREATE TRIGGER told AFTER UPDATE OF status, valid_from, valid_until, scopes, purpose, suspected_until ON consents
    FOR EACH ROW WHEN (
        OLD.status = 'active' AND NEW.status <> 'active'
        OR OLD.status = 'suspected' AND NEW.status NOT IN ('active', 'suspected')
        OR NEW.suspected_until > OLD.suspected_until
        OR NEW.valid_from > OLD.valid_from
        OR coalesce(NEW.valid_until, 'infinity') < coalesce(OLD.valid_until, 'infinity')
        OR NEW.scopes <> OLD.scopes
        OR NEW.purpose <> OLD.purpose
    ) EXECUTE FUNCTION tell_change();

-- opened_at: when an operator has opened the connection last. What was refused before that is no sign against it.
ALTER TABLE connections ADD COLUMN opened_at timestamptz;
