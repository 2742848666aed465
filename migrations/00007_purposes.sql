-- +goose Up

-- purposes: what the data of a run is for, from its job. Empty: the job does not say, and any consent will do.
ALTER TABLE runs ADD COLUMN purposes text[] NOT NULL DEFAULT '{}';

-- serves says whether a consent may be used for one of the purposes. A consent that names none was given for nothing
-- that can be shown, so a job that says what it is for does not use it.
CREATE FUNCTION serves(purpose text, purposes text[]) RETURNS boolean LANGUAGE sql IMMUTABLE
    RETURN cardinality(purposes) = 0 OR purpose = ANY (purposes);

-- admit_calls is as in 00003, and further refuses a call of a run for a consent that was not given for its purposes.
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION admit_calls(in_connection text[], in_bucket text[], in_interval_us bigint[], in_opening boolean[],
    in_batch bigint[], in_fence bigint[], in_consent bigint[], in_call uuid[], in_needs text[])
RETURNS TABLE (place integer, refusal text, reason text, gate_us bigint, send_us bigint, moment_us bigint)
LANGUAGE plpgsql SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
    SET plan_cache_mode = force_generic_plan SET jit = off AS $$
DECLARE
    ask    record;
    gate   gates%ROWTYPE;  -- the one that is locked
    moment timestamptz;
    slot   timestamptz;
    closed timestamptz;
    day    CONSTANT interval := '24 hours 10 seconds';
BEGIN
    IF true = ANY (in_opening) THEN
        PERFORM FROM consents c WHERE c.reads_per_day IS NOT NULL AND c.id IN
            (SELECT u.id FROM unnest(in_consent, in_opening) AS u (id, opening) WHERE u.opening)
        ORDER BY c.id FOR NO KEY UPDATE;
    END IF;
    FOR ask IN
        SELECT u.*, b.fence AS has_fence, b.state, n.parked_reason, c.status, c.valid_from, c.valid_until, c.scopes,
            c.purpose, r.purposes, c.reads_per_day, g.not_before, g.reason AS gate_reason
        FROM unnest(in_connection, in_bucket, in_interval_us, in_opening, in_batch, in_fence, in_consent, in_call, in_needs)
            WITH ORDINALITY AS u (connection, bucket, interval_us, opening, batch, fence, consent, call, needs, place)
        LEFT JOIN connections n ON n.name = u.connection
        LEFT JOIN batches b ON b.id = u.batch
        LEFT JOIN runs r ON r.id = b.run_id
        LEFT JOIN consents c ON c.id = u.consent
        LEFT JOIN gates g ON g.bucket = u.bucket
        ORDER BY u.bucket, u.place
    LOOP
        place := ask.place; refusal := NULL; reason := NULL; gate_us := 0; send_us := 0;
        moment := clock_timestamp();
        IF ask.batch IS NOT NULL AND (ask.has_fence, ask.state) IS DISTINCT FROM (ask.fence, 'working') THEN
            refusal := 'fenced';
            reason := 'the batch has been taken over by another worker';
        ELSIF ask.parked_reason IS NOT NULL THEN
            refusal := 'fatal';
            reason := 'connection ' || ask.connection || ' is parked: ' || ask.parked_reason;
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
        IF refusal IS NULL THEN
            closed := ask.not_before;
            IF ask.interval_us > 0 THEN
                IF gate.bucket IS DISTINCT FROM ask.bucket THEN
                    UPDATE gates g SET next_slot = gate.next_slot, reserved = gate.reserved WHERE g.bucket = gate.bucket;
                    INSERT INTO gates (bucket, connection) VALUES (ask.bucket, ask.connection) ON CONFLICT DO NOTHING;
                    SELECT g.* INTO gate FROM gates g WHERE g.bucket = ask.bucket FOR UPDATE;
                END IF;
                closed := gate.not_before;
                ask.gate_reason := gate.reason;
                moment := clock_timestamp();
            END IF;
            IF closed > moment THEN
                gate_us := micros_until(closed, moment);
                reason := ask.gate_reason;
            ELSE
                slot := moment;
                IF ask.interval_us > 0 THEN
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
        UPDATE gates g SET next_slot = gate.next_slot, reserved = gate.reserved WHERE g.bucket = gate.bucket;
    END IF;
END $$;
-- +goose StatementEnd
