package store

import (
	"context"
	"time"
)

// Project is a row of projects.
type Project struct {
	ID      int64
	Name    string
	URL     string
	Created time.Time
}

// AddProject makes a project. Conflict if the name is taken.
func (t *Tx) AddProject(ctx context.Context, p Project) error {
	_, err := t.exec(ctx, "INSERT INTO projects (id, name, url, created_at) VALUES (?, ?, ?, ?)", p.ID, p.Name, p.URL, millis(p.Created))
	return err
}
