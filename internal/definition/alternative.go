package definition

import (
	"context"
	"slices"

	"refline/internal/gitlabci"
	"refline/internal/pipeline"
)

// Alternative is another way to start a pipeline of the same commit. Empty fields
// keep what the definition has.
type Alternative struct {
	Trigger     pipeline.Trigger
	Branch, Tag string
}

// Alternatives are the ways to start that [Definition.Try] can compile without
// another commit or another download, the likeliest first.
func (d *Definition) Alternatives() []Alternative {
	if d.Script || slices.ContainsFunc(d.Files, func(s gitlabci.Source) bool { return s.Kind == gitlabci.SourceRemote }) {
		return nil
	}
	var list []Alternative
	for _, t := range []pipeline.Trigger{
		pipeline.TriggerMergeRequest, pipeline.TriggerPush, pipeline.TriggerSchedule,
		pipeline.TriggerWeb, pipeline.TriggerAPI, pipeline.TriggerToken,
	} {
		if t != d.Trigger && (t != pipeline.TriggerMergeRequest || d.Facts.Branch != "") {
			list = append(list, Alternative{Trigger: t})
		}
	}
	if main := d.Facts.DefaultBranch; main != "" && main != d.Facts.Branch {
		list = append(list, Alternative{Trigger: pipeline.TriggerPush, Branch: main})
	}
	if d.Facts.Tag == "" {
		list = append(list, Alternative{Trigger: pipeline.TriggerPush, Tag: "v1.0.0"})
	}
	return list
}

// Try compiles the same files as they would be for an alternative.
func (d *Definition) Try(ctx context.Context, a Alternative) (*gitlabci.Result, error) {
	f := d.Facts
	if a.Branch != "" || a.Tag != "" {
		f.Branch, f.Tag = a.Branch, a.Tag
		f.Protected = a.Branch != "" && a.Branch == f.DefaultBranch
	}
	in := d.input
	in.Predefined = gitlabci.Predefined(f.As(a.Trigger))
	return gitlabci.Compile(ctx, in)
}
