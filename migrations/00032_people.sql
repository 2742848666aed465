-- +goose Up

-- Which run a batch in line waits for; null: it stands in no line.
ALTER TABLE batches ADD COLUMN behind_run bigint; -- before items, as programs at work lock them

-- The figures of an account are records of their own: a list of one account with three figures is one account that was
-- read, not four. items.records, inserted, updated and removed are without them from now on.
ALTER TABLE items
    ADD COLUMN figures          integer NOT NULL DEFAULT 0,  -- balances of accounts that were read
    ADD COLUMN figures_inserted integer NOT NULL DEFAULT 0,
    ADD COLUMN figures_updated  integer NOT NULL DEFAULT 0,
    ADD COLUMN figures_removed  integer NOT NULL DEFAULT 0;
