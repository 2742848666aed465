-- +goose Up

-- installation: whose database this is. keys names the key file that it is written with, by a keyed fingerprint that a
-- rotation leaves as it is. Whoever has another key file must not write here: names of subjects would differ, and what
-- it seals could not be opened.
CREATE TABLE installation (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    keys     text        NOT NULL,
    known_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
