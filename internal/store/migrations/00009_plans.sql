-- +goose Up
-- The plans of stacks in the artifacts of attempts. What is needed to approve one
-- is here, so that no archive is opened for it, and a plan stays known after its
-- artifacts expired.
CREATE TABLE plans (
  attempt BIGINT NOT NULL,
  path TEXT NOT NULL,
  project BIGINT NOT NULL,
  run BIGINT NOT NULL,
  pos INTEGER NOT NULL,
  ref TEXT NOT NULL,
  review INTEGER NOT NULL,
  digest TEXT NOT NULL,
  target TEXT NOT NULL,
  body TEXT NOT NULL,
  PRIMARY KEY (attempt, path)
);
CREATE INDEX plans_run ON plans (run, pos);
CREATE INDEX plans_target ON plans (project, target, run);
CREATE INDEX plans_digest ON plans (digest, run);

-- Who had a job deploy which plans. Rows are added and never changed.
CREATE TABLE approvals (
  id {{key}},
  project BIGINT NOT NULL,
  run BIGINT NOT NULL,
  pos INTEGER NOT NULL,
  digests TEXT NOT NULL,
  actor TEXT NOT NULL,
  created_at BIGINT NOT NULL
);
CREATE INDEX approvals_run ON approvals (run, pos, id);

-- +goose Down
DROP TABLE approvals;
DROP TABLE plans;
