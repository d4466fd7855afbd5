package localpipeline

import (
	"context"
	"strings"

	"refline/internal/diag"
	"refline/internal/errs"
	"refline/internal/pipeline"
	"refline/internal/termview"
)

// NotInPipeline is the error for a job that was named and is not in the
// pipeline: the rule that decided, its place, and options with which the job is
// in it.
func (c *Compiled) NotInPipeline(ctx context.Context, o *Options, job string) error {
	x := c.Result.Explain(job)
	if x == nil {
		return c.NotWritten(job)
	}
	reason := x.WhyNot()
	if reason == "" {
		reason = c.Result.WhyNone()
	}
	if reason == "" { // an instance that this parallel job does not have
		return errs.E(errs.NotFound, "no job %q in the pipeline of %s%s", job, c.Where(), diag.DidYouMean(job, jobNames(c.Pipeline)))
	}
	return errs.E(errs.NotFound, "job %q is not in the pipeline of %s: %s%s; more: refline explain%s %s",
		job, c.Where(), reason, c.otherWay(ctx, "; it is with ", func(p *pipeline.Pipeline) bool { return len(p.Named(job)) > 0 }), o.Again(), termview.Argument(job))
}

// NoPipeline is the error for options that mean no pipeline.
func (c *Compiled) NoPipeline(ctx context.Context) error {
	return errs.E(errs.NotFound, "no pipeline for %s: %s%s", c.Where(), c.Result.WhyNone(),
		c.otherWay(ctx, "; there is one with ", func(*pipeline.Pipeline) bool { return true }))
}

// NotWritten is the error for a name that no job has.
func (c *Compiled) NotWritten(job string) error {
	if len(job) > 0 && job[0] == '.' {
		return errs.E(errs.NotFound, "%q is hidden by its dot: it never runs, other jobs extend it", job)
	}
	var known []string
	for _, x := range c.Result.Jobs {
		known = append(known, x.Job)
	}
	return errs.E(errs.NotFound, "%s has no job %q%s", c.File, job, diag.DidYouMean(job, known))
}

// otherWay finds an option that gives a pipeline which fits, by compiling the same
// files again: another event, the default branch, a tag. It returns phrase and
// the option, "" without one.
func (c *Compiled) otherWay(ctx context.Context, phrase string, fits func(*pipeline.Pipeline) bool) string {
	for _, a := range c.Alternatives() {
		option := "--event " + strings.TrimSuffix(string(a.Trigger), "_event")
		switch {
		case (a.Branch != "" || a.Tag != "") && c.Root == "":
			continue // with --repo another ref is another commit
		case a.Branch != "":
			option = "--branch " + termview.ShellWord(a.Branch)
		case a.Tag != "":
			option = "--tag " + termview.ShellWord(a.Tag)
		}
		if res, err := c.Try(ctx, a); err == nil && res.Pipeline != nil && fits(res.Pipeline) {
			return phrase + option
		}
	}
	return ""
}

func jobNames(p *pipeline.Pipeline) []string {
	names := make([]string, len(p.Jobs))
	for i := range p.Jobs {
		names[i] = p.Jobs[i].Name
	}
	return names
}
