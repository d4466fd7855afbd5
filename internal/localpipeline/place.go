// Package localpipeline opens the pipeline that a command line means: the code of a
// working tree or of a commit, with the user's credentials, the variables of the
// project, and the compiled definition; and says why a job is not in it.
//
// Nothing that it is given is changed. It does not know flags, how a pipeline is
// compiled, or how one runs.
package localpipeline

import (
	"fmt"
	"io"
	"path/filepath"
	"time"

	"refline/internal/secretsource"
)

// Place is where a command works.
type Place struct {
	Dir          string // relative paths are relative to it
	Getenv       func(string) string
	Environ      func() []string
	Now          func() time.Time
	Stdin        io.Reader
	State, Cache func() (string, error) // folders
	Notice       func(text string)
	Secrets      *secretsource.Source
}

func (p *Place) notef(format string, args ...any) { p.Notice(fmt.Sprintf(format, args...)) }

func (p *Place) path(name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(p.Dir, name)
}

// Short is the part of a commit's name that people read.
func Short(sha string) string { return sha[:min(7, len(sha))] }
