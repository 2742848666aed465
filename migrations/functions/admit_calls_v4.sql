-- admit_calls_v4 answers, for each call that somebody is about to make, whether it may be made and when,
-- and reserves its slot. Each array has one element for each call, and place numbers the answers like the
-- calls.
--
-- A refusal is a code, and told has the words that a sentence about it needs. A positive gate_us says that a gate is
-- closed for so long. closed is the key of the one that holds up this consent or account alone, empty: it is the bucket's.
-- gate_code says why it is closed: pause, for the words in reason that the provider or an operator gave; quota, told has
-- the calls of the day and until when. Otherwise the call may be sent after send_us. Both count from moment_us, a time of the database's clock, because the answer may
-- be on its way for a while.
--
-- The refusals, by the first rule that refuses, and what is told:
--  fenced       the batch has been taken over by another worker
--  parked       the connection is parked: why
--  credentials  the connection is parked for these credentials: why
--  unknown, renewed, scope, expired  of consent_refusal
--  ended        the consent's status
--  suspected    until when it is not called, and why
--  not_yet      from when it is valid
--  purpose      the consent's, and then those of the run
--  spent        the consent has no read of the day left: when the next comes back
--  reserved     what is left of its reads is for runs that are no backfills: its reads a day
--  restored     the database is a restored copy, and the consent has one call, or a few a day (is_restored)
--
-- What is asked:
-- - in_interval_us is the time between two slots of the bucket as the caller's configuration has it; 0: it has no
--   rate there. A longer one that a living worker's configuration names holds (worker_rates). -1: the caller only
--   looks, as it does again shortly before the send, without opening: nothing is reserved or written.
-- - in_opening: the call spends one of the consent's reads of the day. The reads of a little more than 24 hours count:
--   a call is sent up to some seconds after its slot, so two sends may be nearer to each other than their slots are.
--   A backfill (runs.window_from) leaves runs.leaves_reads of them to other runs, less what these have had already.
-- - in_needs are scopes with spaces between them. A consent that names scopes must name one of them.
-- - in_gates are the keys of the gates of one consent or account alone that hold up the call, one a line.
-- - in_credentials: a call with parked credentials is refused.
-- - a call of a batch for a suspected consent is refused before the consent's time. One for its status is not.
-- - in_probe_us is for how long the call may probe: where a bucket was refused (gates.probing), one call goes alone and
--   the others wait for what it hears. 0: it only looks, so it may not probe. A call of a single-use consent (in_once)
--   may not probe either; it waits for a probe no longer than a minute, since there may be nobody else.
--   awaits says that the gate is closed for what another call hears, for a second at most: then the caller asks again.
-- - in_per_day is the quota of the bucket as the caller's configuration has it, and in_turns are the resets around
--   now; see on_day. 0: it has none there. A lower one that a living worker's configuration names holds
--   (worker_quotas). The call takes one of the day, which day_us names by its end; in a day that has begun it does so
--   without a quota too, since there may be one again before it ends. in_day_us is the day in which its asker has
--   taken one before, for a call that was not sent: it takes none in that day. Who only looks takes nothing; a call
--   whose day has ended, or which has taken none before a worker named a quota, is to be asked for anew, as if it
--   awaited something.
-- - in_external is the id of the consent at its provider that the call carries. Where the consent goes on under
--   another one the call is refused as renewed. Null or empty: it is not asked.
--
-- What holds longer than a moment is told too: ends_us is how long the consent is valid yet, and the day goes
-- on of whose quota the call is one (0: without an end), and pace_us the time between two slots now (0: none).
-- A caller whose slot was reserved at a shorter one gives it up.
--
-- Locks are taken in one order, consents by id and then gates by bucket, so that two crowds never deadlock.
-- A gate is locked once for the crowd and written once, so that no slot is given twice and the row has one
-- new version, not one for each call. A call without rate and without budget writes nothing.
--
-- Plans are kept for the life of a connection and may have been made while the tables were empty: that must
-- not leave a sequential scan in them. They are made once for any arrays: left to choose, the planner finds
-- a plan for the arrays at hand a little cheaper and plans anew each time, which is three times the work of
-- the question itself. A plan is set up for each crowd all the same, and every table and column in it costs
-- something in every join. So what the callers ask is taken from the arrays; the joins carry only what the
-- tables know. What is rare, such as a gate of one consent alone, is looked for once a crowd, and call by call
-- only where there is any. The limits of others are read once a connection: a crowd's calls are over few.
CREATE OR REPLACE FUNCTION admit_calls_v4(
    in_connection text[],
    in_bucket text[],
    in_interval_us bigint[],
    in_opening boolean[],
    in_batch bigint[],
    in_fence bigint[],
    in_consent bigint[],
    in_call uuid[],
    in_needs text[],
    in_probe_us bigint[],
    in_once boolean[],
    in_gates text[],
    in_credentials text[],
    in_per_day bigint[],
    in_turns text[],
    in_day_us bigint[],
    in_external text[])
RETURNS TABLE (place integer, refusal text, told text[], reason text, gate_us bigint, send_us bigint, moment_us bigint,
    probe boolean, awaits boolean, closed text, ends_us bigint, pace_us bigint,
    day_us bigint, gate_code text)
LANGUAGE plpgsql SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
    SET plan_cache_mode = force_generic_plan SET jit = off AS $$
DECLARE
    ask    record;
    gate   gates%ROWTYPE;  -- the one that is locked
    lone   lone_gates%ROWTYPE;  -- of this consent or account alone, the one that is closed longest
    limits_of   text;    -- a connection, for which living workers' configurations name:
    slowest_us  bigint;  -- the longest time between two slots
    named       bigint;  -- the lowest quota of a day
    named_turns text;    -- its resets
    moment timestamptz;
    slot   timestamptz;
    shut   timestamptz;
    most   bigint;   -- the quota of the day; null: none
    turns  text;     -- its resets
    paced  boolean;
    looks  boolean;
    counts boolean;  -- the call takes one of the day's quota
    used_up boolean; -- the gate is closed for the day's quota
    probes boolean;  -- the call may be the one that goes alone
    opens  boolean;  -- the gate is open, but for the others' probe
    ends   timestamptz;
    copied boolean;  -- the database is a restored copy; null: not asked yet
    budgeted boolean := false; -- a call spends a read of a consent's day
    plain  integer;  -- how many of the calls are plain
    ends_of bigint[]; -- how long their consents hold yet, by place
    day    CONSTANT interval := '24 hours 10 seconds';
BEGIN
    IF true = ANY (in_opening) THEN
        PERFORM FROM consents c WHERE c.reads_per_day IS NOT NULL AND c.id IN
            (SELECT u.id FROM unnest(in_consent, in_opening) AS u (id, opening) WHERE u.opening)
        ORDER BY c.id FOR NO KEY UPDATE;
        budgeted := FOUND;
    END IF;
    -- Most calls of a night are plain: there is nothing to reserve, and nothing in their way. They are answered together, without
    -- a look at each. As soon as one of the crowd is not, all are looked at below. The joins are outer ones here too: inner ones the
    -- planner would put into an order of its own.
    IF NOT budgeted
        AND 0 >= ALL (in_interval_us)
        AND 0 = ALL (in_per_day)
        AND 0 = ALL (in_day_us)
        AND false = ALL (in_once)
        AND array_position(in_batch, NULL) IS NULL
        AND array_position(in_consent, NULL) IS NULL THEN
        moment := clock_timestamp();
        SELECT count(*), array_agg(CASE WHEN c.valid_until IS NULL THEN 0 ELSE micros_until(c.valid_until, moment) END ORDER BY u.place)
        INTO plain, ends_of
        FROM unnest(in_connection, in_bucket, in_batch, in_fence, in_consent, in_credentials, in_needs, in_external)
            WITH ORDINALITY AS u (connection, bucket, batch, fence, consent, credentials, needs, called_as, place)
        LEFT JOIN batches b ON b.id = u.batch
        LEFT JOIN runs r ON r.id = b.run_id
        LEFT JOIN consents c ON c.id = u.consent
        LEFT JOIN connections n ON n.name = u.connection
        LEFT JOIN gates g ON g.bucket = u.bucket
        LEFT JOIN credential_parks p ON p.connection = u.connection AND p.credentials = u.credentials
        WHERE (b.fence, b.state) IS NOT DISTINCT FROM (u.fence, 'working')
            AND c.reads_per_day IS NULL
            AND n.parked_reason IS NULL
            AND p.reason IS NULL
            AND consent_refusal(
                status => c.status,
                suspected_until => c.suspected_until,
                moment => moment,
                valid_from => c.valid_from,
                valid_until => c.valid_until,
                scopes => c.scopes,
                purpose => c.purpose,
                external_id => c.external_id,
                called_as => u.called_as,
                needs => u.needs,
                purposes => r.purposes) IS NULL
            AND NOT coalesce(g.probing, false)
            AND coalesce(g.not_before <= moment, true)
            AND coalesce(g.day_ends <= moment, true)
            AND NOT EXISTS (SELECT FROM worker_rates o WHERE o.connection = ANY (in_connection))
            AND NOT EXISTS (SELECT FROM worker_quotas o WHERE o.connection = ANY (in_connection))
            AND NOT EXISTS (
                SELECT FROM lone_gates o
                WHERE o.key = ANY (string_to_array(array_to_string(in_gates, E'\n'), E'\n'))
                AND o.not_before > moment
            );
        IF plain = cardinality(in_connection) THEN
            RETURN QUERY SELECT e.place::integer, NULL::text, NULL::text[], NULL::text, 0::bigint, 0::bigint,
                (extract(epoch FROM moment) * 1000000)::bigint, false, false, '', e.ends, 0::bigint, 0::bigint, NULL::text
            FROM unnest(ends_of) WITH ORDINALITY AS e (ends, place);
            RETURN;
        END IF;
    END IF;
    FOR ask IN
        SELECT u.place, b.fence AS has_fence, b.state, n.parked_reason, c.status, c.external_id, c.suspected_until,
            c.suspected_reason, c.valid_from, c.valid_until, c.scopes,
            c.purpose, r.purposes, c.reads_per_day, g.not_before, g.reason AS gate_reason,
            r.leaves_reads, r.window_from IS NOT NULL AS backfill,
            coalesce(g.probing, false) AS probing, g.probe AS prober, g.probe_until,
            g.day_calls, g.day_ends,
            p.reason AS credentials_reason,
            EXISTS (SELECT FROM worker_rates o WHERE o.connection = ANY (in_connection)) AS rates,
            EXISTS (SELECT FROM worker_quotas o WHERE o.connection = ANY (in_connection)) AS quotas,
            EXISTS (
                SELECT FROM lone_gates o
                WHERE o.key = ANY (string_to_array(array_to_string(in_gates, E'\n'), E'\n'))
                AND o.not_before > clock_timestamp()
            ) AS lone
        FROM unnest(in_connection, in_bucket, in_batch, in_consent, in_credentials)
            WITH ORDINALITY AS u (connection, bucket, batch, consent, credentials, place)
        LEFT JOIN connections n ON n.name = u.connection
        LEFT JOIN batches b ON b.id = u.batch
        LEFT JOIN runs r ON r.id = b.run_id
        LEFT JOIN consents c ON c.id = u.consent
        LEFT JOIN gates g ON g.bucket = u.bucket
        LEFT JOIN credential_parks p ON p.connection = u.connection AND p.credentials = u.credentials
        ORDER BY u.bucket, u.place
    LOOP
        place := ask.place;
        refusal := NULL;
        told := NULL;
        reason := NULL;
        gate_us := 0;
        gate_code := NULL;
        closed := '';
        send_us := 0;
        probe := false;
        awaits := false;
        ends_us := 0;
        IF limits_of IS DISTINCT FROM in_connection[place] THEN
            limits_of := in_connection[place];
            IF ask.rates THEN
                SELECT max(o.interval_us) INTO slowest_us
                FROM worker_rates o
                JOIN workers w ON w.id = o.worker_id
                WHERE o.connection = limits_of AND w.expires_at > clock_timestamp();
            END IF;
            IF ask.quotas THEN
                SELECT o.per_day, o.turns INTO named, named_turns
                FROM worker_quotas o
                JOIN workers w ON w.id = o.worker_id
                WHERE o.connection = limits_of AND w.expires_at > clock_timestamp()
                ORDER BY o.per_day
                LIMIT 1;
            END IF;
        END IF;
        IF ask.lone THEN
            SELECT o.* INTO lone
            FROM lone_gates o
            WHERE o.key = ANY (string_to_array(in_gates[place], E'\n')) AND o.not_before > clock_timestamp()
            ORDER BY o.not_before DESC
            LIMIT 1;
        END IF;
        pace_us := greatest(in_interval_us[place], slowest_us, 0);
        day_us := 0;
        most := least(nullif(in_per_day[place], 0), named);
        turns := coalesce(nullif(in_turns[place], ''), named_turns);
        moment := clock_timestamp();
        IF in_batch[place] IS NOT NULL
            AND (ask.has_fence, ask.state) IS DISTINCT FROM (in_fence[place], 'working') THEN
            refusal := 'fenced';
        ELSIF ask.parked_reason IS NOT NULL THEN
            refusal := 'parked';
            told := ARRAY[ask.parked_reason];
        ELSIF ask.credentials_reason IS NOT NULL THEN
            refusal := 'credentials';
            told := ARRAY[ask.credentials_reason];
        ELSIF in_consent[place] IS NOT NULL THEN
            refusal := consent_refusal(
                status => ask.status,
                suspected_until => ask.suspected_until,
                moment => moment,
                valid_from => ask.valid_from,
                valid_until => ask.valid_until,
                scopes => ask.scopes,
                purpose => ask.purpose,
                external_id => ask.external_id,
                called_as => in_external[place],
                needs => in_needs[place],
                purposes => ask.purposes,
                of_run => in_batch[place] IS NOT NULL);
            IF refusal IS NOT NULL THEN
                told := CASE refusal
                    WHEN 'ended' THEN ARRAY[ask.status]
                    WHEN 'suspected' THEN ARRAY[utc(ask.suspected_until), coalesce(ask.suspected_reason, '')]
                    WHEN 'not_yet' THEN ARRAY[utc(ask.valid_from)]
                    WHEN 'purpose' THEN ask.purpose || ask.purposes
                END;
            ELSIF in_opening[place] AND ask.reads_per_day IS NOT NULL THEN
                SELECT 'spent', ARRAY[utc(r.at + day)] INTO refusal, told
                FROM consent_reads r
                WHERE r.consent_id = in_consent[place] AND r.at > moment - day
                ORDER BY r.at DESC
                OFFSET ask.reads_per_day - 1
                LIMIT 1;
                IF refusal IS NULL AND ask.leaves_reads > 0 THEN
                    SELECT 'reserved', ARRAY[ask.reads_per_day::text] INTO refusal, told
                    FROM consent_reads r
                    WHERE r.consent_id = in_consent[place] AND r.at > moment - day
                    HAVING count(*) + greatest(0, ask.leaves_reads - count(*) FILTER (WHERE NOT r.backfill))
                        >= ask.reads_per_day;
                END IF;
            END IF;
        END IF;
        IF refusal IS NULL AND (in_once[place] OR in_opening[place] AND ask.reads_per_day IS NOT NULL) THEN
            copied := coalesce(copied, is_restored(), false);
            IF copied THEN
                refusal := 'restored';
            END IF;
        END IF;
        IF refusal IS NULL AND lone.key IS NOT NULL THEN
            gate_us := micros_until(lone.not_before, moment);
            reason := lone.reason;
            gate_code := 'pause';
            closed := lone.key;
        ELSIF refusal IS NULL THEN
            shut := ask.not_before;
            used_up := false;
            looks := in_interval_us[place] < 0;
            paced := NOT looks AND pace_us > 0;
            counts := NOT looks
                AND (turns IS NOT NULL OR coalesce(ask.day_ends > moment, false));
            probes := ask.probing AND in_probe_us[place] > 0;
            IF paced OR counts OR probes THEN
                IF gate.bucket IS DISTINCT FROM in_bucket[place] THEN
                    IF gate.bucket IS NOT NULL THEN
                        PERFORM keep_gate(gate);
                    END IF;
                    INSERT INTO gates (bucket, connection)
                    VALUES (in_bucket[place], in_connection[place])
                    ON CONFLICT DO NOTHING;
                    SELECT g.* INTO gate FROM gates g WHERE g.bucket = in_bucket[place] FOR UPDATE;
                END IF;
                shut := gate.not_before;
                ask.gate_reason := gate.reason;
                ask.probing := gate.probing;
                ask.prober := gate.probe;
                ask.probe_until := gate.probe_until;
                moment := clock_timestamp();
                IF NOT looks AND turns IS NOT NULL THEN
                    gate := on_day(gate, turns, moment);
                END IF;
                IF NOT looks AND gate.day_ends > moment THEN
                    day_us := (extract(epoch FROM gate.day_ends) * 1000000)::bigint;
                END IF;
                ask.day_calls := gate.day_calls;
                ask.day_ends := gate.day_ends;
            END IF;
            counts := day_us > 0 AND day_us IS DISTINCT FROM in_day_us[place];
            IF looks AND in_day_us[place] > 0 THEN
                awaits := in_day_us[place] <= (extract(epoch FROM moment) * 1000000)::bigint;
            ELSIF (counts OR looks AND in_day_us[place] = 0) AND ask.day_calls >= most
                AND ask.day_ends > moment AND ask.day_ends > coalesce(shut, '-infinity') THEN
                shut := ask.day_ends;
                used_up := true;
            ELSIF looks AND in_day_us[place] = 0 AND in_per_day[place] = 0 AND named > 0 THEN
                awaits := coalesce(shut, '-infinity') <= moment;
            END IF;
            IF awaits THEN
                shut := greatest(shut, moment + interval '10 milliseconds');
            END IF;
            opens := ask.probing AND shut <= moment;
            probe := opens AND ask.prober IS NOT DISTINCT FROM in_call[place];
            IF opens AND NOT probe THEN
                awaits := in_probe_us[place] = 0 OR ask.probe_until > moment
                    OR in_once[place] AND shut > moment - interval '1 minute';
                IF awaits THEN
                    shut := least(
                        greatest(ask.probe_until, moment + interval '10 milliseconds'),
                        moment + interval '1 second');
                ELSE
                    probe := true;
                    gate.probe := in_call[place];
                    gate.probe_until := moment + in_probe_us[place] * interval '1 microsecond';
                END IF;
            END IF;
            IF shut > moment THEN
                gate_us := micros_until(shut, moment);
                IF used_up THEN
                    gate_code := 'quota';
                    told := ARRAY[most::text, utc(ask.day_ends)];
                ELSE
                    gate_code := 'pause';
                    reason := ask.gate_reason;
                END IF;
            ELSE
                slot := moment;
                IF paced THEN
                    IF pace_us < gate.slot_us THEN
                        gate.next_slot := nearer_slot(gate, pace_us, moment);
                    END IF;
                    slot := greatest(moment, gate.next_slot);
                    IF pace_us > in_interval_us[place] THEN -- by another's rate, and the caller lives: its slot stays its own
                        gate.slots_from := slot + pace_us * interval '1 microsecond';
                        gate.slot_us := 0;
                    ELSIF slot = moment OR pace_us <> gate.slot_us THEN
                        gate.slots_from := slot;
                        gate.slot_us := pace_us;
                    END IF;
                    gate.next_slot := slot + pace_us * interval '1 microsecond';
                    gate.reserved := gate.reserved + 1;
                END IF;
                IF counts THEN
                    gate.day_calls := gate.day_calls + 1;
                END IF;
                IF day_us > 0 AND slot >= gate.day_doubt THEN
                    gate.day_late := gate.day_late + 1;
                END IF;
                send_us := micros_until(slot, moment);
                IF in_opening[place] AND ask.reads_per_day IS NOT NULL THEN
                    DELETE FROM consent_reads r
                    WHERE r.consent_id = in_consent[place] AND r.at < moment - 2 * day;
                    INSERT INTO consent_reads (consent_id, at, call_id, backfill)
                    VALUES (in_consent[place], slot, in_call[place], coalesce(ask.backfill, false));
                END IF;
            END IF;
        END IF;
        ends := least(ask.valid_until,
            timestamptz 'epoch' + nullif(greatest(day_us, in_day_us[place]), 0) * interval '1 microsecond');
        IF ends IS NOT NULL THEN
            ends_us := micros_until(ends, moment);
        END IF;
        moment_us := (extract(epoch FROM moment) * 1000000)::bigint;
        RETURN NEXT;
    END LOOP;
    IF gate.bucket IS NOT NULL THEN
        PERFORM keep_gate(gate);
    END IF;
END $$;
