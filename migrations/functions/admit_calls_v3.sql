-- admit_calls_v3 is what programs ask that don't know of admit_calls_v4, for one release: why a gate is closed is a sentence
-- there.
CREATE OR REPLACE FUNCTION admit_calls_v3(
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
    day_us bigint)
LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY SELECT v.place, v.refusal,
        CASE WHEN v.refusal IS NOT NULL THEN v.told END,
        CASE v.gate_code
            WHEN 'quota' THEN 'the day''s quota of ' || to_char(v.told[1]::bigint, 'FM999,999,999,999')
                || CASE WHEN v.told[1] = '1' THEN ' call' ELSE ' calls' END
                || ' is used up until ' || v.told[2]
            ELSE v.reason
        END,
        v.gate_us, v.send_us, v.moment_us, v.probe, v.awaits, v.closed, v.ends_us, v.pace_us, v.day_us
    FROM admit_calls_v4(in_connection, in_bucket, in_interval_us, in_opening, in_batch, in_fence, in_consent, in_call,
        in_needs, in_probe_us, in_once, in_gates, in_credentials, in_per_day, in_turns, in_day_us, in_external) v;
END $$;
