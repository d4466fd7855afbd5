package stack

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"refline/internal/cfn"
	"refline/internal/errs"
	"refline/internal/stack/planfile"
)

// CommitRule says which commit's plans may be deployed.
type CommitRule string

// The rules.
const (
	CommitSame     CommitRule = "same"     // the one that is checked out
	CommitAncestor CommitRule = "ancestor" // that one or one before it
)

// outdated lists why a plan is outdated: its stack or its
// settings left the configuration, another commit is checked out, or a later
// plan of the stack took its place. Without a reason the list is empty.
func (s *Session) outdated(ctx context.Context, p *planfile.Plan) ([]string, error) {
	why := s.leftConfiguration(p)
	commit, err := s.otherCommit(ctx, p)
	if err != nil {
		return nil, err
	}
	if commit != "" {
		why = append(why, commit)
	}
	later, err := s.laterPlan(ctx, p)
	if err != nil {
		return nil, err
	}
	if later != "" {
		why = append(why, later)
	}
	return why, nil
}

func (s *Session) leftConfiguration(p *planfile.Plan) []string {
	if s.Config.source == nil {
		return []string{"no configuration is here to compare it with; deploy from a checkout of its commit"}
	}
	d, ok := s.Config.Stack(p.Stack)
	if !ok || !d.in(s.Env) {
		return []string{fmt.Sprintf("stack %s is not in environment %s of %s", p.Stack, s.Env.Name, s.Config.File)}
	}
	if digest := s.Config.digest(s.Config.Target(d, s.Env)); digest != p.Configuration.Digest {
		return []string{fmt.Sprintf("%s has other settings for %s in %s than when it was planned", s.Config.File, p.Stack, s.Env.Name)}
	}
	return nil
}

func (s *Session) otherCommit(ctx context.Context, p *planfile.Plan) (string, error) {
	planned, here := p.Origin.Commit, s.Origin.Commit
	if planned == here {
		return "", nil
	}
	text := fmt.Sprintf("it was planned at %s, but %s is checked out", commitName(planned), commitName(here))
	if s.Env.PlanCommit != CommitAncestor || planned == "" || here == "" {
		return text, nil
	}
	if s.IsAncestor == nil {
		return text + ", and there is no repository here to compare the two", nil
	}
	before, err := s.IsAncestor(ctx, planned)
	switch {
	case ctx.Err() != nil:
		return "", context.Cause(ctx)
	case err != nil:
		return fmt.Sprintf("%s, and whether that contains it is not known: %v", text, err), nil
	case before:
		return "", nil
	}
	return text + ", which does not contain it", nil
}

func commitName(id string) string {
	if id == "" {
		return "no commit"
	}
	return id[:min(len(id), 12)]
}

// laterPlan describes the plan of the stack that took the place of p, if there
// is one.
func (s *Session) laterPlan(ctx context.Context, p *planfile.Plan) (string, error) {
	if p.ChangeSet == "" {
		return "", nil // executes nothing
	}
	sets, err := patiently(ctx, s, func() ([]ChangeSet, error) { return s.Cloud.ListChangeSets(ctx, p.StackID) })
	if errs.Is(err, errs.NotFound) {
		return "", nil // what is left of it is for verify to say
	}
	if err != nil {
		return "", fmt.Errorf("plans of %s: %w", p.StackName, err)
	}
	i := slices.IndexFunc(sets, func(c ChangeSet) bool { return c.ARN == p.ChangeSet })
	if i < 0 {
		return "", nil
	}
	for _, c := range sets {
		replaced := replaces(c, sets[i])
		if !replaced && planAgain(c, sets[i]) {
			if replaced, err = s.differs(ctx, p, c); err != nil {
				return "", err
			}
		}
		if replaced {
			return fmt.Sprintf("a later plan of %s replaced it (%s)", p.StackName, strings.TrimPrefix(c.Description, planPrefix)), nil
		}
	}
	return "", nil
}

// replaces reports whether plan a took the place of plan b: it is later, of
// another commit or without changes, and of the same ref or of one that deploys.
// A merge request's plan replaces no branch's.
func replaces(a, b ChangeSet) bool {
	x, y, later := laterOf(a, b)
	return later && (nothingToChange(a) || x.commit != y.commit)
}

// planAgain reports whether plan a is plan b made again, of the same commit. It
// replaces b only if it came to something else.
func planAgain(a, b ChangeSet) bool {
	x, y, later := laterOf(a, b)
	return later && x.commit == y.commit
}

// laterOf reads what a and b say of themselves, and reports whether a is a later
// plan that could take the place of b.
func laterOf(a, b ChangeSet) (x, y describedPlan, later bool) {
	x, ours := readDescription(a.Description)
	y, theirs := readDescription(b.Description)
	if !ours || !theirs || a.Parent != "" || !a.Created.After(b.Created) {
		return x, y, false
	}
	if a.Status != createComplete && !nothingToChange(a) {
		return x, y, false // it came to nothing
	}
	return x, y, !x.review || x.ref == y.ref && y.review
}

// differs reports whether a later change set has other values or another
// template than a plan.
func (s *Session) differs(ctx context.Context, p *planfile.Plan, later ChangeSet) (bool, error) {
	set, err := patiently(ctx, s, func() (ChangeSet, error) { return s.Cloud.ChangeSet(ctx, later.ARN) })
	if errs.Is(err, errs.NotFound) {
		return false, nil // gone meanwhile
	}
	if err != nil {
		return false, fmt.Errorf("change set %s: %w", later.ARN, err)
	}
	if !samePairs(set.Parameters, p.Parameters) || !samePairs(set.Tags, p.Tags) {
		return true, nil
	}
	text, err := patiently(ctx, s, func() (string, error) { return s.Cloud.Template(ctx, later.ARN) })
	if errs.Is(err, errs.NotFound) {
		return false, nil // see verify
	}
	if err != nil {
		return false, fmt.Errorf("template of change set %s: %w", later.ARN, err)
	}
	return planfile.DigestOf([]byte(text)) != p.Template.Digest, nil
}

// keepAsMark reports whether a change set without changes stays: it marks
// earlier plans of the stack that nobody executed as replaced, which nothing
// else would show. Marks before it go.
func (s *Session) keepAsMark(ctx context.Context, set ChangeSet) (bool, error) {
	sets, err := patiently(ctx, s, func() ([]ChangeSet, error) { return s.Cloud.ListChangeSets(ctx, set.StackID) })
	if err != nil {
		return false, fmt.Errorf("plans of %s: %w", set.StackName, err)
	}
	waiting := 0
	for _, c := range sets {
		switch {
		case !replaces(set, c):
		case nothingToChange(c):
			if err := s.Cloud.DeleteChangeSet(ctx, c.ARN); err != nil {
				return false, fmt.Errorf("delete change set %s, which is not needed any more: %w", c.ARN, err)
			}
		case c.Execution == available:
			waiting++
		}
	}
	if waiting == 0 {
		return false, nil
	}
	s.Notef("%s: pending plans that are outdated now: %d; to remove them: refline stack plans --env %s --prune", set.StackName, waiting, s.Env.Name)
	return true, nil
}

// planPrefix begins the description of every change set that a plan made, so
// that those nobody executed are found again.
const planPrefix = "refline plan: "

// forReview marks in a description that the plan's ref does not deploy.
const forReview = "for review"

// describeOrigin is the description of a plan's change set: "refline plan:
// landing in dev, develop 3f9c2ab, https://…".
func (s *Session) describeOrigin(t *Target) string {
	text := planPrefix + t.Name + " in " + s.Env.Name
	if s.Origin.Ref != "" {
		text += ", " + Ref{Name: s.Origin.Ref, Tag: s.Origin.Tag}.String()
	}
	if s.Origin.Commit != "" {
		text += " " + s.Origin.Commit
	}
	if s.reviewsOnly() {
		text += ", " + forReview
	}
	if s.Origin.Pipeline != "" {
		text += ", " + s.Origin.Pipeline
	}
	const most = 1024
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "")
	}
	return text
}

// reviewsOnly reports whether the ref is one whose plans nobody deploys: a
// merge request's, or one that the configuration lets plan but not deploy.
func (s *Session) reviewsOnly() bool {
	if s.Origin.Request {
		return true
	}
	for _, c := range s.Config.Select(Ref{Name: s.Origin.Ref, Tag: s.Origin.Tag}) {
		if c.Env == s.Env {
			return c.Mode != ModeDeploy
		}
	}
	return false
}

// describedPlan is what a description says of a plan's ref.
type describedPlan struct {
	ref    string // "tag v1" for a tag, "" for none
	commit string
	review bool
}

// readDescription reads what describeOrigin wrote; ok is false for change sets
// of others.
func readDescription(text string) (d describedPlan, ok bool) {
	text, ok = strings.CutPrefix(text, planPrefix)
	if !ok {
		return d, false
	}
	parts := strings.Split(text, ", ")
	d.review = slices.Contains(parts[1:], forReview)
	if len(parts) > 1 && parts[1] != forReview {
		switch words := strings.Fields(parts[1]); len(words) {
		case 1:
			d.ref = words[0]
		case 2:
			d.ref, d.commit = words[0], words[1]
		case 3:
			d.ref, d.commit = words[0]+" "+words[1], words[2]
		}
	} else if _, commit, ok := strings.Cut(parts[0], " in "); ok {
		_, d.commit, _ = strings.Cut(commit, " ") // a commit on no branch
	}
	return d, true
}

// digest is over what the configuration says of a target: the stack, its
// environment without the other stacks' settings, and what holds for all.
func (c *Config) digest(t *Target) string {
	value := func(path ...string) any {
		n := c.source.At(cfn.Path(path))
		if n == nil {
			return nil
		}
		var v any
		if err := json.Unmarshal(n.JSON(), &v); err != nil {
			return string(n.JSON()) // what cfn writes is JSON
		}
		return v
	}
	env, _ := value("environments", t.Env.Name).(map[string]any)
	delete(env, "stacks")
	text, err := json.Marshal([]any{value("stacks", t.Name), env, value("environments", t.Env.Name, "stacks", t.Name), value("stateful"), value("rules")})
	if err != nil {
		return "" // maps of what came from JSON go back to it
	}
	return planfile.DigestOf(text)
}
