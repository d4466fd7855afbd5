-- +goose Up
-- What an attempt keeps: one archive of files and reports. Rows of a project with
-- the same content share a place.
CREATE TABLE artifacts (
  attempt {{key}},
  project BIGINT NOT NULL,
  run BIGINT NOT NULL,
  pos INTEGER NOT NULL,
  name TEXT NOT NULL,
  place TEXT NOT NULL,
  bytes BIGINT NOT NULL,
  sha256 TEXT NOT NULL,
  files BIGINT NOT NULL,
  file_bytes BIGINT NOT NULL,
  reports TEXT NOT NULL,
  keep INTEGER NOT NULL,
  expires_at BIGINT NOT NULL,
  created_at BIGINT NOT NULL
);
CREATE INDEX artifacts_run ON artifacts (run, pos);
CREATE INDEX artifacts_content ON artifacts (project, sha256);
CREATE INDEX artifacts_place ON artifacts (place);
CREATE INDEX artifacts_due ON artifacts (expires_at) WHERE expires_at > 0 AND keep = 0;

-- Caches of protected refs are others than those of the same name beside them.
CREATE TABLE caches (
  project BIGINT NOT NULL,
  protected INTEGER NOT NULL,
  name TEXT NOT NULL,
  place TEXT NOT NULL,
  bytes BIGINT NOT NULL,
  sha256 TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  used_at BIGINT NOT NULL,
  PRIMARY KEY (project, protected, name)
);
CREATE INDEX caches_content ON caches (project, protected, sha256);
CREATE INDEX caches_place ON caches (place);
CREATE INDEX caches_used ON caches (used_at);

-- Logs that are complete and in the blob store; a place is a prefix there.
CREATE TABLE logs (
  attempt {{key}},
  run BIGINT NOT NULL,
  place TEXT NOT NULL,
  bytes BIGINT NOT NULL,
  stored_bytes BIGINT NOT NULL,
  lines BIGINT NOT NULL,
  sha256 TEXT NOT NULL,
  created_at BIGINT NOT NULL
);
CREATE INDEX logs_run ON logs (run);
CREATE INDEX logs_place ON logs (place);

-- Blobs to be removed when they are due, unless a row above names them by then:
-- those of removed rows, and those whose upload has begun.
CREATE TABLE blob_removals (
  place TEXT PRIMARY KEY,
  kind TEXT NOT NULL,
  bytes BIGINT NOT NULL,
  due_at BIGINT NOT NULL,
  taken INTEGER NOT NULL
){{busy}};
CREATE INDEX blob_removals_due ON blob_removals (due_at);

-- +goose Down
DROP TABLE blob_removals;
DROP TABLE logs;
DROP TABLE caches;
DROP TABLE artifacts;
