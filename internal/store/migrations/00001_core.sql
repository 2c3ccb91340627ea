-- +goose Up
-- Times are milliseconds since 1970 in UTC. BYTEA is the type that both databases keep as bytes.
CREATE TABLE setting (name TEXT PRIMARY KEY, value TEXT NOT NULL);

-- One row for each noun of the configuration: its fields are the JSON document.
CREATE TABLE document (
  kind       TEXT   NOT NULL,
  sandbox    TEXT   NOT NULL,
  id         TEXT   NOT NULL,
  name       TEXT   NOT NULL,
  doc        TEXT   NOT NULL,
  created_at BIGINT NOT NULL,
  PRIMARY KEY (kind, sandbox, id)
);
CREATE INDEX document_name ON document (kind, sandbox, name);

CREATE TABLE secret (
  id          TEXT   PRIMARY KEY,
  sandbox     TEXT   NOT NULL,
  object_type TEXT   NOT NULL,
  object_id   TEXT   NOT NULL,
  field       TEXT   NOT NULL,
  version     BIGINT NOT NULL,
  kek_id      TEXT   NOT NULL,
  wrapped_key BYTEA  NOT NULL,
  sealed      BYTEA  NOT NULL,
  created_at  BIGINT NOT NULL,
  UNIQUE (sandbox, object_type, object_id, field, version)
);

CREATE TABLE head (sandbox TEXT PRIMARY KEY, generation BIGINT NOT NULL, next_number BIGINT NOT NULL);
CREATE TABLE generation (
  sandbox    TEXT   NOT NULL,
  no         BIGINT NOT NULL,
  kind       TEXT   NOT NULL,
  hash       TEXT   NOT NULL,
  identities BYTEA  NOT NULL,
  created_at BIGINT NOT NULL,
  PRIMARY KEY (sandbox, no)
);
CREATE TABLE batch (
  sandbox    TEXT   NOT NULL,
  id         TEXT   NOT NULL,
  dataset_id TEXT   NOT NULL,
  generation BIGINT NOT NULL,
  rows       BIGINT NOT NULL,
  doc        TEXT   NOT NULL,
  files      TEXT   NOT NULL,
  created_at BIGINT NOT NULL,
  PRIMARY KEY (sandbox, id)
);
CREATE INDEX batch_dataset ON batch (sandbox, dataset_id, generation);
CREATE TABLE profile_file (
  sandbox         TEXT   NOT NULL,
  from_generation BIGINT NOT NULL,
  seq             BIGINT NOT NULL,
  to_generation   BIGINT,
  profiles        TEXT   NOT NULL,
  identities      TEXT   NOT NULL,
  numbers         BYTEA  NOT NULL,
  PRIMARY KEY (sandbox, from_generation, seq)
);
CREATE TABLE membership (
  sandbox      TEXT   NOT NULL,
  audience_id  TEXT   NOT NULL,
  generation   BIGINT NOT NULL,
  data         TEXT   NOT NULL,
  members      BYTEA  NOT NULL,
  exited       BYTEA  NOT NULL,
  member_count BIGINT NOT NULL,
  evaluated_at BIGINT NOT NULL,
  PRIMARY KEY (sandbox, audience_id, generation)
);

CREATE TABLE flow_item (
  sandbox             TEXT   NOT NULL,
  flow                TEXT   NOT NULL,
  item                TEXT   NOT NULL,
  next_at             BIGINT,
  baseline_generation BIGINT,
  baseline_run        TEXT,
  PRIMARY KEY (flow, item)
);
CREATE TABLE run (
  id              TEXT   PRIMARY KEY,
  sandbox         TEXT   NOT NULL,
  flow            TEXT   NOT NULL,
  item            TEXT   NOT NULL,
  slot            TEXT   NOT NULL,
  state           TEXT   NOT NULL,
  phase           TEXT   NOT NULL,
  attempt         BIGINT NOT NULL,
  node            TEXT,
  nonce           TEXT,
  rev             BIGINT NOT NULL,
  from_generation BIGINT,
  to_generation   BIGINT NOT NULL,
  scheduled_at    BIGINT NOT NULL,
  generated_at    BIGINT,
  not_before      BIGINT,
  created_at      BIGINT NOT NULL,
  started_at      BIGINT,
  ended_at        BIGINT,
  cause           TEXT,
  counts          TEXT   NOT NULL,
  warnings        TEXT   NOT NULL,
  manifest        TEXT   NOT NULL,
  owed            BIGINT NOT NULL,
  plan            TEXT,
  UNIQUE (flow, item, slot),
  CHECK (from_generation IS NULL OR from_generation <= to_generation)
);
CREATE INDEX run_queue ON run (state, not_before, created_at);
CREATE INDEX run_item ON run (flow, item, created_at);
CREATE TABLE run_file (
  run     TEXT   NOT NULL,
  attempt BIGINT NOT NULL,
  file    BIGINT NOT NULL,
  state   TEXT   NOT NULL,
  doc     TEXT   NOT NULL,
  PRIMARY KEY (run, attempt, file)
);
CREATE TABLE run_history (
  run     TEXT   NOT NULL,
  seq     BIGINT NOT NULL,
  at      BIGINT NOT NULL,
  attempt BIGINT NOT NULL,
  state   TEXT   NOT NULL,
  phase   TEXT   NOT NULL,
  cause   TEXT,
  PRIMARY KEY (run, seq)
);
CREATE TABLE pin (run TEXT PRIMARY KEY, sandbox TEXT NOT NULL, generation BIGINT NOT NULL);

-- +goose Down
SELECT 1;
