-- +goose Up
-- pass_run: the run that began the pass in whose middle the stream stands, or the last one. A pass that an earlier run began
-- may lack what has come since to the pages that it had read by then.
ALTER TABLE cursors ADD COLUMN pass_run bigint;
