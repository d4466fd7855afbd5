-- +goose Up
-- What an attempt reports about its inside: steps and notes, in its own order.
CREATE TABLE attempt_events (
  attempt BIGINT NOT NULL,
  seq BIGINT NOT NULL,
  body TEXT NOT NULL,
  PRIMARY KEY (attempt, seq)
);

-- What an attempt ended with beside its status. Most have nothing to keep here.
CREATE TABLE attempt_results (
  attempt {{key}},
  run BIGINT NOT NULL,
  body TEXT NOT NULL
);
CREATE INDEX attempt_results_run ON attempt_results (run);

-- +goose Down
DROP TABLE attempt_results;
DROP TABLE attempt_events;
