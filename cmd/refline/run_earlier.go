package main

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
	"refline/internal/localrun"
	"refline/internal/pipeline"
)

// earlierRun is the run that a new one takes the results of jobs from.
type earlierRun struct {
	store history.Store
	run   *history.Run
	again []string // jobs that are run again although they passed
	retry bool     // the run is made again, not only used
}

// job gives the job of a name; nil for none.
func (r *earlierRun) job(name string) *history.Job {
	if r == nil {
		return nil
	}
	i := slices.IndexFunc(r.run.Jobs, func(j history.Job) bool { return j.Name == name })
	if i < 0 {
		return nil
	}
	return &r.run.Jobs[i]
}

// passed reports whether a job is taken from the run.
func (r *earlierRun) passed(name string) bool {
	j := r.job(name)
	return j != nil && j.Status == pipeline.StatusSuccess && !slices.ContainsFunc(r.again, func(again string) bool {
		return name == again || strings.HasPrefix(name, again+" / ") // with its child pipeline
	})
}

// played reports whether a manual job was played in the run that is made again.
func (r *earlierRun) played(name string) bool {
	j := r.job(name)
	return j != nil && r.retry && (j.Log != "" || j.Status == pipeline.StatusSuccess)
}

// below gives the jobs of the child pipelines that a trigger job started.
func (r *earlierRun) below(trigger string) []history.Job {
	var out []history.Job
	for _, j := range r.run.Jobs {
		if strings.HasPrefix(j.Name, trigger+" / ") {
			j.Workspace = ""
			if j.EarlierRun == 0 {
				j.EarlierRun = r.run.Number
			}
			out = append(out, j)
		}
	}
	return out
}

// check refuses a run of another project.
func (r *earlierRun) check(project string) error {
	if r == nil || r.run.Project == project {
		return nil
	}
	return errs.E(errs.Invalid, "run %d is of %s, and this one of %s; refline runs lists the runs", r.run.Number, r.run.Project, project)
}

// take brings what is kept of a job, and of the child pipeline that it started,
// into the folder of the new run, which stays whole when the earlier one is
// removed.
func (r *earlierRun) take(ctx context.Context, folder, name string) (localrun.Earlier, error) {
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
func (r *earlierRun) bring(ctx context.Context, folder string, j *history.Job) (localrun.Earlier, error) {
	old := r.store.Folder(r.run.Number)
	e := localrun.Earlier{Run: cmp.Or(j.EarlierRun, r.run.Number)}
	if j.Log != "" {
		e.Log = filepath.Join(folder, j.Log)
		if err := linkOrCopy(filepath.Join(old, j.Log), e.Log); err != nil {
			e.Log = "" // the result counts without it, too
		}
	}
	from, to := artifact.NewFolder(old), artifact.NewFolder(folder)
	key := j.Artifacts
	if key == "" && r.run.Finished.IsZero() && j.Log != "" {
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
		return e, errs.E(errs.KindOf(err), "artifacts of job %q of run %d: %w; to run it again: --job %s", j.Name, r.run.Number, err, shellWord(j.Name))
	}
	return e, nil
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

// openEarlier opens the run of --artifacts-from.
func (s *session) openEarlier() error {
	if s.o.artifactsFrom == "" {
		return nil
	}
	store, r, err := readRun(s.e, []string{s.o.artifactsFrom})
	if err != nil {
		return err
	}
	if store.Alive(r.Number) {
		return errs.E(errs.Conflict, "run %d is still running", r.Number)
	}
	s.earlier = &earlierRun{store: store, run: r}
	return nil
}

// chooseEarlier leaves out, with --only, what is neither named nor in the earlier
// run. What is named is run again.
func (s *session) chooseEarlier(p *pipeline.Pipeline, names []string) *pipeline.Pipeline {
	if !s.earlier.retry {
		s.earlier.again = names
	}
	if !s.o.only {
		return p
	}
	keep := slices.Clone(names)
	for i := range p.Jobs {
		if s.earlier.passed(p.Jobs[i].Name) {
			keep = append(keep, p.Jobs[i].Name)
		}
	}
	return pipeline.Select(p, keep, false)
}

// useEarlier gives the engine the jobs of the earlier run.
func (s *session) useEarlier(in *localrun.Input) {
	if s.earlier == nil {
		return
	}
	in.HasEarlier = func(run, job string) bool { return s.earlier.passed(s.names.Of(run, job)) }
	in.TakeEarlier = func(ctx context.Context, run, job string) (localrun.Earlier, error) {
		return s.earlier.take(ctx, s.store.Folder(s.record.Number), s.names.Of(run, job))
	}
}
