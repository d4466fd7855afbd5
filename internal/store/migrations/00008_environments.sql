-- +goose Up
-- Where jobs deploy to, by name in a project.
CREATE TABLE environments (
  id {{key}},
  project BIGINT NOT NULL,
  name TEXT NOT NULL,
  state TEXT NOT NULL,
  url TEXT NOT NULL DEFAULT '',
  deployment BIGINT NOT NULL DEFAULT 0,
  created_at BIGINT NOT NULL,
  updated_at BIGINT NOT NULL,
  UNIQUE (project, name)
);

-- A job that succeeded with an environment: it deployed a commit there, or stopped it.
CREATE TABLE deployments (
  id {{key}},
  environment BIGINT NOT NULL,
  project BIGINT NOT NULL,
  run BIGINT NOT NULL,
  attempt BIGINT NOT NULL UNIQUE,
  job TEXT NOT NULL,
  action TEXT NOT NULL,
  ref TEXT NOT NULL DEFAULT '',
  sha TEXT NOT NULL,
  url TEXT NOT NULL DEFAULT '',
  plan TEXT NOT NULL DEFAULT '',
  actor TEXT NOT NULL DEFAULT '',
  created_at BIGINT NOT NULL
);
CREATE INDEX deployments_environment ON deployments (environment, id);
CREATE INDEX deployments_run ON deployments (run);

-- +goose Down
DROP TABLE deployments;
DROP TABLE environments;
