-- +goose Up
-- Events of profiles, sorted by profile: what rules read. The batches keep them in the order of arrival.
CREATE TABLE event_file (
  sandbox         TEXT   NOT NULL,
  policy          TEXT   NOT NULL,
  from_generation BIGINT NOT NULL,
  seq             BIGINT NOT NULL,
  to_generation   BIGINT,
  data            TEXT   NOT NULL,
  numbers         BYTEA  NOT NULL,
  PRIMARY KEY (sandbox, from_generation, seq)
);

-- +goose Down
SELECT 1;
