package main

import (
	"context"
	"io"
	"path/filepath"

	"refline/internal/pythonenv"
)

// pythonEnv makes the environments of Python scripts in the cache folder.
func pythonEnv(e *env) func(ctx context.Context, root, script string, log io.Writer, env []string) (string, error) {
	return func(ctx context.Context, root, script string, log io.Writer, env []string) (string, error) {
		cache, err := e.cacheDir()
		if err != nil {
			return "", err
		}
		return pythonenv.Make(ctx, filepath.Join(cache, "python"), root, script, log, env)
	}
}
