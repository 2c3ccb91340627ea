-- +goose Up
-- Runs of a dataflow's revision before since_rev do not move the baseline: the audience was put into the dataflow, or its
-- mode was changed, with that revision. The other two tell when evaluations of the audience make an export due, NULL for
-- a schedule with times of its own; after_until is NULL for no end.
ALTER TABLE flow_item ADD COLUMN since_rev BIGINT NOT NULL DEFAULT 0;
ALTER TABLE flow_item ADD COLUMN after_from BIGINT;
ALTER TABLE flow_item ADD COLUMN after_until BIGINT;

-- Where the windows of a dataflow's datasets begin: each dataset has its own baseline. windows are those of a run.
CREATE TABLE flow_dataset (
  sandbox             TEXT   NOT NULL,
  flow                TEXT   NOT NULL,
  dataset             TEXT   NOT NULL,
  since_rev           BIGINT NOT NULL,
  baseline_generation BIGINT,
  baseline_run        TEXT,
  PRIMARY KEY (flow, dataset)
);
ALTER TABLE run ADD COLUMN windows TEXT;

-- +goose Down
SELECT 1;
