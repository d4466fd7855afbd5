package stack

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"refline/internal/stack/planfile"

	"github.com/google/go-cmp/cmp"

	"refline/internal/errs"
)

func happened(id, kind string, status Status, reason string) Event {
	return Event{LogicalID: id, PhysicalID: "phys-" + id, Type: kind, Status: status, Reason: reason}
}

// own is an event of the stack itself.
func own(status Status) Event { return Event{PhysicalID: "self", Status: status} }

// planned is a world with an existing stack and a plan that renames its bucket.
func planned(t *testing.T, more string) (*world, *planfile.Plan) {
	t.Helper()
	w := newWorld(t, fmt.Sprintf(oneStack, more, ", bucket: staging"), map[string]string{"policy.json": `{"Statement": []}`})
	w.add("landing-dev", createComplete)
	w.made = changes(rename)
	return w, w.plan(PlanOptions{AllowReplace: []string{"Bucket"}})
}

func goodUpdate() [][]Event {
	return [][]Event{
		{own("UPDATE_IN_PROGRESS")},
		{happened("Bucket", "AWS::S3::Bucket", "UPDATE_IN_PROGRESS", "")},
		{happened("Bucket", "AWS::S3::Bucket", "UPDATE_COMPLETE", ""), own("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS")},
		{own("UPDATE_COMPLETE")},
	}
}

func TestDeployExecutesThePlan(t *testing.T) {
	t.Parallel()
	w, p := planned(t, ", termination_protection: true, stack_policy: policy.json")
	w.script = goodUpdate()
	var lines []string
	d, err := w.Deploy(t.Context(), p, DeployOptions{Approved: p.Digest, Emit: func(e Progress) {
		lines = append(lines, fmt.Sprintf("%s %s %d/%d %v", e.ID, e.Status, e.Done, e.Total, e.Took))
	}})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{" UPDATE_IN_PROGRESS 0/1 0s", "Bucket UPDATE_IN_PROGRESS 0/1 0s", "Bucket UPDATE_COMPLETE 1/1 3.8s",
		" UPDATE_COMPLETE_CLEANUP_IN_PROGRESS 1/1 0s", " UPDATE_COMPLETE 1/1 0s"}
	if diff := cmp.Diff(want, lines); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	if !d.Good || d.Status != "UPDATE_COMPLETE" || d.Resources[0].Took != 3800*time.Millisecond || d.Took <= 0 || len(d.Resources) != 1 || d.Recovery != nil {
		t.Errorf("deployment %+v", d)
	}
	if w.count("ExecuteChangeSet disableRollback false") != 1 {
		t.Errorf("rollback was not left on explicitly: %v", w.calls)
	}
	if len(w.actions) != 2 || !*w.actions[0].Protect || w.actions[1].Policy != `{"Statement": []}` {
		t.Errorf("after the deployment: %+v", w.actions)
	}
	history, err := w.History(t.Context(), "landing-dev", 0)
	if err != nil || len(history) != 2 || history[0].Event != OperationDeploy || history[0].Plan != p.Digest || history[0].Author != "A. Üser" || history[1].Event != OperationPlan {
		t.Errorf("history %+v, %v", history, err)
	}
}

func TestDeployRefuses(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		spoil func(w *world, p *planfile.Plan) DeployOptions
		kind  errs.Kind
		want  string
	}{
		"a plan that was changed": {func(_ *world, p *planfile.Plan) DeployOptions { p.Changes = nil; return DeployOptions{} },
			errs.Conflict, "was changed after it was made"},
		"plan A approved for plan B": {func(w *world, _ *planfile.Plan) DeployOptions {
			return DeployOptions{Approved: w.plan(PlanOptions{AllowReplace: []string{"Bucket"}}).Digest}
		}, errs.Conflict, "the approved plan is sha256:"},
		"another account": {func(w *world, _ *planfile.Plan) DeployOptions {
			w.Session.Caller.Account = "222222222222"
			return DeployOptions{}
		},
			errs.Denied, "the plan is for account 111111111111, but these credentials are of 222222222222"},
		"another region": {func(w *world, _ *planfile.Plan) DeployOptions { w.Env.Region = "eu-west-2"; return DeployOptions{} },
			errs.Conflict, "the plan is for environment dev in account 111111111111, eu-west-1, not for dev in 111111111111, eu-west-2"},
		"obsolete": {func(w *world, p *planfile.Plan) DeployOptions {
			w.sets[p.ChangeSet].Execution = "OBSOLETE"
			return DeployOptions{}
		},
			errs.Conflict, "stack landing-dev was changed after this plan was made: its change set is obsolete; plan again: refline stack plan landing --env dev"},
		"executed": {func(w *world, p *planfile.Plan) DeployOptions {
			w.sets[p.ChangeSet].Execution = "EXECUTE_COMPLETE"
			return DeployOptions{}
		}, errs.Conflict, "was executed already"},
		"gone": {func(w *world, p *planfile.Plan) DeployOptions { delete(w.sets, p.ChangeSet); return DeployOptions{} },
			errs.Conflict, "the change set of this plan is gone"},
		"failed": {func(w *world, p *planfile.Plan) DeployOptions {
			w.sets[p.ChangeSet].Status = failed
			return DeployOptions{}
		},
			errs.Conflict, "cannot be executed: it is FAILED"},
		"other parameters": {func(w *world, p *planfile.Plan) DeployOptions {
			w.sets[p.ChangeSet].Parameters = []Pair{{Key: "Size", Value: "9"}}
			return DeployOptions{}
		}, errs.Conflict, "other parameters or tags"},
		"other template": {func(w *world, p *planfile.Plan) DeployOptions {
			w.texts[p.ChangeSet] = "Resources: {}"
			return DeployOptions{}
		},
			errs.Conflict, "another template"},
		"a stack at work": {func(w *world, _ *planfile.Plan) DeployOptions {
			w.find("landing-dev").Status = "UPDATE_IN_PROGRESS"
			return DeployOptions{}
		}, errs.Conflict, "AWS is at work on it"},
		"obsolete in between": {func(w *world, _ *planfile.Plan) DeployOptions {
			w.execute = func(string) error { return errs.E(errs.Conflict, "ChangeSet cannot be executed: OBSOLETE") }
			return DeployOptions{}
		}, errs.Conflict, "the plan of landing-dev is no longer valid: ChangeSet cannot be executed: OBSOLETE; plan again"},
	} {
		w, p := planned(t, "")
		o := tc.spoil(w, p)
		_, err := w.Deploy(t.Context(), p, o)
		if !errs.Is(err, tc.kind) || !strings.Contains(fmt.Sprint(err), tc.want) {
			t.Errorf("%s: got %v, want %s", name, err, tc.want)
		}
		if name != "obsolete in between" && w.count("ExecuteChangeSet") != 0 {
			t.Errorf("%s: it was executed", name)
		}
	}
}

func TestFailedDeploymentHasItsRootCauseFirst(t *testing.T) {
	t.Parallel()
	w, p := planned(t, "")
	nested := w.add("landing-dev-Network-X", "UPDATE_IN_PROGRESS")
	nested.Parent = "root"
	inNested := func(e Event) Event { e.StackID = nested.ID; return e }
	atNested := func(status Status, reason string) Event {
		return Event{LogicalID: "Network", PhysicalID: nested.ID, Type: nestedStack, Status: status, Reason: reason}
	}
	// An older operation of the nested stack must not show.
	w.happen([]Event{inNested(happened("Ancient", "AWS::SNS::Topic", "CREATE_FAILED", "long ago"))})
	w.script = [][]Event{
		{own("UPDATE_IN_PROGRESS"), atNested("UPDATE_IN_PROGRESS", "")},
		{inNested(happened("Vpc", "AWS::EC2::VPC", "UPDATE_IN_PROGRESS", "")), happened("Bucket", "AWS::S3::Bucket", "UPDATE_IN_PROGRESS", "")},
		{inNested(happened("Vpc", "AWS::EC2::VPC", "UPDATE_FAILED", "VPC limit exceeded")),
			happened("Bucket", "AWS::S3::Bucket", "UPDATE_FAILED", "Resource update cancelled"),
			atNested("UPDATE_FAILED", "Embedded stack was not successfully updated")},
		{own("UPDATE_ROLLBACK_IN_PROGRESS")},
		{happened("Bucket", "AWS::S3::Bucket", "UPDATE_COMPLETE", ""), own("UPDATE_ROLLBACK_COMPLETE")},
	}
	d, err := w.Deploy(t.Context(), p, DeployOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if d.Good || d.Status != "UPDATE_ROLLBACK_COMPLETE" {
		t.Errorf("deployment is %s, good %t", d.Status, d.Good)
	}
	want := []Cause{{ID: "Network/Vpc", Type: "AWS::EC2::VPC", Status: "UPDATE_FAILED", Reason: "VPC limit exceeded"}}
	if diff := cmp.Diff(want, d.Causes); diff != "" {
		t.Errorf("causes (-want +got):\n%s", diff)
	}
	for _, r := range d.Resources {
		if strings.Contains(r.ID, "Ancient") {
			t.Error("an older operation is told as this one")
		}
	}
}

func TestCauseHasItsLine(t *testing.T) {
	t.Parallel()
	w, p := planned(t, "")
	w.script = [][]Event{{own("UPDATE_IN_PROGRESS"), happened("Bucket", "AWS::S3::Bucket", "CREATE_FAILED", "landing-b already exists")},
		{own("UPDATE_ROLLBACK_FAILED")}}
	d, err := w.Deploy(t.Context(), p, DeployOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if len(d.Causes) != 1 || d.Causes[0].Place.String() != "template.yml:2:3" || d.Causes[0].Hint == "" {
		t.Errorf("causes %+v", d.Causes)
	}
	if d.Recovery == nil || !strings.Contains(d.Recovery.String(), "refline stack continue landing --env dev") {
		t.Errorf("way out %v", d.Recovery)
	}
}

func TestOnFailure(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		setting string
		exists  bool
		create  string
		execute string
	}{
		{"", true, "", "false"},
		{", on_failure: rollback", true, "", "false"},
		{", on_failure: keep", true, "", "true"},
		{", on_failure: delete", true, "", "false"},
		{", on_failure: delete", false, "DELETE", "not sent"},
		{", on_failure: keep", false, "", "true"},
	} {
		w := newWorld(t, fmt.Sprintf(oneStack, tc.setting, ""), nil)
		if tc.exists {
			w.add("landing-dev", createComplete)
		}
		w.made = changes(ResourceChange{Action: "Add", LogicalID: "Topic", Type: "AWS::SNS::Topic"})
		w.script = [][]Event{{own("CREATE_IN_PROGRESS")}, {own("CREATE_COMPLETE")}}
		p := w.plan(PlanOptions{})
		if got := w.inputs[p.ChangeSet].OnFailure; got != tc.create {
			t.Errorf("%s, exists %t: change set with %q, want %q", tc.setting, tc.exists, got, tc.create)
		}
		if _, err := w.Deploy(t.Context(), p, DeployOptions{}); err != nil {
			t.Fatal(err)
		}
		if w.count("ExecuteChangeSet disableRollback "+tc.execute) != 1 {
			t.Errorf("%s, exists %t: want disableRollback %s in %v", tc.setting, tc.exists, tc.execute, w.calls)
		}
	}
}

func TestCanceledDeploymentGoesOnInAWS(t *testing.T) {
	t.Parallel()
	w, p := planned(t, "")
	w.script = [][]Event{{own("UPDATE_IN_PROGRESS")}}
	ctx, cancel := context.WithCancel(t.Context())
	_, err := w.Deploy(ctx, p, DeployOptions{Emit: func(Progress) { cancel() }})
	var left *StillRunningError
	if !errors.As(err, &left) || !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v, want a StillRunningError", err)
	}
	if want := "AWS continues with stack landing-dev; to watch it: refline stack events landing --env dev --follow"; err.Error() != want {
		t.Errorf("got %s", err)
	}
}

func TestDeployThroughThrottling(t *testing.T) {
	t.Parallel()
	w, p := planned(t, "")
	w.script = goodUpdate()
	once := true
	d, err := w.Deploy(t.Context(), p, DeployOptions{Emit: func(Progress) {
		if once {
			once = false
			w.throttle = 12
		}
	}})
	if err != nil || !d.Good {
		t.Errorf("got %+v, %v", d, err)
	}
}

func TestThrottledBeforeAnythingIsDone(t *testing.T) {
	t.Parallel()
	w, p := planned(t, "")
	w.script = goodUpdate()
	w.throttle = readPatience
	if _, err := w.Deploy(t.Context(), p, DeployOptions{}); !errs.Is(err, errs.Unavailable) || w.count("ExecuteChangeSet") != 0 {
		t.Errorf("got %v after %v", err, w.calls)
	}
	w.throttle = readPatience - 1
	if d, err := w.Deploy(t.Context(), p, DeployOptions{}); err != nil || !d.Good {
		t.Errorf("got %+v, %v", d, err)
	}
}

func TestDeployWithoutEvents(t *testing.T) {
	t.Parallel()
	w, p := planned(t, "")
	w.script = nil // as servers do that execute at once and tell no events
	w.execute = func(string) error { return nil }
	w.Clock.Sleep = func(ctx context.Context, _ time.Duration) error {
		w.find("landing-dev").Status = "UPDATE_COMPLETE"
		return ctx.Err()
	}
	d, err := w.Deploy(t.Context(), p, DeployOptions{})
	if err != nil || !d.Good {
		t.Errorf("got %+v, %v", d, err)
	}
}

func TestPlanFile(t *testing.T) {
	t.Parallel()
	_, p := planned(t, ", tags: {x: \"a\\xffb\"}")
	text, err := p.Encode()
	if err != nil {
		t.Fatal(err)
	}
	again, err := planfile.Decode("p.json", text)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(p, again); diff != "" {
		t.Errorf("plan after its file (-want +got):\n%s", diff)
	}
	for _, spoil := range [][2]string{
		{`"landing-dev"`, `"landing-prod"`}, {`"dev"`, `"prod"`}, {"111111111111", "222222222222"}, {"landing-b", "landing-c"}, {"changeSet/", "changeset/"},
	} {
		_, err := planfile.Decode("p.json", []byte(strings.Replace(string(text), spoil[0], spoil[1], 1)))
		if !errs.Is(err, errs.Conflict) {
			t.Errorf("%s for %s: got %v", spoil[1], spoil[0], err)
		}
	}
	for _, bad := range []string{"", "[]", `{"version": 9}`, `{"version": 1}`, `{"version": 2, "more": true}`} {
		if _, err := planfile.Decode("p.json", []byte(bad)); !errs.Is(err, errs.Invalid) {
			t.Errorf("%q: got %v", bad, err)
		}
	}
}

func TestEmptyPlanStillSettles(t *testing.T) {
	t.Parallel()
	w := newWorld(t, fmt.Sprintf(oneStack, ", termination_protection: true, stack_policy: policy.yml", ""),
		map[string]string{"policy.yml": "Statement: []\n"})
	s := w.add("landing-dev", createComplete)
	w.made = fails("No updates are to be performed.")
	d, err := w.Deploy(t.Context(), w.plan(PlanOptions{}), DeployOptions{})
	if err != nil || !d.Good || !s.TerminationProtection || w.actions[1].Policy != "{\n  \"Statement\": []\n}\n" {
		t.Errorf("got %+v, %v; actions %+v", d, err, w.actions)
	}
}

func TestPublishIsImmutable(t *testing.T) {
	t.Parallel()
	w := newWorld(t, fmt.Sprintf(oneStack, "", ", bucket: staging, prefix: cf, kms_key: k"), nil)
	a, err := w.Publish(t.Context(), w.target("landing"))
	if err != nil {
		t.Fatal(err)
	}
	b, err := w.Publish(t.Context(), w.target("landing"))
	if err != nil || !a.New || b.New || a.Key != b.Key {
		t.Errorf("published %+v then %+v, %v", a, b, err)
	}
	o := w.objects["staging/"+a.Key]
	want := map[string]string{"stack": "landing", "environment": "dev", "commit": "3f9c2ab", "ref": "develop", "pipeline": "7", "author": "A.+%C3%9Cser"}
	if diff := cmp.Diff(want, o.Metadata); diff != "" || o.KMSKey != "k" || string(o.Body) != bucketTemplate {
		t.Errorf("object with key %s and metadata (-want +got):\n%s", o.KMSKey, diff)
	}
	history, err := w.History(t.Context(), "landing-dev", 1)
	if err != nil || len(history) != 1 || history[0].Event != OperationPublish || history[0].Template != a.Digest {
		t.Errorf("history %+v, %v", history, err)
	}
	o.Body = []byte("Resources: {Evil: {}}")
	w.objects["staging/"+a.Key] = o
	if _, err := w.Publish(t.Context(), w.target("landing")); !errs.Is(err, errs.Conflict) || !strings.Contains(err.Error(), "does not have the content that its name says") {
		t.Errorf("a staged template that was changed: got %v", err)
	}
}

func TestPrune(t *testing.T) {
	t.Parallel()
	w := newWorld(t, fmt.Sprintf(oneStack, "", ""), nil)
	w.made = changes(rename)
	old := w.plan(PlanOptions{})
	w.memory.now = w.memory.now.Add(48 * time.Hour)
	young := w.plan(PlanOptions{})
	other := *w.sets[young.ChangeSet]
	other.ARN, other.Description, other.Created = "other", "by hand", time.Time{}
	w.sets["other"] = &other
	w.order = append(w.order, "other")

	gone, err := w.Prune(t.Context(), w.target("landing"), 24*time.Hour)
	if err != nil || len(gone) != 1 || gone[0].ChangeSet != old.ChangeSet {
		t.Errorf("pruned %+v, %v", gone, err)
	}
	if w.find("landing-dev") == nil {
		t.Error("a stack with plans is gone")
	}
	w.sets[young.ChangeSet].Execution = "OBSOLETE"
	if gone, err := w.Prune(t.Context(), w.target("landing"), 24*time.Hour); err != nil || len(gone) != 1 {
		t.Errorf("a plan that nobody can execute any more: pruned %+v, %v", gone, err)
	}
	w.plan(PlanOptions{})
	delete(w.sets, "other")
	if _, err := w.Prune(t.Context(), w.target("landing"), 0); err != nil || w.find("landing-dev") != nil {
		t.Errorf("the shell of a stack is left: %v", err)
	}
}

func TestDelete(t *testing.T) {
	t.Parallel()
	w := newWorld(t, fmt.Sprintf(oneStack, "", ""), nil)
	s := w.add("landing-dev", createComplete)
	s.TerminationProtection = true
	if _, err := w.Delete(t.Context(), w.target("landing"), DeleteOptions{}); !errs.Is(err, errs.Conflict) || len(w.actions) != 0 {
		t.Errorf("a protected stack: got %v", err)
	}
	end := Event{StackID: s.ID, PhysicalID: s.ID, LogicalID: s.Name, Type: nestedStack, Status: deleteComplete}
	w.script = [][]Event{{{StackID: s.ID, LogicalID: "Bucket", Type: "AWS::S3::Bucket", Status: "DELETE_COMPLETE"}}, {end}}
	d, err := w.Delete(t.Context(), w.target("landing"), DeleteOptions{Force: true})
	if err != nil || !d.Good || d.Status != deleteComplete || len(d.Resources) != 1 {
		t.Errorf("got %+v, %v", d, err)
	}
	if _, err := w.Delete(t.Context(), w.target("landing"), DeleteOptions{}); !errs.Is(err, errs.NotFound) {
		t.Errorf("a stack that is gone: got %v", err)
	}
}

func TestContinue(t *testing.T) {
	t.Parallel()
	w := newWorld(t, fmt.Sprintf(oneStack, "", ""), nil)
	s := w.add("landing-dev", updateRollbackFailed)
	w.script = [][]Event{{{StackID: s.ID, PhysicalID: s.ID, LogicalID: s.Name, Type: nestedStack, Status: "UPDATE_ROLLBACK_COMPLETE"}}}
	d, err := w.Continue(t.Context(), w.target("landing"), []string{"Bucket"}, nil)
	if err != nil || !d.Good || w.actions[0].ContinueRollback.Skip[0] != "Bucket" {
		t.Errorf("got %+v, %v", d, err)
	}
	if _, err := w.Continue(t.Context(), w.target("landing"), nil, nil); !errs.Is(err, errs.Conflict) {
		t.Errorf("a stack at rest: got %v", err)
	}
}

func TestRollback(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name     string
		from, to Status
		cancels  bool
		good     bool
	}{
		{"a kept update", updateFailed, "UPDATE_ROLLBACK_COMPLETE", false, true},
		{"a kept creation", createFailed, rollbackComplete, false, true},
		{"it fails too", updateFailed, updateRollbackFailed, false, false},
		{"an update under way", updateInProgress, "UPDATE_ROLLBACK_COMPLETE", true, true},
		{"an update that was done first", updateInProgress, "UPDATE_COMPLETE", true, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, fmt.Sprintf(oneStack, "", ""), nil)
			s := w.add("landing-dev", tc.from)
			w.script = [][]Event{{{StackID: s.ID, PhysicalID: s.ID, LogicalID: s.Name, Type: nestedStack, Status: tc.to}}}
			d, err := w.Rollback(t.Context(), w.target("landing"), nil)
			if err != nil || d.Good != tc.good || d.Status != tc.to || w.actions[0].CancelUpdate != tc.cancels || (w.actions[0].Rollback != nil) == tc.cancels {
				t.Errorf("got %+v, %v after %+v", d, err, w.actions)
			}
		})
	}
	w := newWorld(t, fmt.Sprintf(oneStack, "", ""), nil)
	for _, status := range []Status{createComplete, updateRollbackFailed, "CREATE_IN_PROGRESS", reviewInProgress} {
		w.add("landing-dev", status)
		if _, err := w.Rollback(t.Context(), w.target("landing"), nil); !errs.Is(err, errs.Conflict) || len(w.actions) > 0 {
			t.Errorf("%s: got %v", status, err)
		}
	}
}

// TestCausesFromTheServicesOwnList: the stack's events only say where the
// reason is, or nothing at all.
func TestCausesFromTheServicesOwnList(t *testing.T) {
	t.Parallel()
	const elsewhere = "The following hook(s)/validation failed: [AWS::EarlyValidation::ResourceExistenceCheck]. To troubleshoot Early Validation errors, use the DescribeEvents API for detailed failure information."
	conflict := Failure{LogicalID: "Bucket", Type: "AWS::S3::Bucket", Status: "FAILED", Validation: "NAME_CONFLICT_VALIDATION", Mode: "FAIL",
		Reason: "Resource of type 'AWS::S3::Bucket' with identifier 'landing-b' already exists.", Path: "/Resources/Bucket/Properties/BucketName"}
	warning, old := conflict, conflict
	warning.Mode, warning.Reason = "WARN", "only a warning"
	old.Time, old.Reason = time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC), "of an earlier operation"
	for name, tc := range map[string]struct {
		events []Event
		causes []string // id, reason, place
	}{
		"the stack alone failed": {[]Event{own("UPDATE_IN_PROGRESS"), {PhysicalID: "self", Status: "UPDATE_FAILED", Reason: elsewhere}},
			[]string{"Bucket template.yml:6:7 Resource of type 'AWS::S3::Bucket' with identifier 'landing-b' already exists", "landing-dev  " + elsewhere}},
		"the resource refers to them": {[]Event{own("UPDATE_IN_PROGRESS"), happened("Bucket", "AWS::S3::Bucket", "UPDATE_FAILED", elsewhere)},
			[]string{"Bucket template.yml:6:7 Resource of type 'AWS::S3::Bucket' with identifier 'landing-b' already exists"}},
		"first, before what it made fail": {[]Event{own("UPDATE_IN_PROGRESS"), happened("Policy", "AWS::S3::BucketPolicy", "CREATE_FAILED", "no such bucket")},
			[]string{"Bucket template.yml:6:7 Resource of type 'AWS::S3::Bucket' with identifier 'landing-b' already exists", "Policy  no such bucket"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, p := planned(t, "")
			w.failures[p.StackID] = []Failure{conflict, warning, old}
			w.script = [][]Event{tc.events, {own("UPDATE_ROLLBACK_COMPLETE")}}
			d, err := w.Deploy(t.Context(), p, DeployOptions{})
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, c := range d.Causes {
				place := ""
				if c.Place != nil {
					place = c.Place.String()
				}
				got = append(got, c.ID+" "+place+" "+c.Reason)
			}
			if diff := cmp.Diff(tc.causes, got); diff != "" {
				t.Errorf("causes (-want +got):\n%s", diff)
			}
		})
	}
}
