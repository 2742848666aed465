-- nearer_slot is the next slot of a gate where the time between two slots is shorter now (pace_us) than the one at which the
-- last slots ahead were reserved (gate.slot_us, from gate.slots_from on): as many as these are, at today's distance. Their
-- owners had that rate in their own configuration, and a rate that a living worker names holds for all: so no such worker lives.
-- Slots before them stay as they are, and what a pause takes is not shortened.
CREATE OR REPLACE FUNCTION nearer_slot(gate gates, pace_us bigint, moment timestamptz) RETURNS timestamptz
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    begins CONSTANT timestamptz := greatest(moment, gate.not_before, gate.slots_from);
BEGIN
    IF gate.next_slot <= begins THEN
        RETURN gate.next_slot;
    END IF;
    RETURN begins + (gate.next_slot - begins) * (pace_us::float8 / gate.slot_us);
END $$;
