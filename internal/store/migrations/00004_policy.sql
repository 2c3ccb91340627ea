-- +goose Up
-- Each merge policy has its own profiles, numbers and members. The records that profiles are made of: '' for files of before.
ALTER TABLE profile_file ADD COLUMN policy TEXT NOT NULL DEFAULT 'default';
ALTER TABLE profile_file ADD COLUMN fragments TEXT NOT NULL DEFAULT '';
ALTER TABLE membership ADD COLUMN policy TEXT NOT NULL DEFAULT 'default';
CREATE TABLE policy_head (sandbox TEXT NOT NULL, policy TEXT NOT NULL, next_number BIGINT NOT NULL, PRIMARY KEY (sandbox, policy));
INSERT INTO policy_head (sandbox, policy, next_number) SELECT sandbox, 'default', next_number FROM head;
ALTER TABLE head DROP COLUMN next_number;

-- A row for each generation that may have changed who has which identity, and who carries on whom after a join or a split.
CREATE TABLE identity_change (
  sandbox    TEXT   NOT NULL,
  generation BIGINT NOT NULL,
  policy     TEXT   NOT NULL,
  numbers    BYTEA  NOT NULL,
  heirs      BYTEA  NOT NULL,
  PRIMARY KEY (sandbox, policy, generation)
);
INSERT INTO identity_change (sandbox, generation, policy, numbers, heirs) SELECT sandbox, no, 'default', identities, '' FROM generation WHERE kind = 'ingest';
ALTER TABLE generation DROP COLUMN identities;

CREATE TABLE deletion (sandbox TEXT NOT NULL, generation BIGINT NOT NULL, created_at BIGINT NOT NULL, sums BYTEA NOT NULL, PRIMARY KEY (sandbox, generation));

-- +goose Down
SELECT 1;
