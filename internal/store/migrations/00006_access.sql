-- +goose Up
-- Keys that a server with this database has: another server must have them too.
CREATE TABLE vault_keys (
  id TEXT PRIMARY KEY,
  created_at BIGINT NOT NULL
);

-- project is 0 for those of the whole server.
CREATE TABLE variables (
  id {{key}},
  project BIGINT NOT NULL,
  name TEXT NOT NULL,
  environment TEXT NOT NULL,
  version BIGINT NOT NULL,
  protected INTEGER NOT NULL,
  masked INTEGER NOT NULL,
  hidden INTEGER NOT NULL,
  file INTEGER NOT NULL,
  raw INTEGER NOT NULL,
  description TEXT NOT NULL,
  size BIGINT NOT NULL,
  sealed_with TEXT NOT NULL,
  sealed {{bytes}} NOT NULL,
  created_at BIGINT NOT NULL,
  updated_at BIGINT NOT NULL,
  used_at BIGINT NOT NULL DEFAULT 0,
  UNIQUE (project, name, environment)
);
CREATE INDEX variables_sealed_with ON variables (sealed_with);

CREATE TABLE keys (
  id {{key}},
  project BIGINT NOT NULL,
  name TEXT NOT NULL,
  version BIGINT NOT NULL,
  can_push INTEGER NOT NULL,
  protected INTEGER NOT NULL,
  environment TEXT NOT NULL,
  public_half TEXT NOT NULL,
  fingerprint TEXT NOT NULL,
  repos TEXT NOT NULL,
  hosts TEXT NOT NULL,
  known_hosts TEXT NOT NULL,
  sealed_with TEXT NOT NULL,
  sealed {{bytes}} NOT NULL,
  created_at BIGINT NOT NULL,
  used_at BIGINT NOT NULL DEFAULT 0,
  UNIQUE (project, name)
);
CREATE INDEX keys_sealed_with ON keys (sealed_with);

-- A token is random; only its SHA-256 is kept.
CREATE TABLE tokens (
  id {{key}},
  hash TEXT NOT NULL UNIQUE,
  kind TEXT NOT NULL,
  name TEXT NOT NULL,
  scopes TEXT NOT NULL DEFAULT '',
  project BIGINT NOT NULL DEFAULT 0,
  runner BIGINT NOT NULL DEFAULT 0,
  attempt BIGINT NOT NULL DEFAULT 0,
  tags TEXT NOT NULL DEFAULT '',
  protected INTEGER NOT NULL DEFAULT 0,
  parent BIGINT NOT NULL DEFAULT 0,
  created_by TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  expires_at BIGINT NOT NULL DEFAULT 0,
  used_at BIGINT NOT NULL DEFAULT 0,
  revoked_at BIGINT NOT NULL DEFAULT 0
){{busy}};
CREATE INDEX tokens_kind ON tokens (kind, id);
CREATE INDEX tokens_parent ON tokens (parent) WHERE parent > 0;
CREATE INDEX tokens_attempt ON tokens (attempt) WHERE attempt > 0;
CREATE INDEX tokens_expires ON tokens (expires_at) WHERE expires_at > 0;

-- Rows are added and never changed.
CREATE TABLE audit (
  id {{key}},
  at BIGINT NOT NULL,
  actor TEXT NOT NULL,
  action TEXT NOT NULL,
  project BIGINT NOT NULL,
  object TEXT NOT NULL,
  detail TEXT NOT NULL
);
CREATE INDEX audit_project ON audit (project, id);

-- +goose Down
DROP TABLE audit;
DROP TABLE tokens;
DROP TABLE keys;
DROP TABLE variables;
DROP TABLE vault_keys;
