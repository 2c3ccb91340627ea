-- +goose Up
-- Work that the service does for itself; claimed as runs are.
CREATE TABLE task (
  id         TEXT   PRIMARY KEY,
  sandbox    TEXT   NOT NULL,
  kind       TEXT   NOT NULL,
  subject    TEXT   NOT NULL,
  state      TEXT   NOT NULL,
  attempt    BIGINT NOT NULL,
  node       TEXT,
  not_before BIGINT,
  cause      TEXT,
  created_at BIGINT NOT NULL,
  started_at BIGINT,
  ended_at   BIGINT,
  doc        TEXT   NOT NULL,
  UNIQUE (sandbox, kind, subject)
);
CREATE INDEX task_queue ON task (state, not_before, created_at);
CREATE INDEX task_history ON task (sandbox, kind, created_at);

-- When a sandbox evaluates its audiences; seen and since_at are what an evaluation after ingest knows.
CREATE TABLE evaluation_schedule (
  sandbox  TEXT   PRIMARY KEY,
  doc      TEXT   NOT NULL,
  next_at  BIGINT,
  since_at BIGINT,
  seen     BIGINT NOT NULL
);

-- The task that a run waits for.
ALTER TABLE run ADD COLUMN task TEXT;
CREATE INDEX run_task ON run (task);

-- +goose Down
SELECT 1;
