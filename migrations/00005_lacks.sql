-- +goose Up

-- What the pass that ended at a position, or goes on from it, has not got: records that could not be read, or what the
-- provider left out. Null: nothing. A run that goes on with a pass which another run began does not see those pages, and
-- would call the item proven.
ALTER TABLE cursors ADD COLUMN lacks text;
