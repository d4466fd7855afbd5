package main

import (
	"context"
	"io"
	"path/filepath"

	"refline/internal/engine"
)

// setup prepares what a script needs of this computer before it runs: for
// Python an environment with its dependencies. It is nil where the file is no
// script.
func (c *compiled) setup(e *env) func(ctx context.Context, workspace string, env []string, log io.Writer) (string, error) {
	if !c.script {
		return nil
	}
	return func(ctx context.Context, workspace string, env []string, log io.Writer) (string, error) {
		cache, err := e.cacheDir()
		if err != nil {
			return "", err
		}
		return engine.PythonEnv(ctx, filepath.Join(cache, "python"), workspace, c.file, log, env)
	}
}
