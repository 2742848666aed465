-- admit_calls is what programs ask that don't know of admit_calls_v2, for one release. A question without a
-- rate is taken for a look: that is what theirs may be.
--
-- They don't tell the id of the consent that a call carries. One that has gone on under another id since their batch was
-- claimed may have the old one in their memory, so it is refused.
CREATE OR REPLACE FUNCTION admit_calls(
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
    in_credentials text[])
RETURNS TABLE (place integer, refusal text, reason text, gate_us bigint, send_us bigint, moment_us bigint,
    probe boolean, awaits boolean, closed text)
LANGUAGE plpgsql AS $$
DECLARE
    intervals bigint[];
    external  text[];
BEGIN
    SELECT array_agg(CASE WHEN u.us > 0 THEN u.us ELSE -1 END ORDER BY u.n) INTO intervals
    FROM unnest(in_interval_us) WITH ORDINALITY AS u (us, n);
    SELECT array_agg(CASE WHEN c.renewed_at > b.claimed_at THEN ' ' END ORDER BY u.n) INTO external
    FROM unnest(in_consent, in_batch) WITH ORDINALITY AS u (consent, batch, n)
    LEFT JOIN consents c ON c.id = u.consent
    LEFT JOIN batches b ON b.id = u.batch;
    RETURN QUERY SELECT v.place, v.refusal, v.reason, v.gate_us, v.send_us, v.moment_us, v.probe, v.awaits, v.closed
    FROM admit_calls_v2(in_connection, in_bucket, intervals, in_opening, in_batch, in_fence, in_consent, in_call, in_needs,
        in_probe_us, in_once, in_gates, in_credentials, '{}', '{}', '{}', external) v;
END $$;
