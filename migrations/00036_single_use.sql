-- +goose Up

-- single_use_since: when a consent became one that may be called once, if it was not so from the first. What was called before
-- that was right when it was called.
ALTER TABLE consents ADD COLUMN single_use_since timestamptz;

-- +goose StatementBegin
CREATE FUNCTION note_single_use() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.single_use_since := clock_timestamp();
    RETURN NEW;
END
$$;
-- +goose StatementEnd

-- An import and a grant may make it one; processes of an earlier version do, too.
CREATE TRIGGER became_single_use BEFORE UPDATE OF single_use ON consents
    FOR EACH ROW WHEN (NEW.single_use AND NOT OLD.single_use)
    EXECUTE FUNCTION note_single_use();
