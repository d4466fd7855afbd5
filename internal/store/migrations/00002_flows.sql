-- +goose Up
ALTER TABLE projects ADD COLUMN file TEXT NOT NULL DEFAULT '';
ALTER TABLE projects ADD COLUMN protected_branches TEXT NOT NULL DEFAULT '';
ALTER TABLE projects ADD COLUMN protected_tags TEXT NOT NULL DEFAULT '';
ALTER TABLE projects ADD COLUMN deploy_key TEXT NOT NULL DEFAULT '';
ALTER TABLE projects ADD COLUMN token_variable TEXT NOT NULL DEFAULT '';
ALTER TABLE projects ADD COLUMN url_variable TEXT NOT NULL DEFAULT '';
ALTER TABLE projects ADD COLUMN poll_every BIGINT NOT NULL DEFAULT 0;

CREATE TABLE flows (
  id {{key}},
  project BIGINT NOT NULL,
  name TEXT NOT NULL,
  named INTEGER NOT NULL DEFAULT 0,
  path TEXT NOT NULL,
  ref_kind TEXT NOT NULL,
  ref TEXT NOT NULL,
  pinned TEXT NOT NULL DEFAULT '',
  follow_tag INTEGER NOT NULL DEFAULT 0,
  runtime TEXT NOT NULL DEFAULT '',
  inputs TEXT NOT NULL DEFAULT '',
  concurrency INTEGER NOT NULL DEFAULT 0,
  when_busy TEXT NOT NULL DEFAULT '',
  slots TEXT NOT NULL DEFAULT '',
  priority INTEGER NOT NULL DEFAULT 0,
  paused INTEGER NOT NULL DEFAULT 0,
  archived_at BIGINT NOT NULL DEFAULT 0,
  version BIGINT NOT NULL,
  actor TEXT NOT NULL DEFAULT '',
  created_at BIGINT NOT NULL,
  updated_at BIGINT NOT NULL,
  UNIQUE (project, name)
);
CREATE INDEX flows_name ON flows (name);
CREATE INDEX flows_runtime ON flows (runtime) WHERE runtime <> '';

-- What a flow was, each time that it was registered or set.
CREATE TABLE flow_versions (
  flow BIGINT NOT NULL,
  version BIGINT NOT NULL,
  body TEXT NOT NULL,
  actor TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  PRIMARY KEY (flow, version)
);

CREATE TABLE runtimes (
  name TEXT PRIMARY KEY,
  version BIGINT NOT NULL,
  body TEXT NOT NULL,
  actor TEXT NOT NULL,
  updated_at BIGINT NOT NULL
);
CREATE TABLE runtime_versions (
  name TEXT NOT NULL,
  version BIGINT NOT NULL,
  body TEXT NOT NULL,
  actor TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  PRIMARY KEY (name, version)
);

-- What a run keeps of its definition beside the pipeline: facts and variables.
CREATE TABLE run_facts (
  run {{key}},
  body {{bytes}} NOT NULL
);

CREATE TABLE runners (
  id {{key}},
  name TEXT NOT NULL UNIQUE,
  tags TEXT NOT NULL DEFAULT '',
  protected INTEGER NOT NULL DEFAULT 0,
  draining INTEGER NOT NULL DEFAULT 0,
  version TEXT NOT NULL DEFAULT '',
  system TEXT NOT NULL DEFAULT '',
  executors TEXT NOT NULL DEFAULT '',
  seen_at BIGINT NOT NULL DEFAULT 0,
  created_at BIGINT NOT NULL
);

-- +goose Down
DROP TABLE runners;
DROP TABLE run_facts;
DROP TABLE runtime_versions;
DROP TABLE runtimes;
DROP TABLE flow_versions;
DROP TABLE flows;
