package localrun

import (
	"slices"
	"strconv"
	"strings"

	"refline/internal/pipeline"
)

// Manual says which manual jobs of a run are played.
type Manual struct {
	Names    []string // jobs to play; "all" means every one
	Jobs     []string // jobs that the run was asked for
	Pipeline *pipeline.Pipeline
	Earlier  *EarlierRun // nil for none
}

// Check returns a name that no manual job has, if there is one.
func (m Manual) Check() (name string, ok bool) {
	for _, name := range m.Names {
		if name == "all" {
			continue
		}
		found := slices.ContainsFunc(m.Pipeline.Jobs, func(j pipeline.Job) bool {
			return (j.Name == name || j.Base == name) && j.When == pipeline.WhenManual
		})
		// The job may be one of a child pipeline, which is not known yet.
		child := slices.ContainsFunc(m.Pipeline.Jobs, func(j pipeline.Job) bool { return j.Downstream != nil })
		if !found && !child {
			return name, false
		}
	}
	return "", true
}

// Known are the names of the pipeline's manual jobs.
func (m Manual) Known() []string {
	var names []string
	for _, j := range m.Pipeline.Jobs {
		if j.When == pipeline.WhenManual {
			names = append(names, j.Name)
		}
	}
	return names
}

// Plays reports whether a manual job is played when its turn comes. In a child
// pipeline a job's name follows its trigger's: "trigger / job".
func (m Manual) Plays(name string) bool {
	root := m.Pipeline.Job(name)
	base := name[strings.LastIndex(name, " / ")+1:]
	base = strings.TrimPrefix(base, "/ ")
	if root != nil {
		base = root.Base
	}
	for _, played := range m.Names {
		if played == "all" || played == name || played == base {
			return true
		}
	}
	return root != nil && slices.Contains(m.Jobs, name) || m.Earlier.Passed(name) || m.Earlier.played(name)
}

// Answered are the waiting jobs that an answer means: a number of the list, a
// name, what comes before the variables of a parallel job, or all.
func (m Manual) Answered(answer string, jobs []string) []string {
	if slices.Contains(jobs, answer) {
		return []string{answer}
	}
	if n, err := strconv.Atoi(answer); err == nil && n >= 1 && n <= len(jobs) {
		return []string{jobs[n-1]}
	}
	return slices.DeleteFunc(slices.Clone(jobs), func(name string) bool {
		j := m.Pipeline.Job(name)
		return answer != "all" && (j == nil || j.Base != answer)
	})
}
