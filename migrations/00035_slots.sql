-- +goose Up

-- slot_us: the time between two slots at which the last ones were reserved, from slots_from on, by callers that have that rate
-- in their own configuration; 0: others have it. 
-- Where the rate is raised, the slots behind slots_from are reckoned anew. Without that, one call under a rate that was mistyped
-- (one in 25 minutes, say) would hold up everybody after the rate is put right.
ALTER TABLE gates
    ADD COLUMN slot_us    bigint      NOT NULL DEFAULT 0,
    ADD COLUMN slots_from timestamptz NOT NULL DEFAULT '-infinity';
