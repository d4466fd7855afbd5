package stackrun

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"refline/internal/errs"
	"refline/internal/stack"
	"refline/internal/stack/planfile"
)

const configuration = `
environments:
  dev: {account: "111111111111", region: eu-west-1, refs: [main]}
  prod: {account: "222222222222", region: eu-west-1, refs: [{tag: "v*"}], protected: true}
stacks:
  landing: {template: landing.yml}
`

const template = `Resources:
  Bucket: {Type: "AWS::S3::Bucket"}
`

// newPlace is a folder outside of any repository with files, and what is written.
func newPlace(t *testing.T, files map[string]string) (p *Place, out, notes *strings.Builder) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	out, notes = &strings.Builder{}, &strings.Builder{}
	return &Place{
		Dir: dir, Getenv: func(string) string { return "" }, Environ: os.Environ, Out: out, Notes: notes,
		Report: func(err error) { notes.WriteString("error: " + err.Error() + "\n") },
		Open: func(context.Context, stack.Access) (stack.Cloud, error) {
			return nil, errs.E(errs.Unavailable, "no cloud in this test")
		},
	}, out, notes
}

func TestOpenFindsTheConfiguration(t *testing.T) {
	t.Parallel()
	p, _, _ := newPlace(t, nil)
	if _, err := Open(t.Context(), p, Selection{}); !errs.Is(err, errs.NotFound) || !strings.Contains(err.Error(), "refline stack init") {
		t.Errorf("without a configuration: got %v, want not found and the way out", err)
	}
	if _, err := Open(t.Context(), p, Selection{Config: "."}); !errs.Is(err, errs.Invalid) {
		t.Errorf("a folder: got %v, want invalid", err)
	}
	p, _, _ = newPlace(t, map[string]string{"refline.stacks.yml": configuration, "landing.yml": template})
	w, err := Open(t.Context(), p, Selection{Branch: "main"})
	if err != nil {
		t.Fatal(err)
	}
	if got := w.ref().Name; w.File != "refline.stacks.yml" || got != "main" || !w.pretends {
		t.Errorf("got %s on %q, pretends %v; want refline.stacks.yml on main, pretended", w.File, got, w.pretends)
	}
	var usage errs.UsageError
	if w, err = Open(t.Context(), p, Selection{}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := w.choose(nil); !errors.As(err, &usage) {
		t.Errorf("no ref and no environment: got %v, want a usage error", err)
	}
}

func TestProtectedEnvironments(t *testing.T) {
	t.Parallel()
	files := map[string]string{"refline.stacks.yml": configuration, "landing.yml": template}
	p, _, _ := newPlace(t, files)
	w, err := Open(t.Context(), p, Selection{Tag: "v1"})
	if err != nil {
		t.Fatal(err)
	}
	env, _, err := w.choose(nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.checkRef(env); !errs.Is(err, errs.Denied) || !strings.Contains(err.Error(), "planned on v1 itself") {
		t.Errorf("a pretended tag: got %v, want denied", err)
	}
	w.pretends = false
	if err := w.checkRef(env); err != nil {
		t.Errorf("the tag itself: got %v", err)
	}
	var usage errs.UsageError
	if err := Up(t.Context(), p, Selection{Tag: "v1"}, nil, PlanOptions{}, true); !errors.As(err, &usage) {
		t.Errorf("up --yes: got %v, want a usage error", err)
	}
	if err := Up(t.Context(), p, Selection{Branch: "main"}, nil, PlanOptions{}, false); !errors.As(err, &usage) || !strings.Contains(err.Error(), "no terminal") {
		t.Errorf("up without a terminal: got %v, want a usage error", err)
	}
}

func TestRenderAndInit(t *testing.T) {
	t.Parallel()
	p, out, notes := newPlace(t, map[string]string{"refline.stacks.yml": configuration, "landing.yml": template})
	if err := Render(t.Context(), p, Selection{Branch: "main"}, nil, "out"); err != nil {
		t.Fatal(err)
	}
	if got := out.String(); got != "out/landing-dev.yml\n" {
		t.Errorf("render wrote %q", got)
	}
	var usage errs.UsageError
	if err := Render(t.Context(), p, Selection{}, nil, ""); !errors.As(err, &usage) {
		t.Errorf("two templates to stdout: got %v, want a usage error", err)
	}
	out.Reset()
	o := InitOptions{Output: "jobs.yml"}
	if err := Init(t.Context(), p, o); err != nil {
		t.Fatal(err)
	}
	if got, want := out.String(), "wrote jobs.yml\nwrote .gitlab-ci.yml\n"; got != want {
		t.Errorf("init wrote %q, want %q", got, want)
	}
	if err := Init(t.Context(), p, o); !errs.Is(err, errs.Conflict) {
		t.Errorf("init again: got %v, want a conflict", err)
	}
	o.Force = true
	if err := Init(t.Context(), p, o); err != nil || !strings.Contains(notes.String(), "local: /jobs.yml") {
		t.Errorf("init --force: got %v and %q", err, notes)
	}
}

func TestOutcomes(t *testing.T) {
	t.Parallel()
	target := &stack.Target{Definition: &stack.Definition{Name: "landing"}, StackName: "landing-dev"}
	broken := errs.E(errs.Denied, "no access")
	running := &stack.StillRunningError{Stack: "landing", StackName: "landing-dev", Env: "dev", Err: context.Canceled}
	for name, tc := range map[string]struct {
		errs  []error
		want  error
		notes string
	}{
		"good":                {errs: []error{nil, nil}},
		"failed":              {errs: []error{nil, ErrFailed}, want: ErrFailed},
		"error after failure": {errs: []error{ErrFailed, broken}, want: ErrRefused, notes: "error: no access"},
		"refused is silent":   {errs: []error{ErrRefused}, want: ErrRefused},
		"still running":       {errs: []error{running}, want: context.Canceled, notes: "landing-dev"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, _, notes := newPlace(t, nil)
			var list []stack.Outcome
			for _, err := range tc.errs {
				list = append(list, stack.Outcome{Target: target, Err: err})
			}
			if err := p.outcomes(list); !errors.Is(err, tc.want) {
				t.Errorf("got %v, want %v", err, tc.want)
			}
			if got := notes.String(); !strings.Contains(got, tc.notes) || tc.notes == "" && got != "" {
				t.Errorf("wrote %q, want %q", got, tc.notes)
			}
		})
	}
}

func TestVerdict(t *testing.T) {
	t.Parallel()
	changed := &planfile.Plan{Changes: []planfile.Change{{LogicalID: "Bucket"}}}
	refused := &planfile.Plan{Refusals: []planfile.Refusal{{}}}
	for name, tc := range map[string]struct {
		out   PlanOutput
		plans []*planfile.Plan
		want  error
	}{
		"no changes":         {out: PlanOutput{Changes: true}, plans: []*planfile.Plan{{Empty: true}}},
		"changes":            {out: PlanOutput{Changes: true}, plans: []*planfile.Plan{{Empty: true}, changed}, want: ErrChanges},
		"changes, not asked": {plans: []*planfile.Plan{changed}},
		"refused":            {out: PlanOutput{Changes: true}, plans: []*planfile.Plan{changed, refused}, want: ErrRefused},
	} {
		if err := tc.out.verdict(tc.plans); !errors.Is(err, tc.want) {
			t.Errorf("%s: got %v, want %v", name, err, tc.want)
		}
	}
}

func TestConfirmDelete(t *testing.T) {
	t.Parallel()
	s := &stack.Session{Caller: stack.Caller{Account: "111111111111"}}
	targets := []*stack.Target{{StackName: "a-dev"}, {StackName: "b-dev"}}
	for name, tc := range map[string]struct {
		flag, answer string
		want         string // in the error; "" for none
	}{
		"by the flag":     {flag: "b-dev,a-dev"},
		"by an answer":    {answer: "a-dev,b-dev"},
		"another name":    {flag: "a-dev", want: "nothing was deleted"},
		"no terminal":     {want: "--confirm a-dev,b-dev"},
		"another answer":  {answer: "yes", want: "nothing was deleted"},
		"without the env": {answer: "a,b", want: "nothing was deleted"},
	} {
		p := &Place{}
		if tc.answer != "" {
			p.Ask = func(string) (string, error) { return tc.answer, nil }
		}
		err := p.confirmDelete(s, targets, tc.flag)
		if got := ""; err != nil {
			got = err.Error()
			if tc.want == "" || !strings.Contains(got, tc.want) {
				t.Errorf("%s: got %q, want %q", name, got, tc.want)
			}
		} else if tc.want != "" {
			t.Errorf("%s: got no error, want %q", name, tc.want)
		}
	}
}
