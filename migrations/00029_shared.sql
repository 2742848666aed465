-- +goose Up

-- shared_schema: which programs the schema is for. oldest is the version of the last migration that programs from before it
-- can't work with: one that knows less stops. The file of such a migration has the line "-- breaks older programs".
CREATE TABLE shared_schema (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    oldest   bigint NOT NULL DEFAULT 0
);
INSERT INTO shared_schema DEFAULT VALUES;

-- workers: the schema's version that the process was made for, so that a migration which it can't work with waits for its
-- end. Null: its program is from before this.
ALTER TABLE workers ADD COLUMN schema_version bigint;
