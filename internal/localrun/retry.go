package localrun

import (
	"fmt"
	"slices"

	"refline/internal/diag"
	"refline/internal/errs"
	"refline/internal/history"
	"refline/internal/pipeline"
)

// FindJobs gives the job of a name, or all jobs of a parallel job; with no name
// every job.
func FindJobs(r *history.Run, name string) ([]*history.Job, error) {
	var exact, based []*history.Job
	var names []string
	for i := range r.Jobs {
		j := &r.Jobs[i]
		names = append(names, j.Name)
		switch {
		case name == "" || j.Name == name:
			exact = append(exact, j)
		case j.Base == name:
			based = append(based, j)
			names = append(names, j.Base)
		}
	}
	if len(exact) > 0 {
		return exact, nil
	}
	if len(based) > 0 {
		return based, nil
	}
	near := ""
	if n := diag.Nearest(name, names); n != "" {
		near = fmt.Sprintf("; did you mean %q?", n)
	}
	return nil, errs.E(errs.NotFound, "run %d has no job %q%s; refline runs show %d lists them", r.Number, name, near, r.Number)
}

// JobNames are the full names of the jobs that names mean: a job, or all that are
// made of a parallel one.
func JobNames(r *history.Run, names []string) ([]string, error) {
	var out []string
	for _, name := range names {
		found, err := FindJobs(r, name)
		if err != nil {
			return nil, err
		}
		for _, j := range found {
			out = append(out, j.Name)
		}
	}
	return out, nil
}

// LeftToDo reports whether something of a run did not pass. Manual jobs that
// nobody played, and what rules skip after them, wait for no retry.
func LeftToDo(r *history.Run) bool {
	return slices.ContainsFunc(r.Jobs, func(j history.Job) bool {
		return j.Status != pipeline.StatusSuccess && j.Status != pipeline.StatusManual
	})
}
