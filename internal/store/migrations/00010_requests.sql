-- +goose Up
-- Answers to requests with an Idempotency-Key, so that one that is repeated has the
-- same answer and happens once. status is 0 while the first is under way.
CREATE TABLE requests (
  actor TEXT NOT NULL,
  request_key TEXT NOT NULL,
  sha256 TEXT NOT NULL,
  status INTEGER NOT NULL DEFAULT 0,
  content_type TEXT NOT NULL DEFAULT '',
  body {{bytes}},
  created_at BIGINT NOT NULL,
  PRIMARY KEY (actor, request_key)
);
CREATE INDEX requests_created ON requests (created_at);

-- +goose Down
DROP TABLE requests;
