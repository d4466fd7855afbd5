package stack

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"refline/internal/stack/planfile"

	"refline/internal/diag"
	"refline/internal/errs"
)

// DeployOptions decide how a plan is deployed.
type DeployOptions struct {
	// Approved is the digest that was approved; the plan must have it. Empty
	// when the plan file itself is the approval.
	Approved string
	// Outdated deploys an outdated plan; the reasons are
	// recorded.
	Outdated bool
	// Emit gets each event as it is known. May be nil.
	Emit func(Progress)
}

// Deployment is what came of executing a plan.
type Deployment struct {
	StackName string `json:"stackName"`
	StackID   string `json:"stackId"`
	Status    Status `json:"status"`
	Reason    string `json:"reason,omitempty"`
	Good      bool   `json:"good"`
	// Empty says that the plan had no changes, so nothing was to be done.
	Empty bool `json:"empty,omitempty"`
	// Outdated are the reasons that the plan was outdated, when it was deployed
	// all the same.
	Outdated  []string      `json:"outdated,omitempty"`
	Took      time.Duration `json:"took"` // nanoseconds
	Resources []ResourceRun `json:"resources"`
	// Causes are why it failed, the root cause first.
	Causes  []Cause  `json:"causes,omitempty"`
	Outputs []Output `json:"outputs,omitempty"`
	// Retained are what the operation took out of the stack and kept.
	Retained []Retained `json:"retained,omitempty"`
	Recovery *Recovery  `json:"recovery,omitempty"`
}

// Cause is a resource that failed by itself, not because another one had.
type Cause struct {
	ID     string      `json:"id"`
	Type   string      `json:"type"`
	Status Status      `json:"status"`
	Reason string      `json:"reason"`
	Hint   string      `json:"hint,omitempty"`
	Place  *diag.Place `json:"place,omitempty"`
}

// StillRunningError says that the wait ended while AWS goes on.
type StillRunningError struct {
	Stack, StackName, Env string
	Err                   error
}

func (e *StillRunningError) Error() string {
	return fmt.Sprintf("AWS continues with stack %s; to watch it: refline stack events %s --env %s --follow", e.StackName, e.Stack, e.Env)
}

func (e *StillRunningError) Unwrap() error { return e.Err }

// Deploy executes exactly this plan. It refuses (Conflict or Denied) before
// anything is changed when the plan was altered, is not the approved one, is of
// another account, region or environment, or when its change set is gone,
// executed, obsolete or not of this plan, or when the plan is outdated and
// o.Outdated is not set. A deployment that fails is a
// Deployment that is not Good, not an error. When ctx ends AWS goes on: the
// error is a *[StillRunningError].
func (s *Session) Deploy(ctx context.Context, p *planfile.Plan, o DeployOptions) (*Deployment, error) {
	if err := s.mayDeploy(p, o); err != nil {
		return nil, err
	}
	if !p.Empty {
		if err := s.verify(ctx, p); err != nil {
			return nil, err
		}
	}
	outdated, err := s.mayBeOutdated(ctx, p, o)
	if err != nil {
		return nil, err
	}
	if p.Empty {
		return &Deployment{StackName: p.StackName, StackID: p.StackID, Good: true, Empty: true, Outdated: outdated, Resources: []ResourceRun{}}, s.settle(ctx, p)
	}
	hide := s.secretsOfPlan(p)
	w, err := s.newWatch(ctx, p.StackID, p.StackName, hide.emit(o.Emit))
	if err != nil {
		return nil, err
	}
	w.total, w.changeSet = len(p.Changes), p.ChangeSet
	// One plan is executed once, however often the request is sent.
	w.token = "refline-" + strings.TrimPrefix(p.Digest, "sha256:")
	how := ExecuteOptions{Token: w.token, DisableRollback: disableRollback(p), RetainExceptOnCreate: p.RetainExceptOnCreate}
	if err := s.Cloud.ExecuteChangeSet(ctx, p.ChangeSet, how); err != nil {
		return nil, s.executeError(p, err)
	}
	end, err := w.run(ctx)
	if err != nil {
		if ctx.Err() != nil {
			err = &StillRunningError{Stack: p.Stack, StackName: p.StackName, Env: p.Environment, Err: context.Cause(ctx)}
		}
		return hide.deployment(w.deployment(end)), err
	}
	d := w.deployment(end)
	d.Outdated = outdated
	if !d.Good {
		d.Causes = s.explain(ctx, p, w, d.Causes)
	}
	d.Recovery = RecoveryOf(d.Status, p.Stack, p.Environment)
	if p.Type == planfile.ChangeSetCreate && d.Status == rollbackComplete {
		d.Recovery = d.Recovery.leaving(d.Retained, p.Stack, p.Environment)
	}
	hide.deployment(d)
	return d, s.finish(ctx, p, d)
}

func disableRollback(p *planfile.Plan) *bool {
	keep := p.OnFailure == "keep"
	if p.OnFailure == "delete" && p.Type == planfile.ChangeSetCreate {
		return nil
	}
	return &keep
}

// finish sets what comes after a good deployment and writes the history.
func (s *Session) finish(ctx context.Context, p *planfile.Plan, d *Deployment) error {
	event := OperationFail
	var problem error
	if d.Good {
		event, problem = OperationDeploy, s.settle(ctx, p)
	}
	err := s.record(ctx, p.StackName, Record{Event: event, Template: p.Template.Digest, Plan: p.Digest, ChangeSet: p.ChangeSet, Outdated: d.Outdated, Origin: p.Origin})
	if err != nil {
		s.Notef("the history was not written: %v", err)
	}
	return problem
}

// settle sets what no change set does: protection from deletion and the stack
// policy.
func (s *Session) settle(ctx context.Context, p *planfile.Plan) error {
	if p.StackID == "" {
		return nil
	}
	var problems error
	if want := p.After.TerminationProtection; want != nil {
		if err := s.Cloud.Do(ctx, p.StackID, Action{Protect: want}); err != nil {
			problems = fmt.Errorf("the template of %s is deployed, but its protection from deletion is not set: %w", p.StackName, err)
		}
	}
	if p.After.StackPolicy != "" {
		if err := s.Cloud.Do(ctx, p.StackID, Action{Policy: p.After.StackPolicy}); err != nil {
			problems = errors.Join(problems, fmt.Errorf("the template of %s is deployed, but its stack policy is not set: %w", p.StackName, err))
		}
	}
	return problems
}

// mayDeploy is what the plan and the session decide without AWS.
func (s *Session) mayDeploy(p *planfile.Plan, o DeployOptions) error {
	sealed, err := p.Sealed()
	if err != nil {
		return err
	}
	switch {
	case !sealed:
		return errs.E(errs.Conflict, "the plan of %s was changed after it was made; plan again", p.StackName)
	case o.Approved != "" && o.Approved != p.Digest:
		return errs.E(errs.Conflict, "the approved plan is %s, but this file is %s; nothing was done", planfile.Short(o.Approved), planfile.Short(p.Digest))
	case p.Account != s.Caller.Account:
		return errs.E(errs.Denied, "the plan is for account %s, but these credentials are of %s (%s); nothing was done", p.Account, s.Caller.Account, s.Caller.ARN)
	case p.Environment != s.Env.Name || p.Region != s.Env.Region || p.Account != s.Env.Account:
		return errs.E(errs.Conflict, "the plan is for environment %s in account %s, %s, not for %s in %s, %s; nothing was done",
			p.Environment, p.Account, p.Region, s.Env.Name, s.Env.Account, s.Env.Region)
	case len(p.Refusals) > 0:
		var why, ways []string
		for _, r := range p.Refusals {
			why = append(why, r.Message)
			if r.Hint != "" {
				ways = append(ways, r.Hint)
			}
		}
		if ways != nil {
			why = append(why, "plan again, "+strings.Join(ways, ", "))
		}
		return errs.E(errs.Denied, "the plan of %s is refused: %s", p.StackName, strings.Join(why, "; "))
	}
	return nil
}

// mayBeOutdated refuses an outdated plan, unless that
// is wanted, and returns the reasons.
func (s *Session) mayBeOutdated(ctx context.Context, p *planfile.Plan, o DeployOptions) ([]string, error) {
	why, err := s.outdated(ctx, p)
	if err != nil || len(why) == 0 {
		return nil, err
	}
	if !o.Outdated {
		return nil, errs.E(errs.Conflict, "the plan of %s is outdated: %s; plan again: refline stack plan %s --env %s; or deploy it anyway with --outdated",
			p.StackName, strings.Join(why, "; "), p.Stack, p.Environment)
	}
	s.Notef("the plan of %s is outdated and deployed anyway: %s", p.StackName, strings.Join(why, "; "))
	return why, nil
}

// verify asks AWS whether the change set is still that of the plan.
func (s *Session) verify(ctx context.Context, p *planfile.Plan) error {
	again := fmt.Sprintf("plan again: refline stack plan %s --env %s", p.Stack, p.Environment)
	set, err := patiently(ctx, s, func() (ChangeSet, error) { return s.Cloud.ChangeSet(ctx, p.ChangeSet) })
	if errs.Is(err, errs.NotFound) {
		return errs.E(errs.Conflict, "the change set of this plan is gone: another plan of %s was deployed, or it was pruned; %s", p.StackName, again)
	}
	if err != nil {
		return fmt.Errorf("change set of the plan: %w", err)
	}
	switch set.Execution {
	case "OBSOLETE":
		return errs.E(errs.Conflict, "stack %s was changed after this plan was made: its change set is obsolete; %s", p.StackName, again)
	case "EXECUTE_COMPLETE", "EXECUTE_IN_PROGRESS", "EXECUTE_FAILED":
		return errs.E(errs.Conflict, "this plan of %s was executed already (%s); %s", p.StackName, set.Execution, again)
	}
	if set.Status != createComplete || set.Execution != "AVAILABLE" {
		return errs.E(errs.Conflict, "the change set of this plan cannot be executed: it is %s, %s; %s", set.Status, set.Execution, again)
	}
	if set.ARN != p.ChangeSet || set.StackID != p.StackID || set.StackName != p.StackName {
		return errs.E(errs.Conflict, "the change set is of stack %s, the plan of %s; nothing was done", set.StackID, p.StackID)
	}
	if !samePairs(set.Parameters, p.Parameters) || !samePairs(set.Tags, p.Tags) {
		return errs.E(errs.Conflict, "the change set has other parameters or tags than the plan; nothing was done")
	}
	text, err := patiently(ctx, s, func() (string, error) { return s.Cloud.Template(ctx, p.ChangeSet) })
	switch {
	case errs.Is(err, errs.NotFound):
		// Emulators keep no template of a change set; its ARN, which no one can
		// make a second time, binds it all the same.
		s.Notef("this service does not return the template of a change set, so it was not compared")
	case err != nil:
		return fmt.Errorf("template of the change set: %w", err)
	case planfile.DigestOf([]byte(text)) != p.Template.Digest:
		return errs.E(errs.Conflict, "the change set has another template than the plan; nothing was done")
	}
	st, err := patiently(ctx, s, func() (Stack, error) { return s.Cloud.Stack(ctx, p.StackID) })
	if err != nil {
		return fmt.Errorf("stack %s: %w", p.StackName, err)
	}
	if out := RecoveryOf(st.Status, p.Stack, p.Environment); out != nil && !out.CanPlan {
		return errs.E(errs.Conflict, "stack %s is %s: %s", p.StackName, st.Status, out)
	}
	return nil
}

// samePairs compares what a change set has with what a plan says. Which secret a
// plan was made with it does not say.
func samePairs(a, b []Pair) bool {
	order := func(x, y Pair) int { return strings.Compare(x.Key, y.Key) }
	same := func(x, y Pair) bool {
		return x.Key == y.Key && (x.Value == y.Value || strings.Contains(y.Value, hidden))
	}
	return slices.EqualFunc(slices.SortedFunc(slices.Values(a), order), slices.SortedFunc(slices.Values(b), order), same)
}

func (s *Session) executeError(p *planfile.Plan, err error) error {
	if errs.Is(err, errs.Conflict) || errs.Is(err, errs.NotFound) {
		return errs.E(errs.Conflict, "the plan of %s is no longer valid: %w; plan again: refline stack plan %s --env %s",
			p.StackName, err, p.Stack, p.Environment)
	}
	return fmt.Errorf("execute the plan of %s: %w", p.StackName, err)
}

// EnvironmentOf is the environment that a plan says it is for: that of the
// configuration, or else as the plan itself names it.
func EnvironmentOf(c *Config, p *planfile.Plan) (*Config, *Environment, error) {
	if c == nil {
		e := &Environment{Name: p.Environment, Account: p.Account, Region: p.Region, Protected: p.Protected}
		return &Config{Environments: []*Environment{e}}, e, nil
	}
	e, ok := c.Environment(p.Environment)
	if !ok {
		return nil, nil, unknown("environment", p.Environment, c.environmentNames(), c.File)
	}
	return c, e, nil
}
