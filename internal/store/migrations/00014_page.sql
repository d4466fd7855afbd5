-- +goose Up
-- Counts over time read this index alone.
CREATE INDEX runs_created ON runs (created_at, status, project);

CREATE INDEX audit_object ON audit (object, id);

-- +goose Down
DROP INDEX audit_object;
DROP INDEX runs_created;
