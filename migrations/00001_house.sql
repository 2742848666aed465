-- +goose Up

-- connections: one configured account at a provider. Configuration is the truth of how to reach it; this row is the
-- truth of whether it may be used.
CREATE TABLE connections (
    name          text PRIMARY KEY,
    provider      text        NOT NULL,
    state         text        NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'parked')),
    parked_at     timestamptz,
    parked_class  text,
    parked_reason text,
    feed_position text        NOT NULL DEFAULT '',
    feed_read_at  timestamptz,
    created_at    timestamptz NOT NULL DEFAULT now(),
    CHECK ((state = 'parked') = (parked_at IS NOT NULL)),
    CHECK ((state = 'parked') = (parked_reason IS NOT NULL))
);

-- consents: the right to pull one subject's data over one connection. The subject is a keyed HMAC; the plain national
-- identity number, where a provider demands it, is sealed.
CREATE TABLE consents (
    id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    connection     text        NOT NULL REFERENCES connections,
    external_id    text        NOT NULL CHECK (external_id <> ''),
    subject_hmac   bytea CHECK (octet_length(subject_hmac) >= 16),
    subject_sealed bytea,
    status         text        NOT NULL DEFAULT 'active' CHECK (status IN
                       ('active', 'revoked', 'expired', 'consumed', 'consumed_unknown', 'reauth_required')),
    purpose        text        NOT NULL DEFAULT '',
    scopes         text[]      NOT NULL DEFAULT '{}',
    valid_from     timestamptz NOT NULL DEFAULT now(),
    valid_until    timestamptz,
    single_use     boolean     NOT NULL DEFAULT false,
    reads_per_day  integer CHECK (reads_per_day > 0),
    ended_at       timestamptz,
    ended_reason   text,
    created_at     timestamptz NOT NULL DEFAULT now(),
    UNIQUE (connection, external_id),
    CHECK (valid_until > valid_from),
    CHECK ((status = 'active') = (ended_at IS NULL))
);
CREATE INDEX consents_active ON consents (connection, id) WHERE status = 'active';

CREATE TABLE consent_events (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    consent_id bigint      NOT NULL REFERENCES consents,
    at         timestamptz NOT NULL DEFAULT now(),
    source     text        NOT NULL CHECK (source IN ('import', 'feed', 'answer', 'operator', 'clock', 'status')),
    from_status text,
    to_status  text        NOT NULL,
    reason     text        NOT NULL DEFAULT '',
    call_id    uuid
);
CREATE INDEX consent_events_consent ON consent_events (consent_id, at);
CREATE INDEX consent_events_answers ON consent_events (at) WHERE source = 'answer';

-- consent_reads: one row for each read of a consent that has a daily budget, written before the send.
CREATE TABLE consent_reads (
    consent_id bigint      NOT NULL REFERENCES consents,
    at         timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX consent_reads_consent ON consent_reads (consent_id, at);

-- inbox: the one call of a single-use consent. The intent is committed before the send, the answer before it is read;
-- a row with neither answer nor withdrawal is a send whose fate only the provider knows.
CREATE TABLE inbox (
    consent_id  bigint PRIMARY KEY REFERENCES consents,
    call_id     uuid        NOT NULL,
    intended_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    answered_at timestamptz,
    status      integer,
    body        bytea,
    settled_at  timestamptz,
    CHECK ((answered_at IS NULL) = (status IS NULL))
);

-- tokens: access tokens shared by all processes, sealed, and whose turn it is to ask for a new one.
CREATE TABLE tokens (
    key              text PRIMARY KEY,
    sealed           bytea,
    expires_at       timestamptz,
    refreshing_until timestamptz NOT NULL DEFAULT '-infinity',
    refreshing_by    uuid,
    updated_at       timestamptz NOT NULL DEFAULT now()
);

-- gates: no call to this bucket before not_before, and the next free slot of its rate. The row is updated for every
-- reservation, so pages are left half empty for HOT updates.
CREATE TABLE gates (
    bucket       text PRIMARY KEY,
    connection   text        NOT NULL,
    not_before   timestamptz NOT NULL DEFAULT '-infinity',
    reason       text        NOT NULL DEFAULT '',
    announced_by uuid,
    next_slot    timestamptz NOT NULL DEFAULT '-infinity',
    reserved     bigint      NOT NULL DEFAULT 0
) WITH (fillfactor = 30);

-- pauses: every announcement that closed a gate, for the report of a run and for the provider's support.
CREATE TABLE pauses (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    bucket       text        NOT NULL,
    call_id      uuid,
    run_id       bigint,
    reason       text        NOT NULL,
    announced_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    not_before   timestamptz NOT NULL
);
CREATE INDEX pauses_run ON pauses (run_id);

-- workers: one row for each living process. Its batches are its own for as long as expires_at lies ahead; one
-- heartbeat a process keeps them all.
CREATE TABLE workers (
    id         uuid PRIMARY KEY,
    host       text        NOT NULL,
    pid        integer     NOT NULL,
    version    text        NOT NULL DEFAULT '',
    started_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL
) WITH (fillfactor = 50);

-- schedules: how far the ticks of a job have been considered, fired or skipped by policy.
CREATE TABLE schedules (
    job        text PRIMARY KEY,
    considered timestamptz NOT NULL
);

CREATE TABLE runs (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    job           text        NOT NULL,
    connection    text        NOT NULL REFERENCES connections,
    kind          text        NOT NULL CHECK (kind IN ('scheduled', 'manual', 'rerun', 'backfill')),
    scheduled_for timestamptz NOT NULL,
    of_run        bigint REFERENCES runs,
    datasets      text[]      NOT NULL,
    window_from   date,
    window_to     date,
    expected      integer     NOT NULL DEFAULT 0,  -- items that planning wrote: what the verdict must account for
    skipped       integer     NOT NULL DEFAULT 0,  -- consents that planning left out: ended, or their window not open
    verdict       text CHECK (verdict IN ('complete', 'partial', 'failed')),
    created_at    timestamptz NOT NULL DEFAULT now(),
    settled_at    timestamptz,
    UNIQUE (job, scheduled_for),
    CHECK ((verdict IS NULL) = (settled_at IS NULL)),
    CHECK ((kind = 'rerun') = (of_run IS NOT NULL)),
    CHECK (kind = 'rerun' OR (kind = 'backfill') = (window_from IS NOT NULL))  -- a rerun keeps its root's window
);
CREATE INDEX runs_open ON runs (id) WHERE verdict IS NULL;
CREATE INDEX runs_of_run ON runs (of_run) WHERE of_run IS NOT NULL;

CREATE TABLE batches (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    run_id      bigint      NOT NULL REFERENCES runs,
    seq         integer     NOT NULL,
    state       text        NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'working', 'parked', 'done')),
    fence       bigint      NOT NULL DEFAULT 0,
    holder      uuid,
    wake_at     timestamptz NOT NULL DEFAULT now(),
    park_reason text        NOT NULL DEFAULT '',
    claims      integer     NOT NULL DEFAULT 0,
    lost        integer     NOT NULL DEFAULT 0,   -- times a holder died on it without finishing an item
    claimed_at  timestamptz,
    finished_at timestamptz,
    UNIQUE (run_id, seq),
    CHECK ((state = 'working') = (holder IS NOT NULL)),
    CHECK ((state = 'done') = (finished_at IS NOT NULL))
);
CREATE INDEX batches_due ON batches (wake_at) WHERE state <> 'done';

-- items: one consent x dataset inside a batch. outcome is null until it is decided.
CREATE TABLE items (
    batch_id       bigint  NOT NULL REFERENCES batches,
    consent_id     bigint  NOT NULL,
    dataset        text COLLATE "C" NOT NULL CHECK (dataset IN ('accounts', 'transactions', 'debt')),
    outcome        text CHECK (outcome IN ('rows', 'empty', 'partial', 'excused', 'failed')),
    class          text,
    reason         text,
    correlation_id text,
    call_id        uuid,
    attempts       integer NOT NULL DEFAULT 0,
    pages          integer NOT NULL DEFAULT 0,
    records        integer NOT NULL DEFAULT 0,
    inserted       integer NOT NULL DEFAULT 0,
    updated        integer NOT NULL DEFAULT 0,
    removed        integer NOT NULL DEFAULT 0,
    quarantined    integer NOT NULL DEFAULT 0,
    partial        text,                          -- what the provider said is missing, so far
    started_at     timestamptz,
    finished_at    timestamptz,
    PRIMARY KEY (batch_id, consent_id, dataset),
    CHECK ((outcome IS NULL) = (finished_at IS NULL)),
    CHECK (outcome NOT IN ('failed', 'excused', 'partial') OR reason IS NOT NULL)
) WITH (fillfactor = 80);

-- calls: one row for each HTTP attempt that was answered or failed, token calls included. id is the request id.
CREATE TABLE calls (
    id             uuid PRIMARY KEY,
    connection     text        NOT NULL,
    bucket         text        NOT NULL,
    purpose        text        NOT NULL CHECK (purpose IN ('data', 'token', 'status', 'feed', 'check')),
    run_id         bigint,
    batch_id       bigint,
    consent_id     bigint,
    dataset        text,
    method         text        NOT NULL,
    path           text        NOT NULL,
    attempt        integer     NOT NULL,
    sent_at        timestamptz NOT NULL,
    waited_us      bigint      NOT NULL,
    duration_us    bigint      NOT NULL,
    status         integer,                       -- null: no answer
    bytes          bigint      NOT NULL DEFAULT 0,
    correlation_id text,
    class          text        NOT NULL,
    reason         text,
    retry_after_us bigint,
    answer_id      uuid                           -- the call whose kept answer holds the records of this one, which had the same bytes
);
CREATE INDEX calls_by_time ON calls USING brin (sent_at) WITH (pages_per_range = 16);
CREATE INDEX calls_by_run ON calls USING brin (run_id) WITH (pages_per_range = 16);

-- answers: what the provider said, once for each call that brought something new; compressed, then sealed.
CREATE TABLE answers (
    call_id    uuid PRIMARY KEY,
    consent_id bigint,
    body_hash  bytea       NOT NULL,
    bytes      integer     NOT NULL,
    body       bytea       NOT NULL,
    keep_until timestamptz NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
ALTER TABLE answers ALTER COLUMN body SET STORAGE EXTERNAL;
CREATE INDEX answers_keep_until ON answers USING brin (created_at);

-- cursors: where a stream stands. Written in the transaction that writes the page's records, never ahead of them.
CREATE TABLE cursors (
    consent_id bigint      NOT NULL,
    dataset    text COLLATE "C" NOT NULL,
    account_id text COLLATE "C" NOT NULL DEFAULT '',
    span       text COLLATE "C" NOT NULL DEFAULT '',  -- a backfill's window; empty: the normal stream
    position   text        NOT NULL,
    mid_pass   boolean     NOT NULL,             -- false: the last pass ended here
    version    bigint      NOT NULL DEFAULT 1,
    run_id     bigint,
    call_id    uuid,
    moved_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (consent_id, dataset, account_id, span)
) WITH (fillfactor = 80);

-- pages: each page of a stream as it was last committed, so that the same bytes need no decoding.
CREATE TABLE pages (
    consent_id bigint NOT NULL,
    dataset    text COLLATE "C" NOT NULL,
    account_id text COLLATE "C" NOT NULL DEFAULT '',
    span       text COLLATE "C" NOT NULL DEFAULT '',
    page_key   bytea  NOT NULL,
    body_hash  bytea  NOT NULL,
    call_id    uuid   NOT NULL,
    facts      jsonb  NOT NULL,
    PRIMARY KEY (consent_id, dataset, account_id, span, page_key)
);

-- quarantine: records that could not be read; the bytes are in the call's answer at that place.
CREATE TABLE quarantine (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    consent_id bigint      NOT NULL,
    dataset    text COLLATE "C" NOT NULL,
    account_id text COLLATE "C" NOT NULL DEFAULT '',
    batch_id   bigint,
    call_id    uuid        NOT NULL,
    place      integer     NOT NULL,
    reason     text        NOT NULL,
    at         timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX quarantine_batch ON quarantine (batch_id);

-- The records. Every key begins with consent_id, so that the tables can be distributed by it as they are.
-- content_hash: of all columns that an answer fills. call_id and place: the call that last changed the row and where
-- in its answer the record stood. changed_xid: the transaction that last changed it; rows with changed_xid below
-- pg_snapshot_xmin(pg_current_snapshot()) are final for a reader who goes by it. A row with removed_at names the call
-- that no longer had it, with place -1. The texts of keys compare bytewise: it is faster, and an upgrade of the
-- operating system's collations can't break the indexes.

CREATE TABLE accounts (
    consent_id    bigint      NOT NULL,
    account_id    text COLLATE "C" NOT NULL,
    number        text,
    name          text,
    kind          text,
    currency      text,
    extra         jsonb,
    content_hash  bytea       NOT NULL,
    call_id       uuid        NOT NULL,
    place         integer     NOT NULL,
    first_seen_at timestamptz NOT NULL DEFAULT now(),
    changed_at    timestamptz NOT NULL DEFAULT now(),
    changed_xid   xid8        NOT NULL DEFAULT pg_current_xact_id(),
    removed_at    timestamptz,
    PRIMARY KEY (consent_id, account_id)
);

CREATE TABLE balances (
    consent_id    bigint      NOT NULL,
    account_id    text COLLATE "C" NOT NULL,
    kind          text COLLATE "C" NOT NULL,
    amount        numeric     NOT NULL,
    currency      text        NOT NULL,
    content_hash  bytea       NOT NULL,
    call_id       uuid        NOT NULL,
    place         integer     NOT NULL,
    first_seen_at timestamptz NOT NULL DEFAULT now(),
    changed_at    timestamptz NOT NULL DEFAULT now(),
    changed_xid   xid8        NOT NULL DEFAULT pg_current_xact_id(),
    removed_at    timestamptz,
    PRIMARY KEY (consent_id, account_id, kind)
);

CREATE TABLE transactions (
    consent_id           bigint      NOT NULL,
    account_id           text COLLATE "C" NOT NULL,
    transaction_id       text COLLATE "C" NOT NULL,
    status               text        NOT NULL CHECK (status IN ('booked', 'pending')),
    booked_on            date        NOT NULL,
    value_on             date,
    amount               numeric     NOT NULL,
    currency             text        NOT NULL,
    text                 text,
    kind                 text,
    code                 text,
    counterparty_account text,
    counterparty_name    text,
    reference            text,
    merchant_name        text,
    merchant_category    text,
    purchased_on         date,
    original_amount      numeric,
    original_currency    text,
    exchange_rate        numeric,
    extra                jsonb,
    content_hash         bytea       NOT NULL,
    call_id              uuid        NOT NULL,
    place                integer     NOT NULL,
    first_seen_at        timestamptz NOT NULL DEFAULT now(),
    changed_at           timestamptz NOT NULL DEFAULT now(),
    changed_xid          xid8        NOT NULL DEFAULT pg_current_xact_id(),
    removed_at           timestamptz,
    PRIMARY KEY (consent_id, account_id, transaction_id)
);
-- The reservations of an account are compared as a set in every pass, however long its history.
CREATE INDEX transactions_pending ON transactions (consent_id, account_id)
    WHERE status = 'pending' AND removed_at IS NULL;

CREATE TABLE debts (
    consent_id           bigint      NOT NULL,
    debt_id              text COLLATE "C" NOT NULL,
    creditor             text        NOT NULL,
    kind                 text        NOT NULL,
    currency             text        NOT NULL,
    balance              numeric,
    original_balance     numeric,
    credit_limit         numeric,
    interest_bearing     numeric,
    non_interest_bearing numeric,
    nominal_rate         numeric,
    installment_charges  numeric,
    installment_period   text,
    terms_left           integer,
    co_borrower          integer,
    reported_at          timestamptz,
    extra                jsonb,
    content_hash         bytea       NOT NULL,
    call_id              uuid        NOT NULL,
    place                integer     NOT NULL,
    first_seen_at        timestamptz NOT NULL DEFAULT now(),
    changed_at           timestamptz NOT NULL DEFAULT now(),
    changed_xid          xid8        NOT NULL DEFAULT pg_current_xact_id(),
    removed_at           timestamptz,
    PRIMARY KEY (consent_id, debt_id)
);

-- <record>_history: the versions that were replaced or removed. A version was valid from its changed_at until
-- replaced_at; replaced_by is the call that replaced it.
CREATE TABLE accounts_history (LIKE accounts,
    replaced_at timestamptz NOT NULL DEFAULT now(), replaced_by uuid);
CREATE INDEX accounts_history_key ON accounts_history (consent_id, account_id);
CREATE TABLE balances_history (LIKE balances,
    replaced_at timestamptz NOT NULL DEFAULT now(), replaced_by uuid);
CREATE INDEX balances_history_key ON balances_history (consent_id, account_id, kind);
CREATE TABLE transactions_history (LIKE transactions,
    replaced_at timestamptz NOT NULL DEFAULT now(), replaced_by uuid);
CREATE INDEX transactions_history_key ON transactions_history (consent_id, account_id, transaction_id);
CREATE TABLE debts_history (LIKE debts,
    replaced_at timestamptz NOT NULL DEFAULT now(), replaced_by uuid);
CREATE INDEX debts_history_key ON debts_history (consent_id, debt_id);

-- effective_items: how each item of a run stands after all its reruns: the latest attempt that was decided counts.
CREATE VIEW effective_items AS
SELECT DISTINCT ON (coalesce(r.of_run, r.id), i.consent_id, i.dataset)
    coalesce(r.of_run, r.id) AS root_run, r.id AS run_id, i.*
FROM runs r JOIN batches b ON b.run_id = r.id JOIN items i ON i.batch_id = b.id
ORDER BY coalesce(r.of_run, r.id), i.consent_id, i.dataset, (i.outcome IS NULL), r.id DESC;

-- utc writes an instant for people, the same wherever the server stands.
CREATE FUNCTION utc(at timestamptz) RETURNS text LANGUAGE sql STABLE
    RETURN to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"');

-- micros_until is how long it is until at, in microseconds, never negative and never more than a hundred years, so that
-- 'infinity' can be told as a number.
CREATE FUNCTION micros_until(at timestamptz, moment timestamptz) RETURNS bigint LANGUAGE sql IMMUTABLE
    RETURN CASE WHEN at <= moment THEN 0
        ELSE (extract(epoch FROM least(at, moment + interval '100 years') - moment) * 1000000)::bigint END;

-- admit_calls answers, for each call that somebody is about to make, whether it may be made and when, and reserves its
-- slot. A refusal says why; a positive gate_us says that the bucket is closed for so long; otherwise the call may be
-- sent after send_us. Both count from moment_us, a time of the database's clock: the answer may be on its way for a
-- while. interval_us is the time between two slots of the bucket; 0: it has no rate.
--
-- Locks are taken in one order, consents by id and then gates by bucket, so that two crowds never deadlock. A gate is
-- locked once for the crowd and written once, so that no slot is given twice and the row has one new version, not one
-- for each call. A call without rate and without budget writes nothing. Plans are kept for the life of a connection
-- and may have been made while the tables were empty: that must not leave a sequential scan in them.
-- +goose StatementBegin
CREATE FUNCTION admit_calls(in_connection text[], in_bucket text[], in_interval_us bigint[], in_opening boolean[],
    in_batch bigint[], in_fence bigint[], in_consent bigint[])
RETURNS TABLE (place integer, refusal text, reason text, gate_us bigint, send_us bigint, moment_us bigint)
LANGUAGE plpgsql SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
    ask    record;
    gate   gates%ROWTYPE;  -- the one that is locked
    moment timestamptz;
    slot   timestamptz;
    closed timestamptz;
BEGIN
    PERFORM FROM consents c WHERE c.reads_per_day IS NOT NULL AND c.id IN
        (SELECT u.id FROM unnest(in_consent, in_opening) AS u (id, opening) WHERE u.opening)
    ORDER BY c.id FOR NO KEY UPDATE;
    FOR ask IN
        SELECT u.*, b.fence AS has_fence, b.state, n.parked_reason, c.status, c.valid_from, c.valid_until,
            c.reads_per_day, g.not_before, g.reason AS gate_reason
        FROM unnest(in_connection, in_bucket, in_interval_us, in_opening, in_batch, in_fence, in_consent)
            WITH ORDINALITY AS u (connection, bucket, interval_us, opening, batch, fence, consent, place)
        LEFT JOIN connections n ON n.name = u.connection
        LEFT JOIN batches b ON b.id = u.batch
        LEFT JOIN consents c ON c.id = u.consent
        LEFT JOIN gates g ON g.bucket = u.bucket
        ORDER BY u.bucket, u.place
    LOOP
        place := ask.place; refusal := NULL; reason := NULL; gate_us := 0; send_us := 0;
        moment := clock_timestamp();
        IF ask.batch IS NOT NULL AND (ask.has_fence, ask.state) IS DISTINCT FROM (ask.fence, 'working') THEN
            refusal := 'fenced';
            reason := 'the batch has been taken over by another worker';
        ELSIF ask.parked_reason IS NOT NULL THEN
            refusal := 'fatal';
            reason := 'connection ' || ask.connection || ' is parked: ' || ask.parked_reason;
        ELSIF ask.consent IS NOT NULL THEN
            reason := CASE
                WHEN ask.status IS NULL THEN 'consent not known'
                WHEN ask.status <> 'active' THEN 'consent ended: ' || ask.status
                WHEN ask.valid_until <= moment THEN 'consent ended: expired'
                WHEN ask.valid_from > moment THEN 'consent not valid yet: from ' || utc(ask.valid_from) END;
            IF reason IS NULL AND ask.opening AND ask.reads_per_day IS NOT NULL THEN
                SELECT 'daily reads spent: next at ' || utc(r.at + interval '24 hours') INTO reason
                FROM consent_reads r WHERE r.consent_id = ask.consent AND r.at > moment - interval '24 hours'
                ORDER BY r.at DESC OFFSET ask.reads_per_day - 1 LIMIT 1;
            END IF;
            IF reason IS NOT NULL THEN refusal := 'refused'; END IF;
        END IF;
        IF refusal IS NULL THEN
            closed := ask.not_before;
            IF ask.interval_us > 0 THEN
                IF gate.bucket IS DISTINCT FROM ask.bucket THEN
                    UPDATE gates g SET next_slot = gate.next_slot, reserved = gate.reserved WHERE g.bucket = gate.bucket;
                    INSERT INTO gates (bucket, connection) VALUES (ask.bucket, ask.connection) ON CONFLICT DO NOTHING;
                    SELECT g.* INTO gate FROM gates g WHERE g.bucket = ask.bucket FOR UPDATE;
                END IF;
                closed := gate.not_before;
                ask.gate_reason := gate.reason;
                moment := clock_timestamp();
            END IF;
            IF closed > moment THEN
                gate_us := micros_until(closed, moment);
                reason := ask.gate_reason;
            ELSE
                slot := moment;
                IF ask.interval_us > 0 THEN
                    slot := greatest(moment, gate.next_slot);
                    gate.next_slot := slot + ask.interval_us * interval '1 microsecond';
                    gate.reserved := gate.reserved + 1;
                END IF;
                send_us := micros_until(slot, moment);
                IF ask.opening AND ask.reads_per_day IS NOT NULL THEN
                    INSERT INTO consent_reads (consent_id, at) VALUES (ask.consent, slot);
                END IF;
            END IF;
        END IF;
        moment_us := (extract(epoch FROM moment) * 1000000)::bigint;
        RETURN NEXT;
    END LOOP;
    UPDATE gates g SET next_slot = gate.next_slot, reserved = gate.reserved WHERE g.bucket = gate.bucket;
END $$;
-- +goose StatementEnd
