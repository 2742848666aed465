-- is_restored says whether this database is a restored copy of which nobody has said yet what is to become of the calls
-- that were made since. That it is one may not have been noticed: the table that a restored dump made tells by itself.
CREATE OR REPLACE FUNCTION is_restored() RETURNS boolean
LANGUAGE sql STABLE AS $$
    SELECT i.restored_at IS NOT NULL OR coalesce(i.table_id <> i.tableoid::bigint, false)
    FROM identity i
$$;
