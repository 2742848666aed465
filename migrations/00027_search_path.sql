-- +goose Up

-- What a trigger says is resolved in the schema of its tables, whoever changes them and whatever his search path is.
ALTER FUNCTION tell_change() SET search_path FROM CURRENT;
ALTER FUNCTION tell_quota() SET search_path FROM CURRENT;
ALTER FUNCTION note_lowered_reads() SET search_path FROM CURRENT;
