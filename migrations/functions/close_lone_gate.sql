-- close_lone_gate closes a gate of one alone and writes the pause down, both with one end, and says for how long the gate
-- is closed then. A guessed pause doubles with each refusal in a row, up to a quarter of an hour. The row ends when nothing
-- was refused for an hour.
CREATE OR REPLACE FUNCTION close_lone_gate(
    in_key text,
    in_connection text,
    in_us bigint,
    in_reason text,
    in_call uuid,
    in_run bigint,
    in_guessed boolean)
RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    moment CONSTANT timestamptz := clock_timestamp();
    most   CONSTANT bigint := 900000000; -- a quarter of an hour
    gate   lone_gates%ROWTYPE;
    us     bigint := in_us;
    ends   timestamptz;
BEGIN
    DELETE FROM lone_gates g WHERE g.key IN (
        SELECT o.key FROM lone_gates o WHERE o.not_before < moment - interval '1 hour' FOR UPDATE SKIP LOCKED);
    SELECT g.* INTO gate FROM lone_gates g WHERE g.key = in_key FOR UPDATE;
    IF in_guessed THEN
        us := least(us * (2 ^ least(coalesce(gate.refusals, 0), 20))::bigint, greatest(us, most));
    END IF;
    ends := moment + us * interval '1 microsecond';
    INSERT INTO lone_gates AS g (key, connection, not_before, reason, announced_by, refusals)
    VALUES (in_key, in_connection, ends, in_reason, in_call, 1)
    ON CONFLICT (key) DO UPDATE SET
        reason = CASE WHEN ends > g.not_before THEN excluded.reason ELSE g.reason END,
        announced_by = CASE WHEN ends > g.not_before THEN excluded.announced_by ELSE g.announced_by END,
        not_before = greatest(g.not_before, ends),
        refusals = g.refusals + 1
    RETURNING g.not_before INTO gate.not_before;
    INSERT INTO pauses (bucket, call_id, run_id, reason, announced_at, not_before)
    VALUES (in_key, in_call, in_run, in_reason, moment, ends);
    RETURN micros_until(gate.not_before, clock_timestamp());
END $$;
