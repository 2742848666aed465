-- on_day is a gate with its calls counted to the day of the moment. in_turns are the resets around it, in
-- their order: from when on calls count to both days, and when the next day has surely begun, in
-- microseconds since 1970. The resets that an asker names have all passed only if its clock is days behind.
--
-- When a day begins, it has the calls that are recorded, or those that the day before left to count to both where
-- these are more: the bucket may have had no quota for a while, and then nobody counted. Where the time of the
-- reset has changed, the day ends at the new one and keeps its calls.
CREATE OR REPLACE FUNCTION on_day(gate gates, in_turns text, moment timestamptz) RETURNS gates
LANGUAGE plpgsql AS $$
DECLARE
    turns CONSTANT bigint[] := in_turns::bigint[];
    us    CONSTANT bigint := (extract(epoch FROM moment) * 1000000)::bigint;
    i     integer := 1;
    doubt timestamptz;  -- of the reset that the day began with
    began timestamptz;
BEGIN
    WHILE turns[i + 1] <= us LOOP
        doubt := timestamptz 'epoch' + turns[i] * interval '1 microsecond';
        began := timestamptz 'epoch' + turns[i + 1] * interval '1 microsecond';
        i := i + 2;
    END LOOP;
    IF turns[i] IS NULL THEN
        RAISE 'the clock of this process is days behind the database''s: it can''t count the calls of a day';
    END IF;
    IF gate.day_ends <= moment THEN
        IF gate.day_ends < began THEN
            gate.day_late := 0; -- a day without a call lies between
        END IF;
        SELECT greatest(count(*), gate.day_late) INTO gate.day_calls
        FROM calls c
        WHERE c.bucket = gate.bucket
        AND c.sent_at >= greatest(doubt, gate.day_doubt);
        gate.day_late := 0;
    END IF;
    gate.day_doubt := timestamptz 'epoch' + turns[i] * interval '1 microsecond';
    gate.day_ends := timestamptz 'epoch' + turns[i + 1] * interval '1 microsecond';
    RETURN gate;
END $$;
