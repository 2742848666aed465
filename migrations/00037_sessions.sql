-- +goose Up

-- sessions_named: the database sessions of this process bear its name ("syncer/<id>"), as it was heard over one of them. Then
-- that it has none any more tells that it has died, before its lease ends.
ALTER TABLE workers ADD COLUMN sessions_named boolean NOT NULL DEFAULT false;
