// Package choice decides in which executor each job of a run runs: what the user
// named, else a container for a job with an image. Such a job runs on this computer
// itself only if the user said so.
package choice

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"

	"refline/internal/errs"
	"refline/internal/executor"
	"refline/internal/pipeline"
	"refline/internal/termview"
)

// Auto is the choice by the job: one with an image runs in a container.
const Auto = "auto"

// Options say what is chosen from.
type Options struct {
	Kinds   []executor.Kind
	Named   string // the kind that the user named, or Auto
	Strict  bool   // a job with an image never runs on this computer
	Project string // its folder, or the address of its repository
	State   string // folder of the state, where answers are kept
	// Engine is the variable by which the user chose a container engine, "" for none.
	Engine string
	// NoEngine is the error of a kind if the user has no container engine.
	NoEngine error
	Notice   func(text string)
}

// Ask puts a question that is answered by yes or no.
type Ask func(question string) (bool, error)

// Executors chooses where each job of a run runs. A container engine is
// looked for only when a job wants one; a child pipeline may be the first.
type Executors struct {
	o        Options
	registry *executor.Registry
	mu       sync.Mutex // of onHost, and of the question
	onHost   onHost
	noted    sync.Once // that jobs with an image run on this computer
}

// Open decides for the run's own pipeline; see Decide. The executors are to be
// closed also after an error.
func Open(ctx context.Context, o Options, p *pipeline.Pipeline, plays func(job string) bool, ask Ask) (*Executors, error) {
	x := &Executors{o: o, registry: executor.NewRegistry(o.Kinds...)}
	var err error
	if x.onHost, err = openOnHost(o.State, o.Project); err != nil {
		return x, err
	}
	return x, x.Decide(ctx, p, plays, ask)
}

// Decide settles before a pipeline starts what can be settled: jobs that nothing
// can run end it here, with one error for all.
func (x *Executors) Decide(ctx context.Context, p *pipeline.Pipeline, plays func(job string) bool, ask Ask) error {
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

func lack(jobs []string) string {
	if len(jobs) == 1 {
		return "job " + termview.Names(jobs) + " has no image"
	}
	return fmt.Sprintf("%d jobs have no image (%s)", len(jobs), termview.Names(jobs))
}

func hasImage(j *pipeline.Job) bool { return j.Image != nil && j.Image.Name != "" }

// fixed is the kind that --executor names; false for auto.
func (x *Executors) fixed() (executor.Kind, bool) {
	for _, k := range x.registry.Kinds() {
		if k.Name == x.o.Named {
			return k, true
		}
	}
	return executor.Kind{}, false
}

// ForJob returns the executor of a job.
func (x *Executors) ForJob(ctx context.Context, j *pipeline.Job) (executor.Executor, error) {
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
func (x *Executors) host(ctx context.Context) (executor.Executor, error) {
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
		return fmt.Sprintf("job %s wants the image %s", termview.Names(w.jobs), termview.Plain(w.image))
	}
	return fmt.Sprintf("%d jobs want an image (%s)", len(w.jobs), termview.Names(w.jobs))
}

// orHost ends an error.
const orHost = "run such jobs on this computer without a container: --executor process, or REFLINE_EXECUTOR=process"

// forImage returns the executor of jobs with an image. A pipeline that was
// written for containers may remove files, install packages or stop services; so
// it runs on this computer itself only if the user said so. ask is nil without a
// terminal.
func (x *Executors) forImage(ctx context.Context, w wanted, ask Ask) (executor.Executor, error) {
	fixed, isFixed := x.fixed()
	if isFixed && !fixed.Isolated {
		if x.o.Strict {
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
	switch name := x.o.Engine; {
	case isFixed:
		return nil, fault
	case name != "":
		return nil, errs.E(errs.Unavailable, "%s: %w; unset %s, or %s", w, fault, name, orHost)
	case x.o.Strict:
		return nil, errs.E(errs.Unavailable, "%s, and --strict forbids the host: %w", w, fault)
	}
	if err := x.allowHost(w, fault, ask); err != nil {
		return nil, err
	}
	x.noted.Do(func() {
		x.o.Notice(fmt.Sprintf("%s, so jobs with an image run on this computer; remove %s to be asked again", x.engineFault(fault), x.onHost.file))
	})
	return x.host(ctx)
}

// allowHost returns nil if jobs with an image may run on this computer.
func (x *Executors) allowHost(w wanted, fault error, ask Ask) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.onHost.allowed {
		return nil
	}
	if ask == nil {
		return errs.E(errs.Unavailable, "%s, and %s; start one (refline doctor shows what is missing), or %s", w, x.engineFault(fault), orHost)
	}
	yes, err := ask(fmt.Sprintf("%s, and %s.\nRun such jobs of %s on this computer, without a container? They can change your files. The answer yes is kept. (y or n) ",
		w, x.engineFault(fault), termview.Plain(x.o.Project)))
	if err != nil {
		return err
	}
	if !yes {
		return errs.E(errs.Unavailable, "%s, and %s; start one (refline doctor shows what is missing)", w, x.engineFault(fault))
	}
	return x.onHost.allow()
}

// engineFault is why no container engine can be used. If the user has none, the
// list of sockets that were tried does not help.
func (x *Executors) engineFault(err error) string {
	if errors.Is(err, x.o.NoEngine) {
		return "no container engine answers"
	}
	return err.Error()
}

// Close closes the executors that were opened.
func (x *Executors) Close() { _ = x.registry.Close() }
