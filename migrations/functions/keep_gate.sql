-- keep_gate writes what the admission of a crowd has changed in a gate that it has locked.
CREATE OR REPLACE FUNCTION keep_gate(gate gates) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    UPDATE gates g SET
        next_slot = gate.next_slot,
        slot_us = gate.slot_us,
        slots_from = gate.slots_from,
        reserved = gate.reserved,
        probe = gate.probe,
        probe_until = gate.probe_until,
        day_calls = gate.day_calls,
        day_late = gate.day_late,
        day_doubt = gate.day_doubt,
        day_ends = gate.day_ends
    WHERE g.bucket = gate.bucket;
END $$;
