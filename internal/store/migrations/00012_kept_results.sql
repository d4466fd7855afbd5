-- +goose Up
-- Jobs whose next attempts take the results of tasks that attempts from this one on
-- kept: retries from what failed.
CREATE TABLE retries_from_failed (
  run BIGINT NOT NULL,
  pos INTEGER NOT NULL,
  attempt BIGINT NOT NULL,
  PRIMARY KEY (run, pos)
);

-- +goose Down
DROP TABLE retries_from_failed;
