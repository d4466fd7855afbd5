package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"

	"refline/internal/errs"
	"refline/internal/executor"
	"refline/internal/pipeline"
	"refline/internal/termview"
)

// jobExecutors chooses where each job of a run runs. A container engine is
// looked for only when a job wants one; a child pipeline may be the first.
type jobExecutors struct {
	e        *env
	o        *runOptions
	registry *executor.Registry
	project  string
	mu       sync.Mutex // of onHost, and of the question
	onHost   onHost
	noted    sync.Once // that jobs with an image run on this computer
}

// openExecutors decides for the run's own pipeline; see decide.
func openExecutors(ctx context.Context, e *env, o *runOptions, p *pipeline.Pipeline, project string, plays func(job string) bool, ask func(question string) (bool, error)) (*jobExecutors, error) {
	x := &jobExecutors{e: e, o: o, registry: executor.NewRegistry(executorKinds(e, o)...), project: project}
	var err error
	if x.onHost, err = openOnHost(e, project); err != nil {
		return x, err
	}
	return x, x.decide(ctx, p, plays, ask)
}

// decide settles before a pipeline starts what can be settled: jobs that nothing
// can run end it here, with one error for all.
func (x *jobExecutors) decide(ctx context.Context, p *pipeline.Pipeline, plays func(job string) bool, ask func(question string) (bool, error)) error {
	runs := func(j *pipeline.Job) bool {
		return j.Downstream == nil && (j.When != pipeline.WhenManual || plays(j.Name))
	}
	var with, without []string
	image := ""
	for i := range p.Jobs {
		switch j := &p.Jobs[i]; {
		case !runs(j):
		case hasImage(j):
			with = append(with, j.Name)
			image = cmp.Or(image, j.Image.Name)
		default:
			without = append(without, j.Name)
		}
	}
	if k, ok := x.fixed(); ok && k.Isolated {
		if len(without) > 0 {
			return errs.E(errs.Invalid, "--executor %s: %s; give such jobs one with --default-image NAME", k.Name, lack(without))
		}
		_, err := x.registry.Open(ctx, k.Name)
		return err
	}
	if len(with) == 0 {
		return nil
	}
	_, err := x.forImage(ctx, wanted{jobs: with, image: image}, ask)
	return err
}

// confirmer asks on the terminal; nil without one.
func (s *session) confirmer() func(string) (bool, error) {
	if !s.e.interactive || s.o.json {
		return nil
	}
	return func(text string) (bool, error) {
		yes, err := s.e.askYes(s.e.stdout, text)
		if errors.Is(err, io.EOF) {
			err = nil // no answer is no
		}
		return yes, err
	}
}

// pausing takes the live lines away while a question is asked.
func (s *session) pausing(ask func(string) (bool, error)) func(string) (bool, error) {
	if ask == nil {
		return nil
	}
	return func(text string) (bool, error) {
		s.view.Close()
		defer s.view.Reopen()
		return ask(text)
	}
}

// maxNamed is how many jobs an error names.
const maxNamed = 5

func nameSome(jobs []string) string {
	some := make([]string, 0, maxNamed)
	for _, name := range jobs[:min(len(jobs), maxNamed)] {
		some = append(some, termview.Plain(name))
	}
	text := strings.Join(some, ", ")
	if more := len(jobs) - maxNamed; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

func lack(jobs []string) string {
	if len(jobs) == 1 {
		return "job " + nameSome(jobs) + " has no image"
	}
	return fmt.Sprintf("%d jobs have no image (%s)", len(jobs), nameSome(jobs))
}

func hasImage(j *pipeline.Job) bool { return j.Image != nil && j.Image.Name != "" }

// fixed is the kind that --executor names; false for auto.
func (x *jobExecutors) fixed() (executor.Kind, bool) {
	for _, k := range x.registry.Kinds() {
		if k.Name == x.o.executor {
			return k, true
		}
	}
	return executor.Kind{}, false
}

// forJob returns the executor of a job.
func (x *jobExecutors) forJob(ctx context.Context, j *pipeline.Job) (executor.Executor, error) {
	if hasImage(j) {
		return x.forImage(ctx, wanted{jobs: []string{j.Name}, image: j.Image.Name}, nil)
	}
	if k, ok := x.fixed(); ok {
		if k.Isolated {
			return nil, errs.E(errs.Invalid, "%s; give such jobs one with --default-image NAME", lack([]string{j.Name}))
		}
		return x.registry.Open(ctx, k.Name)
	}
	return x.host(ctx)
}

// host opens the first kind that needs no image.
func (x *jobExecutors) host(ctx context.Context) (executor.Executor, error) {
	for _, k := range x.registry.Kinds() {
		if !k.Isolated {
			return x.registry.Open(ctx, k.Name)
		}
	}
	return nil, errs.E(errs.Internal, "no executor for jobs without an image")
}

// wanted are jobs that want an image, and the first one's.
type wanted struct {
	jobs  []string
	image string
}

func (w wanted) String() string {
	if len(w.jobs) == 1 {
		return fmt.Sprintf("job %s wants the image %s", nameSome(w.jobs), termview.Plain(w.image))
	}
	return fmt.Sprintf("%d jobs want an image (%s)", len(w.jobs), nameSome(w.jobs))
}

// orHost ends an error.
const orHost = "run such jobs on this computer without a container: --executor process, or REFLINE_EXECUTOR=process"

// forImage returns the executor of jobs with an image. A pipeline that was
// written for containers may remove files, install packages or stop services; so
// it runs on this computer itself only if the user said so. ask is nil without a
// terminal.
func (x *jobExecutors) forImage(ctx context.Context, w wanted, ask func(string) (bool, error)) (executor.Executor, error) {
	fixed, isFixed := x.fixed()
	if isFixed && !fixed.Isolated {
		if x.o.strict {
			return nil, errs.E(errs.Invalid, "%s, --executor %s has no containers, and --strict forbids the host", w, fixed.Name)
		}
		return x.registry.Open(ctx, fixed.Name)
	}
	var fault error
	for _, k := range x.registry.Kinds() {
		if !k.Isolated || isFixed && k.Name != fixed.Name {
			continue
		}
		ex, err := x.registry.Open(ctx, k.Name)
		if err == nil {
			return ex, nil
		}
		if cause := context.Cause(ctx); cause != nil {
			return nil, cause
		}
		fault = err
	}
	switch name := namedEngine(x.e); {
	case isFixed:
		return nil, fault
	case name != "":
		return nil, errs.E(errs.Unavailable, "%s: %w; unset %s, or %s", w, fault, name, orHost)
	case x.o.strict:
		return nil, errs.E(errs.Unavailable, "%s, and --strict forbids the host: %w", w, fault)
	}
	if err := x.allowHost(w, fault, ask); err != nil {
		return nil, err
	}
	x.noted.Do(func() {
		x.e.notef("%s, so jobs with an image run on this computer; remove %s to be asked again", engineFault(fault), x.onHost.file)
	})
	return x.host(ctx)
}

// allowHost returns nil if jobs with an image may run on this computer.
func (x *jobExecutors) allowHost(w wanted, fault error, ask func(string) (bool, error)) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.onHost.allowed {
		return nil
	}
	if ask == nil {
		return errs.E(errs.Unavailable, "%s, and %s; start one (refline doctor shows what is missing), or %s", w, engineFault(fault), orHost)
	}
	yes, err := ask(fmt.Sprintf("%s, and %s.\nRun such jobs of %s on this computer, without a container? They can change your files. The answer yes is kept. (y or n) ",
		w, engineFault(fault), termview.Plain(x.project)))
	if err != nil {
		return err
	}
	if !yes {
		return errs.E(errs.Unavailable, "%s, and %s; start one (refline doctor shows what is missing)", w, engineFault(fault))
	}
	return x.onHost.allow()
}

func (x *jobExecutors) close() { _ = x.registry.Close() }
