-- +goose Up

-- absences: rows that are in the tables and that a proven pass did not have. Each is a note beside the row, which
-- stays. call_id is the call that first lacked it. A set that took several answers may have moved while it was read,
-- so what is missing from it is removed only when another pass lacks it too; the note goes with that, or when a page
-- shows the row. kind is the row's table; accounts and debts have their key in record_id alone.
CREATE TABLE absences (
    consent_id bigint      NOT NULL,
    kind       text COLLATE "C" NOT NULL CHECK (kind IN ('accounts', 'balances', 'transactions', 'debts')),
    account_id text COLLATE "C" NOT NULL,
    record_id  text COLLATE "C" NOT NULL,
    call_id    uuid        NOT NULL,
    run_id     bigint,
    noted_at   timestamptz NOT NULL DEFAULT now(),
    withheld_by   bigint,                        -- the root run whose guard keeps the row; null: none does
    withheld_call uuid,                          -- the call that would have removed it
    PRIMARY KEY (consent_id, kind, account_id, record_id),
    CHECK ((withheld_by IS NULL) = (withheld_call IS NULL))
);
CREATE INDEX absences_withheld ON absences (withheld_by, consent_id) WHERE withheld_by IS NOT NULL;

-- removal_guards: what a run and its reruns have removed of a dataset, reservations and balances left out. When it is
-- more than one night can explain, closed_at is set, and from then on nothing of it is removed. asked and asked_records
-- are what there was before the run: consents that had records, and those records. They are null until they are needed.
CREATE TABLE removal_guards (
    run_id        bigint      NOT NULL REFERENCES runs,   -- the root run
    dataset       text COLLATE "C" NOT NULL,
    consents      bigint      NOT NULL DEFAULT 0,         -- that lost records
    lost          bigint      NOT NULL DEFAULT 0,         -- of those: that have none left
    records       bigint      NOT NULL DEFAULT 0,
    asked         bigint,
    asked_records bigint,
    closed_at     timestamptz,
    reason        text,
    told_at       timestamptz,                            -- when the log was told
    PRIMARY KEY (run_id, dataset),
    CHECK ((closed_at IS NULL) = (reason IS NULL))
) WITH (fillfactor = 50);

-- removals: what of removal_guards is of one consent, so that no consent counts twice.
CREATE TABLE removals (
    run_id     bigint  NOT NULL,
    dataset    text COLLATE "C" NOT NULL,
    consent_id bigint  NOT NULL,
    records    integer NOT NULL,
    lost       boolean NOT NULL,
    PRIMARY KEY (run_id, dataset, consent_id)
);
