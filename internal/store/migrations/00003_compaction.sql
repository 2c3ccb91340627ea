-- +goose Up
-- place orders the profile files of a snapshot: a file that stands for older ones lies above all files of the
-- generation that it was merged from, and below all that came later.
ALTER TABLE profile_file ADD COLUMN place BIGINT NOT NULL DEFAULT 0;
UPDATE profile_file SET place = from_generation;

-- links is what a generation adds to the chain of hashes, kept so that the chain can be checked when its files are
-- gone; empty in generations of before. The other two tell what can still be read of an old generation.
ALTER TABLE generation ADD COLUMN links TEXT NOT NULL DEFAULT '';
ALTER TABLE generation ADD COLUMN profiles_kept BIGINT NOT NULL DEFAULT 1;
ALTER TABLE generation ADD COLUMN members_kept BIGINT NOT NULL DEFAULT 1;

-- +goose Down
SELECT 1;
