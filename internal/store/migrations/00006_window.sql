-- +goose Up
-- Runs of a dataflow's revision before since_rev do not move the baseline: the audience was put into the dataflow, or its
-- mode was changed, with that revision. The other two tell when evaluations of the audience make an export due, NULL for
-- a schedule with times of its own; after_until is NULL for no end.
ALTER TABLE flow_item ADD COLUMN since_rev BIGINT NOT NULL DEFAULT 0;
ALTER TABLE flow_item ADD COLUMN after_from BIGINT;
ALTER TABLE flow_item ADD COLUMN after_until BIGINT;

-- +goose Down
SELECT 1;
