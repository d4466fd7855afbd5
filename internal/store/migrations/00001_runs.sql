-- +goose Up
CREATE TABLE counters (
  name TEXT PRIMARY KEY,
  next BIGINT NOT NULL
);
-- The lock of all slots: who decides who gets one holds this row.
INSERT INTO counters (name, next) VALUES ('slots', 0);

CREATE TABLE projects (
  id {{key}},
  name TEXT NOT NULL UNIQUE,
  url TEXT NOT NULL,
  next_number BIGINT NOT NULL DEFAULT 1,
  created_at BIGINT NOT NULL
);

-- Compiled pipelines without secrets, shared by the runs that have the same.
CREATE TABLE pipelines (
  id {{key}},
  sha256 TEXT NOT NULL UNIQUE,
  body {{bytes}} NOT NULL
);

-- held are the events that wait until the run has its slots; start_key makes a
-- start that is repeated find the run that is there.
CREATE TABLE runs (
  id {{key}},
  project BIGINT NOT NULL,
  number BIGINT NOT NULL,
  flow BIGINT NOT NULL DEFAULT 0,
  pipeline BIGINT NOT NULL,
  version BIGINT NOT NULL,
  status TEXT NOT NULL,
  result TEXT NOT NULL DEFAULT '',
  stages TEXT NOT NULL,
  held TEXT NOT NULL DEFAULT '',
  slots TEXT NOT NULL DEFAULT '',
  source TEXT NOT NULL DEFAULT '',
  ref TEXT NOT NULL DEFAULT '',
  sha TEXT NOT NULL DEFAULT '',
  actor TEXT NOT NULL DEFAULT '',
  parent BIGINT NOT NULL DEFAULT 0,
  parent_pos INTEGER NOT NULL DEFAULT 0,
  parent_attempt INTEGER NOT NULL DEFAULT 0,
  start_key TEXT NOT NULL DEFAULT '',
  priority INTEGER NOT NULL DEFAULT 0,
  protected INTEGER NOT NULL DEFAULT 0,
  note TEXT NOT NULL DEFAULT '',
  created_at BIGINT NOT NULL,
  started_at BIGINT NOT NULL DEFAULT 0,
  finished_at BIGINT NOT NULL DEFAULT 0,
  UNIQUE (project, number)
){{busy}};
CREATE INDEX runs_project ON runs (project, id);
CREATE INDEX runs_project_status ON runs (project, status, id);
CREATE INDEX runs_project_ref ON runs (project, ref, id);
CREATE INDEX runs_ref ON runs (ref, id);
CREATE INDEX runs_flow ON runs (flow, id);
CREATE INDEX runs_flow_status ON runs (flow, status, id);
CREATE INDEX runs_status ON runs (status, id);
CREATE INDEX runs_sha ON runs (sha, id);
CREATE INDEX runs_actor ON runs (actor, id);
CREATE INDEX runs_source ON runs (source, id);
CREATE INDEX runs_parent ON runs (parent) WHERE parent > 0;
CREATE UNIQUE INDEX runs_start_key ON runs (start_key) WHERE start_key <> '';

-- One row a job that is more than created; pos is its place in the pipeline.
CREATE TABLE jobs (
  run BIGINT NOT NULL,
  pos INTEGER NOT NULL,
  version BIGINT NOT NULL,
  status TEXT NOT NULL,
  attempt INTEGER NOT NULL,
  flags INTEGER NOT NULL DEFAULT 0,
  reason TEXT NOT NULL DEFAULT '',
  exit_code INTEGER NOT NULL DEFAULT 0,
  attempt_id BIGINT NOT NULL DEFAULT 0,
  note TEXT NOT NULL DEFAULT '',
  started_at BIGINT NOT NULL DEFAULT 0,
  finished_at BIGINT NOT NULL DEFAULT 0,
  PRIMARY KEY (run, pos)
){{busy}};

-- The id is the fence: a result with another one than the job's is late.
CREATE TABLE attempts (
  id {{key}},
  run BIGINT NOT NULL,
  pos INTEGER NOT NULL,
  attempt INTEGER NOT NULL,
  session BIGINT NOT NULL,
  state TEXT NOT NULL,
  digest TEXT NOT NULL DEFAULT '',
  log_bytes BIGINT NOT NULL DEFAULT 0,
  started_at BIGINT NOT NULL,
  finished_at BIGINT NOT NULL DEFAULT 0
){{busy}};
-- Of a lost one that no runner had confirmed, the number is given again.
CREATE UNIQUE INDEX attempts_once ON attempts (run, pos, attempt) WHERE state <> 'unstarted';
CREATE INDEX attempts_run ON attempts (run, pos);
CREATE INDEX attempts_open ON attempts (session) WHERE finished_at = 0;

CREATE TABLE lanes (
  id {{key}},
  tags TEXT NOT NULL,
  protected INTEGER NOT NULL
);

-- Pending jobs, and no others.
CREATE TABLE queue (
  run BIGINT NOT NULL,
  pos INTEGER NOT NULL,
  lane BIGINT NOT NULL,
  priority INTEGER NOT NULL,
  rank BIGINT NOT NULL,
  project BIGINT NOT NULL,
  PRIMARY KEY (run, pos)
){{busy}};
CREATE INDEX queue_lane ON queue (lane, priority DESC, rank, run, pos);
CREATE INDEX queue_project ON queue (project, lane, priority, rank);

-- A session is the lease of all attempts that were claimed in it.
CREATE TABLE runner_sessions (
  id {{key}},
  runner BIGINT NOT NULL,
  tags TEXT NOT NULL,
  protected INTEGER NOT NULL DEFAULT 0,
  beat BIGINT NOT NULL DEFAULT 0,
  draining INTEGER NOT NULL DEFAULT 0,
  ended_at BIGINT NOT NULL DEFAULT 0
){{busy}};
CREATE INDEX runner_sessions_open ON runner_sessions (id) WHERE ended_at = 0;

CREATE TABLE timers (
  run BIGINT NOT NULL,
  pos INTEGER NOT NULL,
  attempt INTEGER NOT NULL,
  due_at BIGINT NOT NULL,
  PRIMARY KEY (run, pos)
){{busy}};
CREATE INDEX timers_due ON timers (due_at);

-- What happened to one run because of another: a later turn of the run takes it.
CREATE TABLE inbox (
  id {{serial}},
  run BIGINT NOT NULL,
  kind TEXT NOT NULL,
  origin BIGINT NOT NULL DEFAULT 0
){{busy}};
CREATE INDEX inbox_run ON inbox (run);

-- +goose Down
DROP TABLE inbox;
DROP TABLE timers;
DROP TABLE runner_sessions;
DROP TABLE queue;
DROP TABLE lanes;
DROP TABLE attempts;
DROP TABLE jobs;
DROP TABLE runs;
DROP TABLE pipelines;
DROP TABLE projects;
DROP TABLE counters;
