package main

import (
	"context"
	"io"
	"path/filepath"

	"refline/internal/engine"
	"refline/internal/pipeline"
)

// setup prepares what a script needs of this computer before it runs: for
// Python an environment with its dependencies. It is nil where nothing is.
func (c *compiled) setup(e *env, _ *pipeline.Job) func(ctx context.Context, workspace string, log io.Writer) (string, error) {
	if !c.script || filepath.Ext(c.file) != ".py" {
		return nil
	}
	return func(ctx context.Context, workspace string, log io.Writer) (string, error) {
		cache, err := e.cacheDir()
		if err != nil {
			return "", err
		}
		return engine.PythonEnv(ctx, filepath.Join(cache, "python"), workspace, c.file, log, e.environ())
	}
}
