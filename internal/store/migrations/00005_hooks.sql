-- +goose Up
-- A webhook of a forge. Two secrets live while one replaces the other.
CREATE TABLE triggers (
  id {{key}},
  project BIGINT NOT NULL,
  forge TEXT NOT NULL,
  forge_url TEXT NOT NULL DEFAULT '',
  token_variable TEXT NOT NULL DEFAULT '',
  address TEXT NOT NULL UNIQUE,
  sealed_with TEXT NOT NULL,
  sealed {{bytes}} NOT NULL,
  previous_with TEXT NOT NULL DEFAULT '',
  previous {{bytes}},
  previous_until BIGINT NOT NULL DEFAULT 0,
  version BIGINT NOT NULL DEFAULT 1,
  hook TEXT NOT NULL DEFAULT '',
  created_at BIGINT NOT NULL,
  delivered_at BIGINT NOT NULL DEFAULT 0
);
CREATE INDEX triggers_project ON triggers (project);

-- What forges sent, once by their id. The event is kept until the look that reads it.
CREATE TABLE deliveries (
  id {{key}},
  source BIGINT NOT NULL,
  delivery TEXT NOT NULL,
  project BIGINT NOT NULL,
  kind TEXT NOT NULL,
  name TEXT NOT NULL,
  event TEXT NOT NULL,
  received_at BIGINT NOT NULL,
  read_at BIGINT NOT NULL DEFAULT 0,
  wanted TEXT NOT NULL DEFAULT '',
  UNIQUE (source, delivery)
){{busy}};
CREATE INDEX deliveries_waiting ON deliveries (project, id) WHERE read_at = 0;
CREATE INDEX deliveries_source ON deliveries (source, id);

-- The refs of a repository at the last look.
CREATE TABLE refs (
  project BIGINT NOT NULL,
  ref TEXT NOT NULL,
  sha TEXT NOT NULL,
  seen_at BIGINT NOT NULL,
  PRIMARY KEY (project, ref)
){{busy}};

-- One row a project that was looked at, or is to be.
CREATE TABLE looks (
  project {{key}},
  looked_at BIGINT NOT NULL DEFAULT 0,
  next_poll_at BIGINT NOT NULL,
  failures INTEGER NOT NULL DEFAULT 0,
  error TEXT NOT NULL DEFAULT '',
  version BIGINT NOT NULL DEFAULT 0
){{busy}};
CREATE INDEX looks_due ON looks (next_poll_at);

-- Merge requests that are open; head and target are those of the last pipeline.
CREATE TABLE merge_requests (
  project BIGINT NOT NULL,
  number BIGINT NOT NULL,
  body TEXT NOT NULL,
  updated_at BIGINT NOT NULL,
  PRIMARY KEY (project, number)
);

-- Runs that looks decided on and that are not made yet: they are kept in the
-- transaction that stores the refs, so that none is lost or made twice.
CREATE TABLE wanted_runs (
  id {{key}},
  project BIGINT NOT NULL,
  request BIGINT NOT NULL DEFAULT 0,
  state TEXT NOT NULL,
  body TEXT NOT NULL,
  attempts INTEGER NOT NULL DEFAULT 0,
  next_at BIGINT NOT NULL,
  error TEXT NOT NULL DEFAULT '',
  actor TEXT NOT NULL DEFAULT '',
  created_at BIGINT NOT NULL
){{busy}};
CREATE INDEX wanted_runs_due ON wanted_runs (next_at) WHERE state = 'waiting';
CREATE INDEX wanted_runs_project ON wanted_runs (project, id);

-- Who is notified of what: a webhook, a chat, mail. Project 0 stands for all projects.
CREATE TABLE notify_rules (
  id {{key}},
  project BIGINT NOT NULL,
  name TEXT NOT NULL,
  kind TEXT NOT NULL,
  events TEXT NOT NULL,
  template TEXT NOT NULL DEFAULT '',
  sealed_with TEXT NOT NULL,
  sealed {{bytes}} NOT NULL,
  version BIGINT NOT NULL DEFAULT 1,
  actor TEXT NOT NULL DEFAULT '',
  created_at BIGINT NOT NULL,
  UNIQUE (project, name)
);

-- One wanted state for each target: a commit status, a comment, a message.
CREATE TABLE notifications (
  id {{key}},
  project BIGINT NOT NULL,
  run BIGINT NOT NULL,
  kind TEXT NOT NULL,
  target TEXT NOT NULL,
  body TEXT NOT NULL,
  sent TEXT NOT NULL DEFAULT '',
  remote TEXT NOT NULL DEFAULT '',
  state TEXT NOT NULL,
  attempts INTEGER NOT NULL DEFAULT 0,
  next_at BIGINT NOT NULL,
  error TEXT NOT NULL DEFAULT '',
  updated_at BIGINT NOT NULL,
  UNIQUE (project, target)
){{busy}};
CREATE INDEX notifications_due ON notifications (next_at) WHERE state = 'waiting';
CREATE INDEX notifications_run ON notifications (run);

-- +goose Down
DROP TABLE notifications;
DROP TABLE notify_rules;
DROP TABLE wanted_runs;
DROP TABLE merge_requests;
DROP TABLE looks;
DROP TABLE refs;
DROP TABLE deliveries;
DROP TABLE triggers;
