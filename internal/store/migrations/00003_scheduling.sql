-- +goose Up
-- Limits: how many runs or jobs may have a slot at a time, and what happens if
-- there are more. A slot without a row has one place.
CREATE TABLE slots (
  scope TEXT NOT NULL,
  name TEXT NOT NULL,
  max INTEGER NOT NULL,
  policy TEXT NOT NULL,
  PRIMARY KEY (scope, name)
);

-- Who has a slot or waits for it; pos is -1 for a whole run.
CREATE TABLE slot_claims (
  run BIGINT NOT NULL,
  pos INTEGER NOT NULL,
  scope TEXT NOT NULL,
  name TEXT NOT NULL,
  attempt INTEGER NOT NULL,
  priority INTEGER NOT NULL,
  state TEXT NOT NULL,
  PRIMARY KEY (run, pos, scope, name)
){{busy}};
CREATE INDEX slot_claims_slot ON slot_claims (scope, name, state, priority DESC, run, pos);

-- Trigger jobs that run: child is 0 until their run is made.
CREATE TABLE launches (
  run BIGINT NOT NULL,
  pos INTEGER NOT NULL,
  attempt INTEGER NOT NULL,
  child BIGINT NOT NULL DEFAULT 0,
  tries INTEGER NOT NULL DEFAULT 0,
  next_at BIGINT NOT NULL DEFAULT 0,
  PRIMARY KEY (run, pos)
){{busy}};
CREATE INDEX launches_open ON launches (next_at) WHERE child = 0;

-- next_at is 0 if there is no other time; last_at is the last due time that was
-- considered.
CREATE TABLE schedules (
  id {{key}},
  flow BIGINT NOT NULL,
  cron TEXT NOT NULL DEFAULT '',
  every_ms BIGINT NOT NULL DEFAULT 0,
  timezone TEXT NOT NULL DEFAULT 'UTC',
  catch_up TEXT NOT NULL DEFAULT 'none',
  inputs TEXT NOT NULL DEFAULT '',
  actor TEXT NOT NULL DEFAULT '',
  paused INTEGER NOT NULL DEFAULT 0,
  anchor_at BIGINT NOT NULL,
  last_at BIGINT NOT NULL,
  next_at BIGINT NOT NULL
);
CREATE INDEX schedules_flow ON schedules (flow);
CREATE INDEX schedules_next ON schedules (next_at) WHERE paused = 0 AND next_at > 0;

CREATE TABLE backfills (
  id {{key}},
  flow BIGINT NOT NULL,
  cron TEXT NOT NULL DEFAULT '',
  every_ms BIGINT NOT NULL DEFAULT 0,
  timezone TEXT NOT NULL DEFAULT 'UTC',
  from_at BIGINT NOT NULL,
  to_at BIGINT NOT NULL,
  parallel INTEGER NOT NULL,
  again INTEGER NOT NULL DEFAULT 0,
  inputs TEXT NOT NULL DEFAULT '',
  actor TEXT NOT NULL DEFAULT '',
  state TEXT NOT NULL,
  last_at BIGINT NOT NULL,
  created_at BIGINT NOT NULL
);
CREATE INDEX backfills_running ON backfills (id) WHERE state = 'running';

-- One row a due time of a schedule, or a date of a backfill; the other is 0.
CREATE TABLE occurrences (
  id {{serial}},
  schedule BIGINT NOT NULL DEFAULT 0,
  backfill BIGINT NOT NULL DEFAULT 0,
  flow BIGINT NOT NULL,
  due_at BIGINT NOT NULL,
  again INTEGER NOT NULL DEFAULT 0,
  inputs TEXT NOT NULL DEFAULT '',
  actor TEXT NOT NULL DEFAULT '',
  state TEXT NOT NULL,
  run BIGINT NOT NULL DEFAULT 0,
  error TEXT NOT NULL DEFAULT '',
  tries INTEGER NOT NULL DEFAULT 0,
  next_at BIGINT NOT NULL DEFAULT 0
);
CREATE UNIQUE INDEX occurrences_schedule ON occurrences (schedule, due_at) WHERE schedule > 0;
CREATE UNIQUE INDEX occurrences_backfill ON occurrences (backfill, due_at) WHERE backfill > 0;
CREATE UNIQUE INDEX occurrences_date ON occurrences (flow, due_at) WHERE backfill > 0 AND again = 0 AND state IN ('waiting', 'started');
CREATE INDEX occurrences_flow ON occurrences (flow, due_at);
CREATE INDEX occurrences_waiting ON occurrences (next_at) WHERE state = 'waiting';
CREATE INDEX occurrences_run ON occurrences (run) WHERE run > 0;

-- How long runs of a project are kept; 0 is without end.
CREATE TABLE retention (
  project BIGINT PRIMARY KEY,
  age_ms BIGINT NOT NULL DEFAULT 0,
  count INTEGER NOT NULL DEFAULT 0,
  keep_last_good INTEGER NOT NULL DEFAULT 1
);

-- +goose Down
DROP TABLE retention;
DROP TABLE occurrences;
DROP TABLE backfills;
DROP TABLE schedules;
DROP TABLE launches;
DROP TABLE slot_claims;
DROP TABLE slots;
