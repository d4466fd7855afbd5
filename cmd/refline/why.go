package main

import (
	"context"
	"slices"

	"refline/internal/errs"
	"refline/internal/gitlabci"
	"refline/internal/pipeline"
)

// notInPipeline is the error for a job that was named and is not in the
// pipeline: the rule that decided, its place, and options with which the job is
// in it.
func (c *compiled) notInPipeline(ctx context.Context, o *pipelineOptions, job string) error {
	x := c.result.Explain(job)
	if x == nil {
		return c.notWritten(job)
	}
	reason := x.WhyNot()
	if reason == "" {
		reason = c.result.WhyNone()
	}
	if reason == "" { // an instance that this parallel job does not have
		return errs.E(errs.NotFound, "no job %q in the pipeline of %s%s", job, c.Where(), didYouMean(job, jobNames(c.pipeline)))
	}
	return errs.E(errs.NotFound, "job %q is not in the pipeline of %s: %s%s; more: refline explain%s %s",
		job, c.Where(), reason, c.otherWay(ctx, "; it is with ", func(p *pipeline.Pipeline) bool { return hasJob(p, job) }), o.again(), shellWord(job))
}

// noPipeline is the error for options that mean no pipeline.
func (c *compiled) noPipeline(ctx context.Context) error {
	return errs.E(errs.NotFound, "no pipeline for %s: %s%s", c.Where(), c.result.WhyNone(),
		c.otherWay(ctx, "; there is one with ", func(*pipeline.Pipeline) bool { return true }))
}

// notWritten is the error for a name that no job has.
func (c *compiled) notWritten(job string) error {
	if len(job) > 0 && job[0] == '.' {
		return errs.E(errs.NotFound, "%q is hidden by its dot: it never runs, other jobs extend it", job)
	}
	var known []string
	for _, x := range c.result.Jobs {
		known = append(known, x.Job)
	}
	return errs.E(errs.NotFound, "%s has no job %q%s", c.file, job, didYouMean(job, known))
}

func hasJob(p *pipeline.Pipeline, name string) bool {
	return slices.ContainsFunc(p.Jobs, func(j pipeline.Job) bool { return j.Name == name || j.Base == name })
}

// otherWay finds an option that gives a pipeline which fits, by compiling the same
// files again: another event, the default branch, a tag. It returns phrase and
// the option, "" without one.
func (c *compiled) otherWay(ctx context.Context, phrase string, fits func(*pipeline.Pipeline) bool) string {
	if c.script || slices.ContainsFunc(c.result.Files, func(s gitlabci.Source) bool { return s.Kind == gitlabci.SourceRemote }) {
		return "" // a remote file is fetched once
	}
	type attempt struct {
		option string
		facts  gitlabci.Facts
	}
	var attempts []attempt
	for _, e := range []struct {
		option  string
		trigger pipeline.Trigger
	}{
		{"--event merge_request", pipeline.TriggerMergeRequest}, {"--event push", pipeline.TriggerPush},
		{"--event schedule", pipeline.TriggerSchedule}, {"--event web", pipeline.TriggerWeb},
		{"--event api", pipeline.TriggerAPI}, {"--event trigger", pipeline.TriggerToken},
	} {
		if e.trigger != c.Trigger && (e.trigger != pipeline.TriggerMergeRequest || c.Facts.Branch != "") {
			attempts = append(attempts, attempt{e.option, c.Facts.As(e.trigger)})
		}
	}
	if c.root != "" { // with --repo another ref is another commit
		if main := c.Facts.DefaultBranch; main != "" && main != c.Facts.Branch {
			f := c.Facts
			f.Branch, f.Tag, f.Protected = main, "", true
			attempts = append(attempts, attempt{"--branch " + shellWord(main), f.As(pipeline.TriggerPush)})
		}
		if c.Facts.Tag == "" {
			f := c.Facts
			f.Branch, f.Tag, f.Protected = "", "v1.0.0", false
			attempts = append(attempts, attempt{"--tag v1.0.0", f.As(pipeline.TriggerPush)})
		}
	}
	for _, a := range attempts {
		res, err := c.CompileAs(ctx, a.facts)
		if err == nil && res.Pipeline != nil && fits(res.Pipeline) {
			return phrase + a.option
		}
	}
	return ""
}
