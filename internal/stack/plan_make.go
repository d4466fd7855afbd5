package stack

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"refline/internal/stack/planfile"

	"refline/internal/cfn"
	"refline/internal/diag"
	"refline/internal/errs"
)

// PlanOptions decide how a plan is made.
type PlanOptions struct {
	// AllowReplace are ids ("Bucket", "Network/Bucket") of stateful resources
	// that may be replaced or removed.
	AllowReplace []string
	// Import are existing resources to take into the stack.
	Import []ImportResource
	// ImportExisting takes in what exists under the names in the template.
	ImportExisting bool
	// RevertDrift plans back what was changed by hand.
	RevertDrift bool
	Rules       *Rules
}

// Plan makes a change set for a target, waits for it and returns what it would
// do. A plan that changes nothing is Empty, and its change set is gone again.
// When AWS refuses to make it, the error is of kind Invalid and holds a finding
// for each reason, at the line of the source, nested stacks' included.
func (s *Session) Plan(ctx context.Context, t *Target, o PlanOptions) (*planfile.Plan, error) {
	if err := s.mayPlan(t); err != nil {
		return nil, err
	}
	tmpl, err := s.Config.Render(ctx, t, s.Read)
	if err != nil {
		return nil, err
	}
	if len(tmpl.resources()) == 0 {
		return nil, diag.List{{Place: tmpl.where(cfn.Path{"Resources"}), Level: diag.Error, Rule: "stacks", Subject: t.Name,
			Message: tmpl.File + " has no resources", Hint: "CloudFormation requires a Resources map with at least one entry"}}.Err()
	}
	if o.Import, err = tmpl.checkImports(o.Import); err != nil {
		return nil, fmt.Errorf("plan %s: %w", t.StackName, err)
	}
	now, err := s.state(ctx, t)
	if err != nil {
		return nil, err
	}
	p := &planfile.Plan{Version: planfile.Version, Stack: t.Name, Environment: s.Env.Name, Protected: s.Env.Protected, Account: s.Env.Account,
		Region: s.Env.Region, StackName: t.StackName, Type: now.kind(o), New: !now.exists, Role: t.Role, Capabilities: t.Capabilities,
		Configuration: planfile.Configuration{File: s.Config.File, Digest: s.Config.digest(t)},
		Origin:        s.Origin, Created: s.Clock.Now().UTC(), Allowed: slices.Sorted(slices.Values(o.AllowReplace))}
	in, err := s.changeSetInput(ctx, t, tmpl, now, p, o)
	if err != nil {
		return nil, err
	}
	hide := s.secretsOf(t, now)
	set, err := s.makeChangeSet(ctx, in, t, tmpl, now, hide)
	if err != nil {
		return nil, err
	}
	if set == nil {
		p.Empty, p.StackID = true, now.ID
		return p, p.Seal()
	}
	p.ChangeSet, p.StackID = set.ARN, set.StackID
	p.Parameters, p.Tags = set.Parameters, set.Tags
	if err := s.describe(ctx, p, *set, tmpl); err != nil {
		return nil, err
	}
	guard(p, s.Config, o.Rules)
	hide.plan(p, tmpl)
	if err := p.Seal(); err != nil {
		return nil, err
	}
	return p, s.record(ctx, t.StackName, Record{Event: OperationPlan, Template: p.Template.Digest, Plan: p.Digest, ChangeSet: p.ChangeSet})
}

// mayPlan refuses refs that a protected environment is not for.
func (s *Session) mayPlan(t *Target) error {
	if !s.Env.Protected {
		return nil
	}
	if s.Origin.Ref == "" {
		return errs.E(errs.Denied, "environment %s is protected and for %s only, and this is neither a branch nor a tag", s.Env.Name, refNames(s.Env))
	}
	if s.Origin.Request {
		return errs.E(errs.Denied, "environment %s is protected: it is planned on its own refs (%s), not for a merge request", s.Env.Name, refNames(s.Env))
	}
	if s.Origin.Dirty {
		return errs.E(errs.Denied, "environment %s is protected: it is planned from what is committed, and files here are changed (git status names them); commit or restore them", s.Env.Name)
	}
	for _, c := range s.Config.Select(Ref{Name: s.Origin.Ref, Tag: s.Origin.Tag}) {
		if c.Env == s.Env && c.Mode != ModeLint {
			return nil
		}
	}
	return errs.E(errs.Denied, "environment %s is protected and not for %s; its refs are %s", s.Env.Name,
		Ref{Name: s.Origin.Ref, Tag: s.Origin.Tag}, refNames(s.Env))
}

func refNames(e *Environment) string {
	var names []string
	for _, r := range e.Refs {
		if r.Mode == ModeLint {
			continue
		}
		names = append(names, Ref{Name: r.Branch + r.Tag, Tag: r.Tag != ""}.String())
	}
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}

// current is the stack as it is, if it exists.
type current struct {
	Stack
	exists bool // a stack that was created, not just under review
	shell  bool // only a change set was ever made: REVIEW_IN_PROGRESS
}

// state looks at the stack and refuses states that no change set helps out of.
// A stack is missing only when AWS says so of this very name.
func (s *Session) state(ctx context.Context, t *Target) (current, error) {
	st, err := patiently(ctx, s, func() (Stack, error) { return s.Cloud.Stack(ctx, t.StackName) })
	if errs.Is(err, errs.NotFound) || err == nil && st.Status == deleteComplete {
		return current{}, nil
	}
	if err != nil {
		return current{}, fmt.Errorf("look up stack %s: %w", t.StackName, err)
	}
	if st.Status == reviewInProgress {
		return current{Stack: st, shell: true}, nil
	}
	if out := RecoveryOf(st.Status, t.Name, s.Env.Name); out != nil && !out.CanPlan {
		return current{}, errs.E(errs.Conflict, "stack %s is %s: %s", t.StackName, st.Status, out)
	}
	return current{Stack: st, exists: true}, nil
}

func (c current) kind(o PlanOptions) ChangeSetType {
	switch {
	case len(o.Import) > 0:
		return planfile.ChangeSetImport
	case c.exists:
		return planfile.ChangeSetUpdate
	default:
		return planfile.ChangeSetCreate
	}
}

// changeSetInput also stages the template when there is a bucket, and fills in
// what the plan says of it.
func (s *Session) changeSetInput(ctx context.Context, t *Target, tmpl *Template, now current, p *planfile.Plan, o PlanOptions) (ChangeSetInput, error) {
	in := ChangeSetInput{Stack: t.StackName, Type: p.Type, Description: s.describeOrigin(t), Role: t.Role, Nested: true,
		Capabilities: t.Capabilities, Notifications: t.Notifications, Imports: o.Import, ImportExisting: o.ImportExisting, RevertDrift: o.RevertDrift && now.exists}
	if p.Type == planfile.ChangeSetImport {
		in.Nested = false // AWS refuses the two together
	}
	in.Name = changeSetName(t.StackName, s)
	in.Token = in.Name
	var err error
	if in.Parameters, err = s.parameters(ctx, t, tmpl, now); err != nil {
		return in, err
	}
	if in.Tags, err = s.tags(ctx, t); err != nil {
		return in, err
	}
	if p.After, err = s.after(ctx, t); err != nil {
		return in, err
	}
	p.RetainExceptOnCreate = t.RetainExceptOnCreate != nil && *t.RetainExceptOnCreate
	switch t.OnFailure {
	case "delete":
		if p.Type == planfile.ChangeSetCreate {
			in.OnFailure = "DELETE"
		}
		p.OnFailure = "delete"
	case "keep":
		p.OnFailure = "keep"
	}
	text := tmpl.sent(nil)
	p.Template = planfile.Template{File: tmpl.File, Digest: planfile.DigestOf(text)}
	if s.Env.Bucket == "" {
		in.Template.Body = string(text)
		return in, tmpl.checkSize(text, "")
	}
	staged, err := s.stage(ctx, t, tmpl)
	if err != nil {
		return in, err
	}
	in.Template.URL = staged.URL
	p.Template.URL, p.Template.Digest = staged.URL, staged.Digest
	return in, nil
}

// changeSetName has the second and six random digits: two plans of the same
// minute, or second, are two.
func changeSetName(stackName string, s *Session) string {
	suffix := s.Clock.Now().UTC().Format("-20060102-150405-") + s.Random()
	const most = 128
	return stackName[:min(len(stackName), most-len(suffix))] + suffix
}

// cleanUp is how long tidying may take once the caller has gone.
const cleanUp = 15 * time.Second

// makeChangeSet submits, waits, and cleans up what came to nothing. It gives
// nil when there is nothing to change.
func (s *Session) makeChangeSet(ctx context.Context, in ChangeSetInput, t *Target, tmpl *Template, now current, hide *secrets) (*ChangeSet, error) {
	ref, err := s.Cloud.CreateChangeSet(ctx, in)
	if errs.Is(err, errs.Invalid) {
		return nil, s.explainRefusal(in.Stack, err, t, tmpl, hide)
	}
	if err != nil {
		return nil, fmt.Errorf("make a change set for %s: %w", in.Stack, err)
	}
	set, err := s.await(ctx, ref.ARN)
	if err != nil {
		// It will not be executed: it goes, even if the caller no longer waits.
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanUp)
		defer cancel()
		if left := s.discard(last, ref, now); left != nil {
			s.Notef("change set %s is left behind: %v", ref.ARN, left)
		}
		return nil, fmt.Errorf("change set %s: %w", ref.ARN, err)
	}
	if set.Status == createComplete {
		return &set, nil
	}
	empty := nothingToChange(set)
	if empty {
		if keep, err := s.keepAsMark(ctx, set); keep || err != nil {
			return nil, err
		}
	}
	var failure error
	if !empty {
		failure = s.explainFailure(ctx, in.Stack, set, t, tmpl, hide)
	}
	if err := s.discard(ctx, ref, now); err != nil {
		failure = errors.Join(failure, fmt.Errorf("clean up change set %s: %w", ref.ARN, err))
	}
	return nil, failure
}

// discard deletes a change set that came to nothing, and the empty shell of a
// stack when this was the only reason for it.
func (s *Session) discard(ctx context.Context, ref ChangeSetRef, now current) error {
	if err := s.Cloud.DeleteChangeSet(ctx, ref.ARN); err != nil {
		return err
	}
	if now.exists || now.shell {
		return nil
	}
	return s.removeShell(ctx, ref.StackID)
}

// removeShell deletes a stack that is only under review and has no change set.
func (s *Session) removeShell(ctx context.Context, stackID string) error {
	st, err := s.Cloud.Stack(ctx, stackID)
	if errs.Is(err, errs.NotFound) || err == nil && st.Status != reviewInProgress {
		return nil
	}
	if err != nil {
		return err
	}
	left, err := s.Cloud.ListChangeSets(ctx, stackID)
	if err != nil {
		return err
	}
	for _, set := range left {
		if !strings.HasPrefix(string(set.Status), "DELETE_") {
			return nil
		}
	}
	if err := s.Cloud.Do(ctx, stackID, Action{Delete: &DeleteStack{}}); err != nil {
		return err
	}
	// Until it is gone nothing can be planned under its name.
	p := s.poller()
	for {
		st, err := s.Cloud.Stack(ctx, stackID)
		if errs.Is(err, errs.NotFound) || err == nil && st.Status != reviewInProgress && !st.Status.InProgress() {
			return nil
		}
		if !p.tolerate(ctx, err) {
			return err
		}
		if err := p.next(ctx); err != nil {
			return err
		}
	}
}

// await polls a change set until it is made or has failed.
func (s *Session) await(ctx context.Context, arn string) (ChangeSet, error) {
	p := s.poller()
	for {
		set, err := s.Cloud.ChangeSet(ctx, arn)
		if !p.tolerate(ctx, err) {
			return set, err
		}
		if err == nil {
			switch set.Status {
			case "CREATE_PENDING", "CREATE_IN_PROGRESS":
			default:
				return set, nil
			}
		}
		if err := p.next(ctx); err != nil {
			return set, err
		}
	}
}

func nothingToChange(set ChangeSet) bool {
	return set.Status == failed && (strings.Contains(set.Reason, "didn't contain changes") ||
		strings.Contains(set.Reason, "No updates are to be performed"))
}
