-- +goose Up

-- reads_lowered_at: when a consent's number of reads a day became less than it was, or it got one at all. What was read
-- before that was right when it was read.
ALTER TABLE consents ADD COLUMN reads_lowered_at timestamptz;

-- written_at: when a read was admitted; at is its slot, which may lie minutes ahead. Null: before this was kept.
ALTER TABLE consent_reads ADD COLUMN written_at timestamptz;
ALTER TABLE consent_reads ALTER COLUMN written_at SET DEFAULT clock_timestamp();

-- +goose StatementBegin
CREATE FUNCTION note_lowered_reads() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.reads_lowered_at := clock_timestamp();
    RETURN NEW;
END
$$;
-- +goose StatementEnd

-- An import, a configuration and a grant may lower it; processes of an earlier version do, too.
CREATE TRIGGER reads_lowered BEFORE UPDATE OF reads_per_day ON consents
    FOR EACH ROW WHEN (NEW.reads_per_day < OLD.reads_per_day OR OLD.reads_per_day IS NULL AND NEW.reads_per_day IS NOT NULL)
    EXECUTE FUNCTION note_lowered_reads();
