-- +goose Up

-- acts: who has changed something by a command, when, why, and what on what. A command that makes its
-- change in one transaction writes its act in it. One that takes several begins with its act, and
-- done_at is null until it is through: an act without done_at was broken off, or is still at work.
-- details tell how much was changed, and never a secret, a token or a national identity number.
CREATE TABLE acts (
    id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    who     text        NOT NULL CHECK (who <> ''),
    why     text        NOT NULL DEFAULT '',
    act     text        NOT NULL CHECK (act <> ''),   -- the command, such as 'consents revoke'
    kind    text        NOT NULL CHECK (kind <> ''),  -- of the object: connection, consent, run, record, job, keys, database
    object  text        NOT NULL DEFAULT '',          -- its name or number
    details jsonb       NOT NULL DEFAULT '{}',
    done_at timestamptz
);

-- listed_until: what the list of the consent's owner has said of valid_until last, where the consent has
-- another one now, because a feed, a grant or the table's own rule has said otherwise; 'infinity': no
-- end. Null: it is valid_until. An imported line revives a consent only with another validity than this.
ALTER TABLE consents ADD COLUMN listed_until timestamptz;

-- connections.reads_per_day: what the configuration says of consents that name no number themselves;
-- null: no bound. consents.reads_of_connection: the consent's number is that one. A consent without any
-- number follows the connection, too.
ALTER TABLE connections ADD COLUMN reads_per_day integer CHECK (reads_per_day > 0);
ALTER TABLE consents ADD COLUMN reads_of_connection boolean NOT NULL DEFAULT false;
