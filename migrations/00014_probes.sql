-- +goose Up

-- refusals: how many in a row the bucket has heard, each of a call that was sent after the gate was closed last.
-- probing: when the gate opens, one call goes alone, and the others wait for what it hears. probe is that call, and
-- probe_until is when another one may take its place.
ALTER TABLE gates ADD COLUMN refusals integer NOT NULL DEFAULT 0;
ALTER TABLE gates ADD COLUMN refused_at timestamptz NOT NULL DEFAULT '-infinity';
ALTER TABLE gates ADD COLUMN probing boolean NOT NULL DEFAULT false;
ALTER TABLE gates ADD COLUMN probe uuid;
ALTER TABLE gates ADD COLUMN probe_until timestamptz NOT NULL DEFAULT '-infinity';

-- park_bucket: the bucket whose closed gate a parked batch waits for; empty: it waits for something else. An answer that
-- ends the refusals of the bucket wakes the batch.
ALTER TABLE batches ADD COLUMN park_bucket text NOT NULL DEFAULT '';

-- close_gate closes a gate and writes the pause down, both with one end, and says for how long the gate is closed then:
-- closing may wait for those who are being admitted, and an end that was reckoned anew after that would lie behind the
-- gate's.
--
-- Slots that were given out before the pause are not taken back: their owners ask for the gate before they send. The
-- next slots begin where the pause ends, else all who wait would be sent at that instant.
--
-- A refusal is counted if its call was sent after the last counted one: those that were on their way together count
-- once. A guessed pause doubles with each, up to a quarter of an hour.
-- +goose StatementBegin
CREATE FUNCTION close_gate(in_bucket text, in_connection text, in_us bigint, in_reason text, in_call uuid, in_run bigint,
    in_refused boolean, in_guessed boolean, in_sent_us bigint)
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
-- +goose StatementEnd

-- admit_calls is as in 00007, and further:
-- It refuses a call that is asked for with credentials that are parked.
-- It holds one whose consent or account is to wait alone: in_gates has the keys of its lone gates, one a line, and closed
-- is the one that is closed; empty: the bucket's own. Nothing is reserved for it.
-- It lets one call through where a bucket was refused: see gates.probing. A call that may not probe, because it only looks
-- or is asked for a single-use consent, waits; the latter no longer than a minute, since there may be nobody else. awaits
-- says that the gate is closed for what another call hears, for a second at most: then the caller asks again.
DROP FUNCTION admit_calls(text[], text[], bigint[], boolean[], bigint[], bigint[], bigint[], uuid[], text[]);

-- +goose StatementBegin
CREATE FUNCTION admit_calls(in_connection text[], in_bucket text[], in_interval_us bigint[], in_opening boolean[],
    in_batch bigint[], in_fence bigint[], in_consent bigint[], in_call uuid[], in_needs text[],
    in_probe_us bigint[], in_once boolean[], in_gates text[], in_credentials text[])
RETURNS TABLE (place integer, refusal text, reason text, gate_us bigint, send_us bigint, moment_us bigint,
    probe boolean, awaits boolean, closed text)
LANGUAGE plpgsql SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
    SET plan_cache_mode = force_generic_plan SET jit = off AS $$
DECLARE
    ask    record;
    gate   gates%ROWTYPE;  -- the one that is locked
    moment timestamptz;
    slot   timestamptz;
    shut   timestamptz;
    paced  boolean;
    day    CONSTANT interval := '24 hours 10 seconds';
BEGIN
    IF true = ANY (in_opening) THEN
        PERFORM FROM consents c WHERE c.reads_per_day IS NOT NULL AND c.id IN
            (SELECT u.id FROM unnest(in_consent, in_opening) AS u (id, opening) WHERE u.opening)
        ORDER BY c.id FOR NO KEY UPDATE;
    END IF;
    FOR ask IN
        SELECT u.*, b.fence AS has_fence, b.state, n.parked_reason, c.status, c.valid_from, c.valid_until, c.scopes,
            c.purpose, r.purposes, c.reads_per_day, g.not_before, g.reason AS gate_reason,
            coalesce(g.probing, false) AS probing, g.probe AS prober, g.probe_until,
            p.reason AS credentials_reason, l.key AS lone_key, l.not_before AS lone_until, l.reason AS lone_reason
        FROM unnest(in_connection, in_bucket, in_interval_us, in_opening, in_batch, in_fence, in_consent, in_call, in_needs,
                in_probe_us, in_once, in_gates, in_credentials)
            WITH ORDINALITY AS u (connection, bucket, interval_us, opening, batch, fence, consent, call, needs,
                probe_us, once, lone, credentials, place)
        LEFT JOIN connections n ON n.name = u.connection
        LEFT JOIN batches b ON b.id = u.batch
        LEFT JOIN runs r ON r.id = b.run_id
        LEFT JOIN consents c ON c.id = u.consent
        LEFT JOIN gates g ON g.bucket = u.bucket
        LEFT JOIN credential_parks p ON p.connection = u.connection AND p.credentials = u.credentials
        LEFT JOIN LATERAL (
            SELECT o.* FROM lone_gates o
            WHERE o.key = ANY (string_to_array(u.lone, E'\n')) AND o.not_before > clock_timestamp()
            ORDER BY o.not_before DESC
            LIMIT 1
        ) l ON true
        ORDER BY u.bucket, u.place
    LOOP
        place := ask.place; refusal := NULL; reason := NULL; gate_us := 0; send_us := 0;
        probe := false; awaits := false; closed := '';
        moment := clock_timestamp();
        IF ask.batch IS NOT NULL AND (ask.has_fence, ask.state) IS DISTINCT FROM (ask.fence, 'working') THEN
            refusal := 'fenced';
            reason := 'the batch has been taken over by another worker';
        ELSIF ask.parked_reason IS NOT NULL THEN
            refusal := 'fatal';
            reason := 'connection ' || ask.connection || ' is parked: ' || ask.parked_reason;
        ELSIF ask.credentials_reason IS NOT NULL THEN
            refusal := 'fatal';
            reason := 'connection ' || ask.connection || ' is parked for these credentials: ' || ask.credentials_reason;
        ELSIF ask.consent IS NOT NULL THEN
            reason := CASE
                WHEN ask.status IS NULL THEN 'consent not known'
                WHEN ask.status <> 'active' THEN 'consent ended: ' || ask.status
                WHEN ask.valid_until <= moment THEN 'consent ended: expired'
                WHEN ask.valid_from > moment THEN 'consent not valid yet: from ' || utc(ask.valid_from)
                WHEN ask.needs <> '' AND cardinality(ask.scopes) > 0 AND NOT scopes_cover(ask.scopes, string_to_array(ask.needs, ' '))
                    THEN 'consent does not cover this: it has no scope ' || replace(ask.needs, ' ', ' or ')
                WHEN ask.batch IS NOT NULL AND NOT serves(ask.purpose, ask.purposes)
                    THEN 'consent was not given for this: its purpose is ' || coalesce(nullif(ask.purpose, ''), 'not known')
                        || ', the job''s ' || array_to_string(ask.purposes, ' or ') END;
            IF reason IS NULL AND ask.opening AND ask.reads_per_day IS NOT NULL THEN
                SELECT 'daily reads spent: next at ' || utc(r.at + day) INTO reason
                FROM consent_reads r WHERE r.consent_id = ask.consent AND r.at > moment - day
                ORDER BY r.at DESC OFFSET ask.reads_per_day - 1 LIMIT 1;
            END IF;
            IF reason IS NOT NULL THEN refusal := 'refused'; END IF;
        END IF;
        IF refusal IS NULL AND ask.lone_key IS NOT NULL THEN
            gate_us := micros_until(ask.lone_until, moment);
            reason := ask.lone_reason;
            closed := ask.lone_key;
        ELSIF refusal IS NULL THEN
            shut := ask.not_before;
            paced := ask.interval_us > 0;
            IF paced OR ask.probing AND ask.probe_us > 0 THEN
                IF gate.bucket IS DISTINCT FROM ask.bucket THEN
                    UPDATE gates g SET next_slot = gate.next_slot, reserved = gate.reserved,
                        probe = gate.probe, probe_until = gate.probe_until
                    WHERE g.bucket = gate.bucket;
                    INSERT INTO gates (bucket, connection) VALUES (ask.bucket, ask.connection) ON CONFLICT DO NOTHING;
                    SELECT g.* INTO gate FROM gates g WHERE g.bucket = ask.bucket FOR UPDATE;
                END IF;
                shut := gate.not_before;
                ask.gate_reason := gate.reason;
                ask.probing := gate.probing;
                ask.prober := gate.probe;
                ask.probe_until := gate.probe_until;
                moment := clock_timestamp();
            END IF;
            probe := ask.probing AND shut <= moment AND ask.prober IS NOT DISTINCT FROM ask.call;
            IF ask.probing AND shut <= moment AND NOT probe THEN
                awaits := ask.probe_us = 0 OR ask.probe_until > moment
                    OR ask.once AND shut > moment - interval '1 minute';
                IF awaits THEN
                    shut := least(greatest(ask.probe_until, moment + interval '10 milliseconds'), moment + interval '1 second');
                ELSE
                    probe := true;
                    gate.probe := ask.call;
                    gate.probe_until := moment + ask.probe_us * interval '1 microsecond';
                END IF;
            END IF;
            IF shut > moment THEN
                gate_us := micros_until(shut, moment);
                reason := ask.gate_reason;
            ELSE
                slot := moment;
                IF paced THEN
                    slot := greatest(moment, gate.next_slot);
                    gate.next_slot := slot + ask.interval_us * interval '1 microsecond';
                    gate.reserved := gate.reserved + 1;
                END IF;
                send_us := micros_until(slot, moment);
                IF ask.opening AND ask.reads_per_day IS NOT NULL THEN
                    DELETE FROM consent_reads r WHERE r.consent_id = ask.consent AND r.at < moment - 2 * day;
                    INSERT INTO consent_reads (consent_id, at, call_id) VALUES (ask.consent, slot, ask.call);
                END IF;
            END IF;
        END IF;
        moment_us := (extract(epoch FROM moment) * 1000000)::bigint;
        RETURN NEXT;
    END LOOP;
    IF gate.bucket IS NOT NULL THEN
        UPDATE gates g SET next_slot = gate.next_slot, reserved = gate.reserved,
            probe = gate.probe, probe_until = gate.probe_until
        WHERE g.bucket = gate.bucket;
    END IF;
END $$;
-- +goose StatementEnd
