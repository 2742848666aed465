-- +goose Up

-- A read is spent for a call, so that it can be given back when nothing was sent after all.
ALTER TABLE consent_reads ADD COLUMN call_id uuid;

-- Consents that end soon: what is listed for people, and pulled for the last time.
CREATE INDEX consents_ending ON consents (connection, valid_until) WHERE status = 'active' AND valid_until IS NOT NULL;

-- When events of a feed were lost, the status of every active consent is asked. statuses_since: since when that is
-- due; what was asked later counts, so that an interrupted round goes on where it was. statuses_by asks them until
-- statuses_until, so that replicas do not all ask the same.
ALTER TABLE connections ADD COLUMN statuses_since timestamptz;
ALTER TABLE connections ADD COLUMN statuses_by uuid;
ALTER TABLE connections ADD COLUMN statuses_until timestamptz NOT NULL DEFAULT '-infinity';
ALTER TABLE consents ADD COLUMN status_asked_at timestamptz;

-- A final run pulls consents for the last time before they end.
ALTER TABLE runs DROP CONSTRAINT runs_kind_check;
ALTER TABLE runs ADD CONSTRAINT runs_kind_check CHECK (kind IN ('scheduled', 'manual', 'rerun', 'backfill', 'final'));

-- final_pulls: the run that pulls a consent for the last time before that end. The key is what keeps replicas, and
-- clocks that differ or are changed, from making two of it; a consent that is prolonged has another end.
CREATE TABLE final_pulls (
    job         text        NOT NULL,
    consent_id  bigint      NOT NULL REFERENCES consents,
    valid_until timestamptz NOT NULL,
    run_id      bigint      NOT NULL REFERENCES runs,
    planned_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (job, consent_id, valid_until)
);
CREATE INDEX final_pulls_run ON final_pulls (run_id);

-- scopes_cover says whether one of the scopes is one that is needed. A number at a scope's end is how many days it was
-- given for (debt.unsecured.presentation.50).
CREATE FUNCTION scopes_cover(scopes text[], needs text[]) RETURNS boolean LANGUAGE sql IMMUTABLE
    RETURN EXISTS (SELECT FROM unnest(scopes) AS s (scope)
        WHERE s.scope = ANY (needs) OR regexp_replace(s.scope, '\.[0-9]+$', '') = ANY (needs));

-- admit_calls is as in 00001, and further
--
-- - refuses a call that needs a scope when the consent names scopes and none of them is it. needs are words with spaces
--   between them, any of which is enough.
-- - writes down which call a read was spent for, and forgets reads that no longer count.
-- - counts the reads of a little more than 24 hours: a call is sent some seconds after its slot, or less, so two sends
--   may be nearer to each other than their slots are.
--
-- - has its plans made once for any arrays. Left to choose, the planner finds a plan for the arrays at hand a little
--   cheaper and plans anew each time, which is three times the work of the question itself.
--
-- To look again shortly before the send, ask without a rate and without opening: nothing is reserved or written.
DROP FUNCTION admit_calls(text[], text[], bigint[], boolean[], bigint[], bigint[], bigint[]);
-- +goose StatementBegin
CREATE FUNCTION admit_calls(in_connection text[], in_bucket text[], in_interval_us bigint[], in_opening boolean[],
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
            c.reads_per_day, g.not_before, g.reason AS gate_reason
        FROM unnest(in_connection, in_bucket, in_interval_us, in_opening, in_batch, in_fence, in_consent, in_call, in_needs)
            WITH ORDINALITY AS u (connection, bucket, interval_us, opening, batch, fence, consent, call, needs, place)
        LEFT JOIN connections n ON n.name = u.connection
        LEFT JOIN batches b ON b.id = u.batch
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
                    THEN 'consent does not cover this: it has no scope ' || replace(ask.needs, ' ', ' or ') END;
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
