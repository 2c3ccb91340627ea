-- +goose Up
-- The records that profiles are made of; '' for files of before.
ALTER TABLE profile_file ADD COLUMN fragments TEXT NOT NULL DEFAULT '';
-- Who carries on whom after a join or a split, and what was deleted.
CREATE TABLE heirs (sandbox TEXT NOT NULL, generation BIGINT NOT NULL, pairs BYTEA NOT NULL, PRIMARY KEY (sandbox, generation));
CREATE TABLE deletion (sandbox TEXT NOT NULL, generation BIGINT NOT NULL, created_at BIGINT NOT NULL, sums BYTEA NOT NULL, PRIMARY KEY (sandbox, generation));

-- +goose Down
SELECT 1;
