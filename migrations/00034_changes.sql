-- +goose NO TRANSACTION
-- +goose Up

-- Each statement by itself: in one transaction the locks of all these tables would be held together, while commits of
-- programs at work take them in another order. What is there already, after a run that broke off, is made anew.

-- replaced_xid: the transaction that moved a version into the history, as changed_xid is the one that wrote a row. A reader
-- who remembers a snapshot asks both for what that snapshot did not see: docs/reading.md. Without it he missed the versions
-- that were written and replaced between two of his looks. Versions from before this migration name this migration's.
ALTER TABLE accounts_history ADD COLUMN IF NOT EXISTS replaced_xid xid8 NOT NULL DEFAULT pg_current_xact_id();
ALTER TABLE balances_history ADD COLUMN IF NOT EXISTS replaced_xid xid8 NOT NULL DEFAULT pg_current_xact_id();
ALTER TABLE transactions_history ADD COLUMN IF NOT EXISTS replaced_xid xid8 NOT NULL DEFAULT pg_current_xact_id();
ALTER TABLE debts_history ADD COLUMN IF NOT EXISTS replaced_xid xid8 NOT NULL DEFAULT pg_current_xact_id();

-- To build an index beside commits, Postgres waits until those have ended that began before.
SET lock_timeout = 0;

-- What has changed lies together, in the order of the transactions, so a BRIN index finds it and costs next to nothing to keep.
-- xid8 has no BRIN operators, and no cast to a number but through text.
DROP INDEX CONCURRENTLY IF EXISTS accounts_changed;
CREATE INDEX CONCURRENTLY accounts_changed ON accounts USING brin ((changed_xid::text::bigint) int8_minmax_multi_ops);
DROP INDEX CONCURRENTLY IF EXISTS balances_changed;
CREATE INDEX CONCURRENTLY balances_changed ON balances USING brin ((changed_xid::text::bigint) int8_minmax_multi_ops);
DROP INDEX CONCURRENTLY IF EXISTS transactions_changed;
CREATE INDEX CONCURRENTLY transactions_changed ON transactions USING brin ((changed_xid::text::bigint) int8_minmax_multi_ops);
DROP INDEX CONCURRENTLY IF EXISTS debts_changed;
CREATE INDEX CONCURRENTLY debts_changed ON debts USING brin ((changed_xid::text::bigint) int8_minmax_multi_ops);

DROP INDEX CONCURRENTLY IF EXISTS accounts_history_replaced;
CREATE INDEX CONCURRENTLY accounts_history_replaced ON accounts_history USING brin ((replaced_xid::text::bigint) int8_minmax_multi_ops);
DROP INDEX CONCURRENTLY IF EXISTS balances_history_replaced;
CREATE INDEX CONCURRENTLY balances_history_replaced ON balances_history USING brin ((replaced_xid::text::bigint) int8_minmax_multi_ops);
DROP INDEX CONCURRENTLY IF EXISTS transactions_history_replaced;
CREATE INDEX CONCURRENTLY transactions_history_replaced ON transactions_history
    USING brin ((replaced_xid::text::bigint) int8_minmax_multi_ops);
DROP INDEX CONCURRENTLY IF EXISTS debts_history_replaced;
CREATE INDEX CONCURRENTLY debts_history_replaced ON debts_history USING brin ((replaced_xid::text::bigint) int8_minmax_multi_ops);

-- The rows and versions that a call brought. Ids of calls go up with the time.
DROP INDEX CONCURRENTLY IF EXISTS accounts_call;
CREATE INDEX CONCURRENTLY accounts_call ON accounts USING brin (call_id uuid_minmax_multi_ops);
DROP INDEX CONCURRENTLY IF EXISTS balances_call;
CREATE INDEX CONCURRENTLY balances_call ON balances USING brin (call_id uuid_minmax_multi_ops);
DROP INDEX CONCURRENTLY IF EXISTS transactions_call;
CREATE INDEX CONCURRENTLY transactions_call ON transactions USING brin (call_id uuid_minmax_multi_ops);
DROP INDEX CONCURRENTLY IF EXISTS debts_call;
CREATE INDEX CONCURRENTLY debts_call ON debts USING brin (call_id uuid_minmax_multi_ops);
DROP INDEX CONCURRENTLY IF EXISTS accounts_history_call;
CREATE INDEX CONCURRENTLY accounts_history_call ON accounts_history USING brin (call_id uuid_minmax_multi_ops);
DROP INDEX CONCURRENTLY IF EXISTS balances_history_call;
CREATE INDEX CONCURRENTLY balances_history_call ON balances_history USING brin (call_id uuid_minmax_multi_ops);
DROP INDEX CONCURRENTLY IF EXISTS transactions_history_call;
CREATE INDEX CONCURRENTLY transactions_history_call ON transactions_history USING brin (call_id uuid_minmax_multi_ops);
DROP INDEX CONCURRENTLY IF EXISTS debts_history_call;
CREATE INDEX CONCURRENTLY debts_history_call ON debts_history USING brin (call_id uuid_minmax_multi_ops);

-- The call that a provider names by its own id. An id is random, so the ranges are small, and each has a Bloom filter of the ids
-- in it. The index has the collation of the column, or no query would use it.
DROP INDEX CONCURRENTLY IF EXISTS calls_correlation;
CREATE INDEX CONCURRENTLY calls_correlation ON calls
    USING brin (correlation_id text_bloom_ops (n_distinct_per_range = 600)) WITH (pages_per_range = 16);

-- What was done lately, and what was done to an object.
DROP INDEX CONCURRENTLY IF EXISTS acts_at;
CREATE INDEX CONCURRENTLY acts_at ON acts (at);
DROP INDEX CONCURRENTLY IF EXISTS acts_object;
CREATE INDEX CONCURRENTLY acts_object ON acts (kind, object, id);

RESET lock_timeout;
