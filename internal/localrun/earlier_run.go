package localrun

import (
	"cmp"
	"context"
	"errors"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"refline/internal/artifact"
	"refline/internal/engine"
	"refline/internal/errs"
	"refline/internal/history"
	"refline/internal/pipeline"
)

// EarlierRun is the run that a new one takes the results of jobs from.
type EarlierRun struct {
	Store history.Store
	Run   *history.Run
	Again []string // jobs that are run again although they passed
	Retry bool     // the run is made again, not only used
	// FromFailed gives jobs that run again the results that their tasks kept.
	FromFailed bool
	// Quote makes a name a word of a command line, for advice.
	Quote func(name string) string
}

// job gives the job of a name; nil for none.
func (r *EarlierRun) job(name string) *history.Job {
	if r == nil {
		return nil
	}
	i := slices.IndexFunc(r.Run.Jobs, func(j history.Job) bool { return j.Name == name })
	if i < 0 {
		return nil
	}
	return &r.Run.Jobs[i]
}

// Passed reports whether a job is taken from the run.
func (r *EarlierRun) Passed(name string) bool {
	j := r.job(name)
	return j != nil && j.Status == pipeline.StatusSuccess && !slices.ContainsFunc(r.Again, func(again string) bool {
		return name == again || strings.HasPrefix(name, again+" / ") // with its child pipeline
	})
}

// played reports whether a manual job was played in the run that is made again.
func (r *EarlierRun) played(name string) bool {
	j := r.job(name)
	return j != nil && r.Retry && (j.Log != "" || j.Status == pipeline.StatusSuccess)
}

// below gives the jobs of the child pipelines that a trigger job started.
func (r *EarlierRun) below(trigger string) []history.Job {
	var out []history.Job
	for _, j := range r.Run.Jobs {
		if strings.HasPrefix(j.Name, trigger+" / ") {
			j.Workspace = ""
			if j.EarlierRun == 0 {
				j.EarlierRun = r.Run.Number
			}
			out = append(out, j)
		}
	}
	return out
}

// Check refuses a run of another project.
func (r *EarlierRun) Check(project string) error {
	if r == nil || r.Run.Project == project {
		return nil
	}
	return errs.E(errs.Invalid, "run %d is of %s, and this one of %s; refline runs lists the runs", r.Run.Number, r.Run.Project, project)
}

// take brings what is kept of a job, and of the child pipeline that it started,
// into the folder of the new run, which stays whole when the earlier one is
// removed.
func (r *EarlierRun) take(ctx context.Context, folder, name string) (Earlier, error) {
	e, err := r.bring(ctx, folder, r.job(name))
	for _, j := range r.below(name) {
		if err != nil {
			break
		}
		_, err = r.bring(ctx, folder, &j)
	}
	return e, err
}

// bring brings the log and the artifacts of one job.
func (r *EarlierRun) bring(ctx context.Context, folder string, j *history.Job) (Earlier, error) {
	old := r.Store.Folder(r.Run.Number)
	e := Earlier{Run: cmp.Or(j.EarlierRun, r.Run.Number)}
	if j.Log != "" {
		e.Log = filepath.Join(folder, j.Log)
		if err := linkOrCopy(filepath.Join(old, j.Log), e.Log); err != nil {
			e.Log = "" // the result counts without it, too
		}
	}
	from, to := artifact.NewFolder(old), artifact.NewFolder(folder)
	key := j.Artifacts
	if key == "" && r.Run.Finished.IsZero() && j.Log != "" {
		// A run that was killed has no record of artifacts; the log has the same name.
		key = "artifacts/" + strings.TrimSuffix(path.Base(filepath.ToSlash(j.Log)), ".log")
		if _, err := from.Info(ctx, key); err != nil {
			key = ""
		}
	}
	if key == "" {
		return e, nil
	}
	err := to.Import(ctx, from, key)
	if err == nil {
		e.Artifacts = key
		e.Dotenv, err = engine.KeptDotenv(ctx, to, key)
	}
	if err != nil {
		return e, errs.E(errs.KindOf(err), "artifacts of job %q of run %d: %w; to run it again: --job %s", j.Name, r.Run.Number, err, r.Quote(j.Name))
	}
	return e, nil
}

// results brings what the tasks of a job kept, and returns its key; "" for nothing.
func (r *EarlierRun) results(ctx context.Context, folder, name string) (string, error) {
	j := r.job(name)
	if !r.FromFailed || j == nil || j.Results == "" {
		return "", nil
	}
	return j.Results, artifact.NewFolder(folder).Import(ctx, artifact.NewFolder(r.Store.Folder(r.Run.Number)), j.Results)
}

func linkOrCopy(from, to string) error {
	if os.Link(from, to) == nil {
		return nil
	}
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

// choose leaves out, with only, what is neither named nor in the earlier run. What
// is named is run again.
func (r *EarlierRun) choose(p *pipeline.Pipeline, names []string, only bool) *pipeline.Pipeline {
	if !r.Retry {
		r.Again = names
	}
	if !only {
		return p
	}
	keep := slices.Clone(names)
	for i := range p.Jobs {
		if r.Passed(p.Jobs[i].Name) {
			keep = append(keep, p.Jobs[i].Name)
		}
	}
	return pipeline.Select(p, keep, false)
}

// Use gives a run, whose folder is given, the jobs of the earlier run.
func (r *EarlierRun) Use(in *Input, names *Names, folder string) {
	if r == nil {
		return
	}
	in.EarlierResults = func(ctx context.Context, run, job string) (string, error) {
		return r.results(ctx, folder, names.Of(run, job))
	}
	in.HasEarlier = func(run, job string) bool { return r.Passed(names.Of(run, job)) }
	in.TakeEarlier = func(ctx context.Context, run, job string) (Earlier, error) {
		return r.take(ctx, folder, names.Of(run, job))
	}
}
