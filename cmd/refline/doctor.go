package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"refline/internal/executor/docker"
	"refline/internal/git"
)

func newDoctorCmd(e *env) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Tell what this computer has of what runs need",
		Long: `Tell what this computer has of what runs need: git, shells, a container engine,
Python, folders that can be written.

Exit codes: 0 all that is needed is there, 1 something needed is missing, 2 usage.`,
		Example: "  refline doctor",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			checks := examine(cmd.Context(), e)
			if asJSON {
				if err := e.printJSON(checks); err != nil {
					return err
				}
			} else {
				printChecks(e, checks)
			}
			for _, c := range checks {
				if c.Needed && !c.OK {
					return errShown
				}
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print as JSON")
	return cmd
}

// check is one thing that a run may need.
type check struct {
	Name   string `json:"name"`
	OK     bool   `json:"ok"`
	Needed bool   `json:"needed"`
	Found  string `json:"found"`
	Advice string `json:"advice,omitempty"`
}

func examine(ctx context.Context, e *env) []check {
	var out []check
	v, err := git.Version(ctx)
	out = append(out, check{"git", err == nil && git.NewEnough(v), true, v, "install git " + git.MinVersion + " or newer"})
	out = append(out, program("bash", false, "jobs run with sh instead; pipefail may be missing there"))
	out = append(out, program("sh", true, "jobs need a POSIX shell"))
	out = append(out, engineCheck(ctx, e))
	out = append(out, program("python3", false, "flows written in Python need it"))
	out = append(out, program("uv", false, "Python environments are made with venv and pip instead, which is slower"))
	out = append(out, program("ssh", false, "repositories by ssh need it"))
	out = append(out, program("git-lfs", false, "run --lfs needs it"))
	for _, d := range []struct {
		name, set string
		dir       func() (string, error)
	}{{"cache folder", "REFLINE_CACHE_DIR", e.cacheDir}, {"state folder", "REFLINE_STATE_DIR", e.stateDir}} {
		out = append(out, writable(d.name, d.set, d.dir))
	}
	return out
}

func program(name string, needed bool, advice string) check {
	path, err := exec.LookPath(name)
	return check{name, err == nil, needed, path, advice}
}

func engineCheck(ctx context.Context, e *env) check {
	c := check{Name: "containers", Advice: "jobs with an image run on the host"}
	d := docker.New(docker.Options{Getenv: e.getenv})
	defer d.Close()
	if err := d.Available(ctx); err != nil {
		c.Found = err.Error()
		return c
	}
	c.OK, c.Found = true, "an engine answers"
	return c
}

func writable(name, set string, dir func() (string, error)) check {
	c := check{Name: name, Needed: true, Advice: "set " + set + " to a folder that can be written"}
	path, err := dir()
	if err == nil {
		err = os.MkdirAll(path, 0o700)
	}
	if err == nil {
		probe := filepath.Join(path, ".write")
		if err = os.WriteFile(probe, nil, 0o600); err == nil {
			err = os.Remove(probe)
		}
	}
	c.OK, c.Found = err == nil, path
	if err != nil {
		c.Found = err.Error()
		if path == "" {
			c.Advice = "" // the error says what to do
		}
	}
	return c
}

func printChecks(e *env, checks []check) {
	var rows [][]string
	for _, c := range checks {
		mark, text := "✓", c.Found
		if !c.OK {
			mark = "–"
			if c.Needed {
				mark = "✗"
			}
			if text == "" {
				text = "not found"
			}
			if c.Advice != "" {
				text += "; " + c.Advice
			}
		}
		rows = append(rows, []string{mark + " " + c.Name, strings.ReplaceAll(text, "\n", " ")})
	}
	for _, line := range alignColumns(rows) {
		fmt.Fprintln(e.stdout, line)
	}
}
