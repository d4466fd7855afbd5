package scheduler

import (
	"context"
	"fmt"

	"refline/internal/definition"
	"refline/internal/errs"
	"refline/internal/git"
	"refline/internal/source"
	"refline/internal/store"
)

// FlowImage is the image of a flow: its files, and what it is compiled from.
type FlowImage struct {
	Name   string // registry/name:tag
	Digest string
	Pinned string // registry/name@digest
	Code   *source.Frozen
}

// ofImage reports whether a flow's files are in an image and not in the project's
// repository.
func (n Launch) ofImage() bool { return n.Flow != nil && n.Flow.RefKind == store.RefImage }

// compileImage is [Launcher.Compile] for a flow in an image.
func (l *Launcher) compileImage(ctx context.Context, n Launch, id int64) (*Resolved, error) {
	f := n.Flow
	switch {
	case l.Image == nil:
		return nil, errs.E(errs.Invalid, "flow %s is in an image, and this server reads none", f.Name)
	case n.Ref != (git.Ref{}) || n.Commit != "":
		return nil, errs.E(errs.Invalid, "flow %s is in the image %s, which has one commit; register another: refline flow register --image IMAGE --path %s", f.Name, f.Ref, f.Path)
	}
	img, err := l.Image(ctx, n.Project, *f)
	if err != nil {
		return nil, err
	}
	if !n.Register && !f.FollowTag && f.Pinned != "" && img.Digest != f.Pinned {
		return nil, errs.E(errs.Conflict, "image %s moved: it is at %s now and was at %s when flow %s was registered; register it again: refline flow register --image %s --path %s; or let it follow the tag: refline flow set %s --follow-tag",
			f.Ref, img.Digest, f.Pinned, f.Name, f.Ref, f.Path, f.Name)
	}
	variables, err := l.Variables(ctx, n.Project)
	if err != nil {
		return nil, err
	}
	variables.Project = n.Trust.Visible(variables.Project)
	variables.Pipeline, variables.Protected = n.Variables, ProtectedRefs(n.Project)
	d, err := definition.Compile(ctx, definition.Request{
		Source: img.Code, File: n.file(), Trigger: n.Trigger, Target: n.Target, PipelineID: id, Created: l.Now(),
		Inputs: n.inputs(), Variables: variables, Unproven: true,
	})
	if err != nil {
		return nil, fmt.Errorf("image %s: %w", f.Ref, err)
	}
	return &Resolved{Commit: git.Resolved{Commit: img.Code.Commit.SHA}, Definition: d, Image: &img}, nil
}
