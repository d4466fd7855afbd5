package host

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"time"

	"refline/internal/cli"
	"refline/internal/pythonenv"
)

// PythonEnv makes the environments of Python scripts in the cache folder.
func PythonEnv(e *cli.Env) func(ctx context.Context, root, script string, log io.Writer, env []string) (string, error) {
	return func(ctx context.Context, root, script string, log io.Writer, env []string) (string, error) {
		cache, err := e.CacheDir()
		if err != nil {
			return "", err
		}
		fold := &foldedLog{log: log, now: e.Now, name: "python_environment", title: "install what the script needs"}
		dir, err := pythonenv.Make(ctx, filepath.Join(cache, "python"), root, script, fold, env)
		if err == nil {
			fold.end() // without an end the section is shown whole
		}
		return dir, err
	}
}

// PythonPackage writes the Python package to the cache folder.
func PythonPackage(e *cli.Env) func() (string, error) {
	return func() (string, error) {
		cache, err := e.CacheDir()
		if err != nil {
			return "", err
		}
		return pythonenv.Package(filepath.Join(cache, "python"))
	}
}

// foldedLog puts what is written into a section that is shown as one line.
type foldedLog struct {
	log         io.Writer
	now         func() time.Time
	name, title string
	begun       bool
}

func (f *foldedLog) Write(p []byte) (int, error) {
	if !f.begun {
		f.begun = true
		if _, err := fmt.Fprintf(f.log, "\x1b[0Ksection_start:%d:%s[collapsed=true]\r\x1b[0K%s\n", f.now().Unix(), f.name, f.title); err != nil {
			return 0, err
		}
	}
	return f.log.Write(p)
}

func (f *foldedLog) end() {
	if f.begun {
		_, _ = fmt.Fprintf(f.log, "\x1b[0Ksection_end:%d:%s\r\x1b[0K\n", f.now().Unix(), f.name)
	}
}
