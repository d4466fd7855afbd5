package main

import (
	"context"
	"fmt"

	"refline/internal/errs"
	"refline/internal/executor"
	"refline/internal/executor/docker"
	"refline/internal/executor/process"
	"refline/internal/pipeline"
)

// places are where the jobs of a run go: to processes of this computer, to
// containers, or by --executor auto to the one that fits each job.
type places struct {
	mode         string
	strict       bool
	defaultImage string
	process      *process.Executor
	docker       *docker.Executor // nil where no engine answers
	why          error            // why not
}

// choosePlaces looks for a container engine only when a job may want one.
func choosePlaces(ctx context.Context, e *env, o *runOptions, p *pipeline.Pipeline, c *compiled) (*places, error) {
	s := &places{mode: o.executor, strict: o.strict, defaultImage: o.defaultImage}
	switch o.executor {
	case "auto", "process", "docker":
	default:
		return nil, usagef("--executor %q is none of auto, process, docker", o.executor)
	}
	if o.executor != "docker" {
		s.process = process.New()
	}
	if o.executor == "process" || o.executor == "auto" && !wantsImage(p) {
		return s, s.checkStrict(p)
	}
	d, err := docker.New(ctx, docker.Options{Getenv: e.getenv})
	switch {
	case err == nil:
		s.docker = d
		if err := d.Sweep(ctx); err != nil {
			e.notef("containers of earlier runs could not be removed: %v", err)
		}
	case o.executor == "docker":
		return nil, err
	default:
		s.why = err
		if n := countImages(p); !o.strict {
			e.notef("no container engine answers, so %s with an image run on this host; --strict refuses instead", plural(n, "job"))
		}
	}
	return s, s.checkStrict(p)
}

func wantsImage(p *pipeline.Pipeline) bool { return countImages(p) > 0 }

func countImages(p *pipeline.Pipeline) int {
	n := 0
	for i := range p.Jobs {
		if p.Jobs[i].Trigger != nil || hasImage(&p.Jobs[i]) {
			n++
		}
	}
	return n
}

func hasImage(j *pipeline.Job) bool { return j.Image != nil && j.Image.Name != "" }

func (s *places) checkStrict(p *pipeline.Pipeline) error {
	if !s.strict || s.docker != nil {
		return nil
	}
	for i := range p.Jobs {
		if hasImage(&p.Jobs[i]) {
			why := "--executor process has none"
			if s.why != nil {
				why = s.why.Error()
			}
			return errs.E(errs.Unavailable, "job %q wants the image %s and --strict forbids the host: %s", p.Jobs[i].Name, p.Jobs[i].Image.Name, why)
		}
	}
	return nil
}

// forJob gives the executor of a job, and fills in the default image.
func (s *places) forJob(j *pipeline.Job) (executor.Executor, error) {
	if s.docker != nil && (hasImage(j) || s.mode == "docker") {
		if !hasImage(j) {
			if s.defaultImage == "" {
				return nil, errs.E(errs.Invalid, "job %q has no image; give one to all such jobs: --default-image NAME", j.Name)
			}
			j.Image = &pipeline.Image{Name: s.defaultImage}
		}
		return s.docker, nil
	}
	if s.strict && hasImage(j) {
		return nil, errs.E(errs.Unavailable, "job %q wants the image %s and --strict forbids the host", j.Name, j.Image.Name)
	}
	return s.process, nil
}

func (s *places) close() {
	if s.process != nil {
		_ = s.process.Close()
	}
	if s.docker != nil {
		_ = s.docker.Close()
	}
}

var _ = fmt.Sprint
