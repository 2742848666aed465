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
    PRIMARY KEY (consent_id, kind, account_id, record_id)
);
