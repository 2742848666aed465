-- admit_calls_v2 is what programs ask that don't know of admit_calls_v3, for one release: it answers with a sentence,
-- and with a class for the refusals that they know.
CREATE OR REPLACE FUNCTION admit_calls_v2(
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
RETURNS TABLE (place integer, refusal text, reason text, gate_us bigint, send_us bigint, moment_us bigint,
    probe boolean, awaits boolean, closed text, ends_us bigint, pace_us bigint,
    day_us bigint)
LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY SELECT v.place,
        CASE
            WHEN v.refusal IN ('fenced', 'suspected', 'renewed') THEN v.refusal
            WHEN v.refusal IN ('parked', 'credentials') THEN 'fatal'
            WHEN v.refusal IS NOT NULL THEN 'refused'
        END,
        CASE v.refusal
            WHEN 'fenced' THEN 'the batch has been taken over by another worker'
            WHEN 'parked' THEN 'connection ' || in_connection[v.place] || ' is parked: ' || v.told[1]
            WHEN 'credentials' THEN 'connection ' || in_connection[v.place] || ' is parked for these credentials: '
                || v.told[1]
            WHEN 'unknown' THEN 'consent not known'
            WHEN 'renewed' THEN 'consent renewed: it goes on under another id'
            WHEN 'ended' THEN 'consent ended: ' || v.told[1]
            WHEN 'suspected' THEN 'consent suspected: not called before ' || v.told[1] || ', because it was refused: '
                || v.told[2]
            WHEN 'expired' THEN 'consent ended: expired'
            WHEN 'not_yet' THEN 'consent not valid yet: from ' || v.told[1]
            WHEN 'scope' THEN 'consent does not cover this: it has no scope '
                || replace(in_needs[v.place], ' ', ' or ')
            WHEN 'purpose' THEN 'consent was not given for this: its purpose is '
                || coalesce(nullif(v.told[1], ''), 'not known') || ', the job''s '
                || array_to_string(v.told[2:], ' or ')
            WHEN 'spent' THEN 'daily reads spent: next at ' || v.told[1]
            WHEN 'reserved' THEN 'daily reads spent: what is left of ' || v.told[1]
                || ' is for the runs that are no backfills'
            ELSE coalesce(v.reason, v.refusal)
        END,
        v.gate_us, v.send_us, v.moment_us, v.probe, v.awaits, v.closed, v.ends_us, v.pace_us, v.day_us
    FROM admit_calls_v3(in_connection, in_bucket, in_interval_us, in_opening, in_batch, in_fence, in_consent, in_call,
        in_needs, in_probe_us, in_once, in_gates, in_credentials, in_per_day, in_turns, in_day_us, in_external) v;
END $$;
