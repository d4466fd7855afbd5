package main

import (
	"context"
	"fmt"
	"sync"

	"refline/internal/errs"
	"refline/internal/executor"
	"refline/internal/executor/docker"
	"refline/internal/executor/process"
	"refline/internal/pipeline"
)

// places are where the jobs of a run go: to processes of this computer, to
// containers, or by --executor auto to the one that fits each job.
type places struct {
	e            *env
	mode         string
	strict       bool
	defaultImage string
	privileged   []string // patterns of images
	logins       bool     // jobs get sockets for a deploy key or tokens
	process      *process.Executor

	mu     sync.Mutex
	asked  bool // for a container engine
	docker *docker.Executor
	why    error // why there is none
}

// choosePlaces settles where jobs run. A container engine is looked for only
// when the first job wants one; a child pipeline may have it.
func choosePlaces(ctx context.Context, e *env, o *runOptions, p *pipeline.Pipeline) (*places, error) {
	switch o.executor {
	case "auto", "process", "docker":
	default:
		return nil, usagef("--executor %q is none of auto, process, docker", o.executor)
	}
	s := &places{
		e: e, mode: o.executor, strict: o.strict, defaultImage: o.defaultImage, privileged: o.privileged, process: process.New(),
		logins: len(o.deployKey.specs) > 0 || len(o.gitTokens) > 0,
	}
	s.fillImages(p)
	if o.executor == "docker" {
		if _, err := s.containers(ctx); err != nil {
			return s, err
		}
	}
	if o.strict {
		for i := range p.Jobs {
			if hasImage(&p.Jobs[i]) {
				if _, err := s.forJob(ctx, &p.Jobs[i]); err != nil {
					return s, err
				}
			}
		}
	}
	return s, nil
}

func hasImage(j *pipeline.Job) bool { return j.Image != nil && j.Image.Name != "" }

// containers finds the container engine, once, and removes what runs that were
// killed left in it.
func (s *places) containers(ctx context.Context) (*docker.Executor, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.asked {
		return s.docker, s.why
	}
	s.asked = true
	d := docker.New(docker.Options{
		Getenv: s.e.getenv, Privileged: s.privileged, Notice: func(text string) { s.e.notef("%s", text) },
	})
	if s.why = d.Available(ctx); s.why != nil {
		if s.mode == "auto" && !s.strict {
			s.e.notef("%s, so jobs with an image run on this host; --strict refuses instead", s.none(s.why))
		}
		return nil, s.why
	}
	s.docker = d
	if s.logins {
		if engine, err := d.Elsewhere(ctx); err == nil && engine != "" {
			s.e.notef("the container engine is on another system (%s), where sockets of this one seldom work: jobs in containers may not reach the deploy key or token; where they do not, run them with --executor process, or refline where the engine is", engine)
		}
	}
	if err := d.Sweep(ctx); err != nil {
		s.e.notef("containers of earlier runs could not be removed: %v", err)
	}
	return s.docker, nil
}

// none says why there is no container engine: in full when the user has one, or
// named one.
func (s *places) none(why error) string {
	named := s.e.getenv("DOCKER_HOST") != "" || s.e.getenv("DOCKER_CONTEXT") != ""
	if named || !errs.Is(why, errs.Unavailable) {
		return fmt.Sprintf("no container engine can be used (%v)", why)
	}
	return "no container engine answers"
}

// fillImages gives the default image to jobs without one, before any runs.
func (s *places) fillImages(p *pipeline.Pipeline) {
	for i := range p.Jobs {
		if s.mode == "docker" && s.defaultImage != "" && !hasImage(&p.Jobs[i]) {
			p.Jobs[i].Image = &pipeline.Image{Name: s.defaultImage}
		}
	}
}

// forJob gives the executor of a job.
func (s *places) forJob(ctx context.Context, j *pipeline.Job) (executor.Executor, error) {
	if s.mode == "docker" && !hasImage(j) {
		return nil, errs.E(errs.Invalid, "job %q has no image; give one to all such jobs: --default-image NAME", j.Name)
	}
	if !hasImage(j) {
		return s.process, nil
	}
	why := errs.E(errs.Unavailable, "--executor process has no containers")
	if s.mode != "process" {
		d, err := s.containers(ctx)
		if err == nil {
			return d, nil
		}
		why = err
	}
	if s.strict || s.mode == "docker" {
		return nil, errs.E(errs.Unavailable, "job %q wants the image %s, and --strict forbids the host: %w", j.Name, j.Image.Name, why)
	}
	return s.process, nil
}

func (s *places) close() {
	_ = s.process.Close()
	if s.docker != nil {
		_ = s.docker.Close()
	}
}
