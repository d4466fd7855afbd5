-- +goose Up
-- Counts over time read this index alone.
CREATE INDEX runs_created ON runs (created_at, status, project);
CREATE INDEX runs_sha ON runs (sha, id);
CREATE INDEX runs_actor ON runs (actor, id);
CREATE INDEX runs_source ON runs (source, id);

CREATE INDEX audit_object ON audit (object, id);

-- The inputs of runs that are short enough, to find runs by them.
CREATE TABLE run_inputs (
  name TEXT NOT NULL,
  value TEXT NOT NULL,
  run BIGINT NOT NULL,
  PRIMARY KEY (run, name)
);
CREATE INDEX run_inputs_value ON run_inputs (name, value, run);

-- +goose Down
DROP TABLE run_inputs;
DROP INDEX audit_object;
DROP INDEX runs_source;
DROP INDEX runs_actor;
DROP INDEX runs_sha;
DROP INDEX runs_created;
