package stack

import (
	"fmt"
	"testing"

	"refline/internal/stack/planfile"

	"refline/internal/errs"
)

func TestAccountGuard(t *testing.T) {
	t.Parallel()
	w := newWorld(t, fmt.Sprintf(oneStack, "", ""), nil)
	w.account = "999999999999"
	_, err := Connect(t.Context(), w.open, w.Config, w.Env, Deps{})
	want := "environment dev is account 111111111111, but these credentials are of account 999999999999 (arn:aws:iam::999999999999:user/dev); nothing was done"
	if !errs.Is(err, errs.Denied) || err.Error() != want {
		t.Errorf("got %v", err)
	}
}

func TestProtectedEnvironmentIsForItsRefs(t *testing.T) {
	t.Parallel()
	w := newWorld(t, fmt.Sprintf(oneStack, "", ", protected: true"), nil)
	w.Origin.Ref = "feature/x"
	_, err := w.Plan(t.Context(), w.target("landing"), PlanOptions{})
	if want := "environment dev is protected and not for feature/x; its refs are develop"; !errs.Is(err, errs.Denied) || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	// A fork may name its branch as it likes.
	w.Origin.Ref, w.Origin.Request = "develop", true
	if _, err := w.Plan(t.Context(), w.target("landing"), PlanOptions{}); !errs.Is(err, errs.Denied) {
		t.Errorf("a merge request's pipeline: got %v", err)
	}
	w.Origin.Request = false
	w.plan(PlanOptions{})
}

func TestProtectedEnvironmentWantsARef(t *testing.T) {
	t.Parallel()
	w := newWorld(t, fmt.Sprintf(oneStack, "", ", protected: true"), nil)
	w.Origin.Ref = ""
	_, err := w.Plan(t.Context(), w.target("landing"), PlanOptions{})
	if want := "environment dev is protected and for develop only, and this is neither a branch nor a tag"; !errs.Is(err, errs.Denied) || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestAllowReplaceIsForOneResource(t *testing.T) {
	t.Parallel()
	p := &planfile.Plan{Allowed: []string{"Bucket"}, Changes: []planfile.Change{
		{Effect: planfile.EffectRemove, LogicalID: "Bucket", Type: "AWS::S3::Bucket", Data: planfile.DataLost},
		{Effect: planfile.EffectRemove, Path: []string{"Nested"}, LogicalID: "Bucket", Type: "AWS::S3::Bucket", Data: planfile.DataLost},
	}}
	guard(p, &Config{}, nil)
	if len(p.Refusals) != 1 || p.Refusals[0].ID != "Nested/Bucket" {
		t.Errorf("refusals %+v, want one of Nested/Bucket", p.Refusals)
	}
}
