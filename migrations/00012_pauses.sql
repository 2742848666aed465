-- +goose Up

-- lone_gates: no call before not_before for one alone, such as a consent or an account whose own limit its provider has
-- told. The key begins with the bucket's. Few are closed at a time, and what is over is deleted.
CREATE TABLE lone_gates (
    key          text PRIMARY KEY,
    connection   text        NOT NULL,
    not_before   timestamptz NOT NULL,
    reason       text        NOT NULL,
    announced_by uuid,
    refusals     integer     NOT NULL DEFAULT 0 -- in a row
);

-- A gate's bucket is named by the address it leads to from now on, so that a connection which moves to another one does
-- not inherit what the old one has told. Where a pause was told before, nobody knows from where: it is kept for all.
INSERT INTO lone_gates (key, connection, not_before, reason, announced_by)
SELECT bucket, connection, not_before, reason, announced_by FROM gates WHERE not_before > clock_timestamp();

-- ended_at: when an operator ended the pause before its time, and why.
ALTER TABLE pauses ADD COLUMN ended_at timestamptz, ADD COLUMN ended_reason text;

-- close_lone_gate closes a gate of one alone and writes the pause down, both with one end, and says for how long the gate
-- is closed then. A guessed pause doubles with each refusal in a row, up to a quarter of an hour. The row ends when nothing
-- was refused for an hour.
-- +goose StatementBegin
CREATE FUNCTION close_lone_gate(in_key text, in_connection text, in_us bigint, in_reason text, in_call uuid, in_run bigint,
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
-- +goose StatementEnd

-- admit_asks is admit_calls, as 00014 makes it, for those whose further gates are open; in_gates has their keys, one a line.
-- The others are told which one is closed, and nothing is reserved for them. While no such gate is closed it is
-- admit_calls alone.
-- +goose StatementBegin
CREATE FUNCTION admit_asks(in_connection text[], in_bucket text[], in_interval_us bigint[], in_opening boolean[],
    in_batch bigint[], in_fence bigint[], in_consent bigint[], in_call uuid[], in_needs text[],
    in_probe_us bigint[], in_once boolean[], in_gates text[])
RETURNS TABLE (place integer, refusal text, reason text, gate_us bigint, send_us bigint, moment_us bigint,
    probe boolean, awaits boolean, closed text)
LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan SET jit = off AS $$
DECLARE
    moment CONSTANT timestamptz := clock_timestamp();
BEGIN
    IF NOT EXISTS (SELECT FROM lone_gates g WHERE g.not_before > moment) THEN
        RETURN QUERY SELECT a.place, a.refusal, a.reason, a.gate_us, a.send_us, a.moment_us, a.probe, a.awaits, ''
            FROM admit_calls(in_connection, in_bucket, in_interval_us, in_opening, in_batch, in_fence, in_consent, in_call,
                in_needs, in_probe_us, in_once) a;
        RETURN;
    END IF;
    RETURN QUERY
    WITH asked AS MATERIALIZED (
        SELECT u.* FROM unnest(in_connection, in_bucket, in_interval_us, in_opening, in_batch, in_fence, in_consent, in_call,
            in_needs, in_probe_us, in_once, in_gates) WITH ORDINALITY
            AS u (connection, bucket, interval_us, opening, batch, fence, consent, call, needs, probe_us, once, gates, place)
    ), shut AS MATERIALIZED (
        SELECT DISTINCT ON (u.place) u.place, g.key, g.not_before, g.reason
        FROM asked u CROSS JOIN LATERAL unnest(string_to_array(u.gates, E'\n')) AS k (key)
        JOIN lone_gates g ON g.key = k.key
        WHERE g.not_before > moment
        ORDER BY u.place, g.not_before DESC
    ), others AS MATERIALIZED (
        SELECT u.*, row_number() OVER (ORDER BY u.place) AS nth
        FROM asked u WHERE NOT EXISTS (SELECT FROM shut s WHERE s.place = u.place)
    ), together AS MATERIALIZED (
        SELECT array_agg(o.connection ORDER BY o.nth) AS connection, array_agg(o.bucket ORDER BY o.nth) AS bucket,
            array_agg(o.interval_us ORDER BY o.nth) AS interval_us, array_agg(o.opening ORDER BY o.nth) AS opening,
            array_agg(o.batch ORDER BY o.nth) AS batch, array_agg(o.fence ORDER BY o.nth) AS fence,
            array_agg(o.consent ORDER BY o.nth) AS consent, array_agg(o.call ORDER BY o.nth) AS call,
            array_agg(o.needs ORDER BY o.nth) AS needs, array_agg(o.probe_us ORDER BY o.nth) AS probe_us,
            array_agg(o.once ORDER BY o.nth) AS once
        FROM others o
    ), admitted AS MATERIALIZED (
        SELECT a.* FROM together t, admit_calls(t.connection, t.bucket, t.interval_us, t.opening, t.batch, t.fence, t.consent,
            t.call, t.needs, t.probe_us, t.once) a
    )
    SELECT o.place::integer, a.refusal, a.reason, a.gate_us, a.send_us, a.moment_us, a.probe, a.awaits, ''
    FROM admitted a JOIN others o ON o.nth = a.place
    UNION ALL
    SELECT s.place::integer, NULL, s.reason, micros_until(s.not_before, moment), 0,
        (extract(epoch FROM moment) * 1000000)::bigint, false, false, s.key
    FROM shut s;
END $$;
-- +goose StatementEnd
