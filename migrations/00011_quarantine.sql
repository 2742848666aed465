-- +goose Up

-- An account may have figures of one kind in several currencies. The note of a figure that is missing names
-- both.
UPDATE absences n SET record_id = n.record_id || ' ' || b.currency
FROM balances b
WHERE n.kind = 'balances'
AND b.consent_id = n.consent_id
AND b.account_id = n.account_id
AND b.kind = n.record_id;
ALTER TABLE balances DROP CONSTRAINT balances_pkey;
ALTER TABLE balances ALTER COLUMN currency TYPE text COLLATE "C",
    ADD PRIMARY KEY (consent_id, account_id, kind, currency);
ALTER TABLE balances_history ALTER COLUMN currency TYPE text COLLATE "C";
DROP INDEX balances_history_key;
CREATE INDEX balances_history_key ON balances_history (consent_id, account_id, kind, currency);

-- A record in quarantine is there once, however often it comes, until it is resolved: it was read well
-- since, or it has gone from a pass that read its place again, or the same key came with other bytes, or
-- somebody has accepted it. call_id and place are of its first coming, whose answer is kept.
ALTER TABLE quarantine
    ADD COLUMN body_hash   bytea,                          -- a hash of the record's bytes
    ADD COLUMN record_id   text COLLATE "C",               -- the provider's key of it; null: it could not be read
    ADD COLUMN times       integer NOT NULL DEFAULT 1,     -- runs that have met it
    ADD COLUMN held        boolean NOT NULL DEFAULT false, -- the position waits for it: the next pass reads its place
    ADD COLUMN last_run    bigint,
    ADD COLUMN last_at     timestamptz NOT NULL DEFAULT now(),
    ADD COLUMN resolved_at timestamptz,
    ADD COLUMN resolved_as text CHECK (resolved_as IN ('read', 'gone', 'replaced', 'accepted')),
    ADD COLUMN note        text,                           -- why somebody has accepted it
    ADD CONSTRAINT quarantine_resolved CHECK ((resolved_at IS NULL) = (resolved_as IS NULL));
-- Older rows are one for each coming. The positions still lead back to what they stand for, so what can't be
-- read still comes again, as a row of its own.
UPDATE quarantine SET body_hash = decode(md5(id::text), 'hex'), last_at = at,
    resolved_at = now(), resolved_as = 'replaced';
ALTER TABLE quarantine ALTER COLUMN body_hash SET NOT NULL;
CREATE UNIQUE INDEX quarantine_once ON quarantine (consent_id, dataset, account_id, body_hash);
CREATE INDEX quarantine_open ON quarantine (consent_id, dataset, account_id) WHERE resolved_at IS NULL;
