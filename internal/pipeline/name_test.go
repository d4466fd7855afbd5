package pipeline

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"refline/internal/errs"
)

func TestWithGroupNames(t *testing.T) {
	t.Parallel()
	p := &Pipeline{Jobs: []Job{
		{Name: "a", ResourceGroup: "prod-$REGION"}, {Name: "b", ResourceGroup: "plain"}, {Name: "c", ResourceGroup: "${NONE}x"}, {Name: "d"},
	}}
	variables := func(j *Job) []Variable {
		return []Variable{{Name: "REGION", Value: "$CODE"}, {Name: "CODE", Value: "eu-" + j.Name}}
	}
	got, err := WithGroupNames(p, variables)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, j := range got.Jobs {
		names = append(names, j.ResourceGroup)
	}
	if diff := cmp.Diff([]string{"prod-eu-a", "plain", "x", ""}, names); diff != "" {
		t.Errorf("names differ (-want +got):\n%s", diff)
	}
	if p.Jobs[0].ResourceGroup != "prod-$REGION" {
		t.Error("the pipeline was changed")
	}
	plain := &Pipeline{Jobs: []Job{{Name: "b", ResourceGroup: "plain"}}}
	if got, err := WithGroupNames(plain, variables); err != nil || got != plain {
		t.Errorf("a pipeline without variables in names was copied: %v", err)
	}
	circle := func(*Job) []Variable {
		return []Variable{{Name: "REGION", Value: "$CODE"}, {Name: "CODE", Value: "$REGION"}}
	}
	if _, err := WithGroupNames(p, circle); !errs.Is(err, errs.Invalid) {
		t.Errorf("variables in a circle: %v", err)
	}
}

func TestEnvironmentName(t *testing.T) {
	t.Parallel()
	variables := []Variable{{Name: "SLUG", Value: "fix-$N"}, {Name: "N", Value: "7"}, {Name: "CI_ENVIRONMENT_NAME", Value: "itself"}}
	for _, c := range []struct {
		environment *Environment
		want        string
	}{
		{nil, ""},
		{&Environment{Name: "prod"}, "prod"},
		{&Environment{Name: "review/$SLUG"}, "review/fix-7"},
		{&Environment{Name: "$NONE/a"}, "/a"},
		{&Environment{Name: "x$CI_ENVIRONMENT_NAME"}, "x"},
	} {
		got, err := EnvironmentName(&Job{Environment: c.environment}, variables)
		if err != nil || got != c.want {
			t.Errorf("%+v: got %q, %v, want %q", c.environment, got, err, c.want)
		}
	}
}

func TestForwardedVariables(t *testing.T) {
	t.Parallel()
	below := []Variable{{Name: "CI_COMMIT_REF_NAME", Value: "main"}}
	above := []Variable{{Name: "TOKEN", Value: "secret", Raw: true, Masked: true}, {Name: "OVER", Value: "given"}}
	dotenv := []Variable{{Name: "VERSION", Value: "1.2"}}
	for _, c := range []struct {
		name    string
		forward Forward
		want    []Variable
	}{
		{name: "nothing", want: nil},
		{
			name: "the job's own, with what they mean for the job", forward: Forward{YAMLVariables: true},
			want: []Variable{{Name: "A", Value: "main-1.2-$TOKEN"}, {Name: "OVER", Value: "of yaml"}, {Name: "RAW", Value: "$A", Raw: true}, {Name: "SELF", Value: "$SELF"}},
		},
		{name: "of dotenv reports", forward: Forward{PipelineVariables: true}, want: []Variable{{Name: "VERSION", Value: "1.2"}}},
	} {
		j := &Job{
			Variables: []Variable{
				{Name: "A", Value: "$CI_COMMIT_REF_NAME-$VERSION-$TOKEN"}, {Name: "OVER", Value: "of yaml"},
				{Name: "RAW", Value: "$A", Raw: true}, {Name: "SELF", Value: "$SELF"},
			},
			Downstream: &Downstream{Forward: c.forward},
		}
		got, err := ForwardedVariables(j, below, dotenv, above)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
		if j.Variables[0].Value != "$CI_COMMIT_REF_NAME-$VERSION-$TOKEN" {
			t.Errorf("%s: the job was changed", c.name)
		}
	}
}

func TestArtifactSources(t *testing.T) {
	t.Parallel()
	deps := func(names ...string) *[]string { return &names }
	need := func(name string) Need { return Need{Job: name, Artifacts: true} }
	for _, c := range []struct {
		name string
		last Job
		want Sources
	}{
		{"all earlier stages", Job{}, Sources{Jobs: []int{0, 1, 2}}},
		{"dependencies", Job{Dependencies: deps("z", "y")}, Sources{Jobs: []int{1, 2}}},
		{"none", Job{Dependencies: deps()}, Sources{}},
		{"needs, in the pipeline's order", Job{DAG: true, Needs: []Need{need("z"), need("x")}}, Sources{Jobs: []int{0, 2}}},
		{"needs without artifacts", Job{DAG: true, Needs: []Need{{Job: "z"}, need("x")}}, Sources{Jobs: []int{0}}},
		{
			"from elsewhere", Job{DAG: true, Needs: []Need{{Job: "x", Artifacts: true, Project: "g/p"}, {Job: "x", Artifacts: true, Pipeline: "$PARENT_PIPELINE_ID"}, {Job: "z", Project: "g/q"}}},
			Sources{Parent: []string{"x"}, Projects: []Need{{Job: "x", Artifacts: true, Project: "g/p"}}},
		},
	} {
		c.last.Name, c.last.Stage = "last", "c"
		p := &Pipeline{Stages: []string{"a", "b", "c"}, Jobs: []Job{
			{Name: "x", Stage: "a"}, {Name: "y: [1]", Base: "y", Stage: "a"}, {Name: "z", Stage: "b"}, c.last, {Name: "beside", Stage: "c"},
		}}
		g, err := NewGraph(p)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(c.want, g.ArtifactSources(3)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
}

func TestDeployment(t *testing.T) {
	t.Parallel()
	variables := []Variable{
		{Name: "CI_COMMIT_REF_SLUG", Value: "fix-7"}, {Name: "CI_ENVIRONMENT_URL", Value: "itself"}, {Name: "HOST", Value: "$CI_COMMIT_REF_SLUG.example.com"},
		{Name: "DYNAMIC_URL", Value: "https://of-dotenv"},
	}
	for _, c := range []struct {
		environment *Environment
		name, url   string
	}{
		{nil, "", ""},
		{&Environment{Name: "prod"}, "prod", ""},
		{&Environment{Name: "review/$CI_COMMIT_REF_SLUG", URL: "https://$HOST/$CI_ENVIRONMENT_SLUG"}, "review/fix-7", "https://fix-7.example.com/" + EnvironmentSlug("review/fix-7")},
		{&Environment{Name: "a", URL: "$DYNAMIC_URL/$CI_ENVIRONMENT_NAME$CI_ENVIRONMENT_URL$NONE"}, "a", "https://of-dotenv/a"},
	} {
		name, url, err := Deployment(&Job{Environment: c.environment}, variables)
		if err != nil || name != c.name || url != c.url {
			t.Errorf("%+v: got %q, %q, %v, want %q, %q", c.environment, name, url, err, c.name, c.url)
		}
	}
}
