-- lock_key is the advisory lock of a name. Advisory locks are those of the whole database, so that of another installation
-- in it, whose tables are in another schema, is another one. In the schema public it is the one that programs from before
-- take, who may be at work while they are replaced.
CREATE OR REPLACE FUNCTION lock_key(in_name text) RETURNS bigint
LANGUAGE sql STABLE AS $$
    SELECT pg_catalog.hashtextextended(in_name,
        CASE pg_catalog.current_schema()
            WHEN 'public' THEN 0
            ELSE pg_catalog.hashtextextended(pg_catalog.current_schema()::text, 0)
        END)
$$;
