-- +goose Up

-- cause: of a decided item that is not whole, a fingerprint of why: the connection, the class, and the reason without what is the
-- item's own. Items that failed alike have one cause, in every run. It is written when the item's batch or run is through; items of
-- runs from before have none. No index has it, or each decision of an item would write into every index of the table.
ALTER TABLE items ADD COLUMN cause bigint;
