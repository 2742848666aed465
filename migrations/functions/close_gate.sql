-- close_gate closes a gate and writes the pause down, both with one end, and says for how long the gate is closed then:
-- closing may wait for those who are being admitted, and an end that was reckoned anew after that would lie behind the
-- gate's.
--
-- Slots that were given out before the pause are not taken back: their owners ask for the gate before they send. The
-- next slots begin where the pause ends, else all who wait would be sent at that instant.
--
-- A refusal is counted if its call was sent after the last counted one: those that were on their way together count
-- once. A guessed pause doubles with each, up to a quarter of an hour.
CREATE OR REPLACE FUNCTION close_gate(
    in_bucket text,
    in_connection text,
    in_us bigint,
    in_reason text,
    in_call uuid,
    in_run bigint,
    in_refused boolean,
    in_guessed boolean,
    in_sent_us bigint)
RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    moment  CONSTANT timestamptz := clock_timestamp();
    gate    gates%ROWTYPE;
    us      bigint := in_us;
    ends    timestamptz;
    counted boolean;
    most    CONSTANT bigint := 900000000; -- a quarter of an hour
BEGIN
    INSERT INTO gates (bucket, connection) VALUES (in_bucket, in_connection) ON CONFLICT DO NOTHING;
    SELECT g.* INTO gate FROM gates g WHERE g.bucket = in_bucket FOR UPDATE;
    counted := in_refused AND moment - in_sent_us * interval '1 microsecond' > gate.refused_at;
    IF in_guessed AND NOT counted THEN
        RETURN greatest(micros_until(gate.not_before, moment), 0);
    END IF;
    IF in_guessed THEN
        us := least(us * (2 ^ least(gate.refusals, 20))::bigint, greatest(us, most));
    END IF;
    ends := moment + us * interval '1 microsecond';
    UPDATE gates g SET
        reason = CASE WHEN ends > g.not_before THEN in_reason ELSE g.reason END,
        announced_by = CASE WHEN ends > g.not_before THEN in_call ELSE g.announced_by END,
        not_before = greatest(g.not_before, ends),
        next_slot = greatest(g.next_slot, ends)
    WHERE g.bucket = in_bucket
    RETURNING g.not_before INTO gate.not_before;
    IF counted THEN
        UPDATE gates g SET
            refusals = g.refusals + 1,
            refused_at = moment,
            probing = in_guessed OR g.refusals > 0,
            probe = NULL,
            probe_until = '-infinity'
        WHERE g.bucket = in_bucket;
    END IF;
    INSERT INTO pauses (bucket, call_id, run_id, reason, announced_at, not_before)
    VALUES (in_bucket, in_call, in_run, in_reason, moment, ends);
    RETURN greatest(micros_until(gate.not_before, clock_timestamp()), 0);
END $$;
