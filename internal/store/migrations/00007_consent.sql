-- +goose Up
-- The members that a run leaves out for want of consent, at the beginning of its window and at its end. NULL is not known;
-- a run without a row leaves out nobody.
CREATE TABLE withheld (run TEXT PRIMARY KEY, at_start BYTEA, at_end BYTEA);

-- +goose Down
SELECT 1;
