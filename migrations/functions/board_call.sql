-- board_call counts a call among those that are on their way over its connection, if there are fewer than in_most of them, and
-- says whether it does. in_for_us is how long it counts at most. What has ended without a word, such as the calls of a process
-- that was killed, is forgotten first.
--
-- Those who ask for one connection take turns, so that two never take one place.
CREATE OR REPLACE FUNCTION board_call(
    in_call uuid,
    in_connection text,
    in_batch bigint,
    in_fence bigint,
    in_most integer,
    in_for_us bigint)
RETURNS boolean
LANGUAGE plpgsql AS $$
DECLARE
    counted integer;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('flights ' || in_connection, 0));
    DELETE FROM flights f
    WHERE f.connection = in_connection
    AND (
        f.until <= clock_timestamp()
        OR f.batch_id IS NOT NULL AND NOT EXISTS (
            SELECT FROM batches b
            JOIN workers w ON w.id = b.holder
            WHERE b.id = f.batch_id
            AND b.fence = f.fence
            AND w.expires_at > clock_timestamp()
        )
    );
    SELECT count(*) INTO counted
    FROM flights f
    WHERE f.connection = in_connection
    AND f.call_id <> in_call;
    IF counted >= in_most THEN
        RETURN false;
    END IF;
    INSERT INTO flights (call_id, connection, batch_id, fence, until)
    VALUES (in_call, in_connection, in_batch, in_fence, clock_timestamp() + in_for_us * interval '1 microsecond')
    ON CONFLICT (call_id) DO UPDATE SET until = excluded.until;
    RETURN true;
END $$;
