-- +goose Up
-- since: the oldest day that the stream was asked for when it was first read to its end. Null: it is not asked for by days, or
-- has not been read since this column came. A job whose history is raised later goes on behind the position, so that the days
-- before since are read by a backfill only.
ALTER TABLE cursors ADD COLUMN since date;
CREATE INDEX cursors_since ON cursors (since) WHERE span = '';
