-- +goose Up
-- Attempts that a runner had another process run, such as in a pod. uid is that of the
-- pod that may claim the attempt; agent is the session that did, 0 before.
CREATE TABLE pods (
  attempt BIGINT NOT NULL PRIMARY KEY,
  runner BIGINT NOT NULL,
  uid TEXT NOT NULL,
  agent BIGINT NOT NULL DEFAULT 0,
  created_at BIGINT NOT NULL
);

-- The public keys of a runner's cluster, which sign its pods' tokens.
CREATE TABLE runner_keys (
  runner BIGINT NOT NULL PRIMARY KEY,
  jwks TEXT NOT NULL,
  updated_at BIGINT NOT NULL
);

-- +goose Down
DROP TABLE runner_keys;
DROP TABLE pods;
