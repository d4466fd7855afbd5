package executor_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"refline/internal/executor"
)

func TestHostNames(t *testing.T) {
	t.Parallel()
	for image, want := range map[string][]string{
		"postgres":                              {"postgres"},
		"postgres:16-alpine":                    {"postgres"},
		"bitnami/redis:7":                       {"bitnami__redis", "bitnami-redis"},
		"tutum/wordpress":                       {"tutum__wordpress", "tutum-wordpress"},
		"registry.example.com/group/app/db:1.2": {"registry.example.com__group__app__db", "registry.example.com-group-app-db"},
		"registry.example.com:5000/my/db:1":     {"registry.example.com__my__db", "registry.example.com-my-db"},
		"registry.example.com:5000/my/db":       {"registry.example.com__my__db", "registry.example.com-my-db"},
		"a/b@sha256:0123":                       {"a__b", "a-b"},
		"a/b:1@sha256:0123":                     {"a__b", "a-b"},
	} {
		if d := cmp.Diff(want, executor.Service{Image: executor.Image{Name: image}}.HostNames()); d != "" {
			t.Errorf("%s: %s", image, d)
		}
	}
}

func TestHostNamesHaveAliasesOnce(t *testing.T) {
	t.Parallel()
	got := executor.Service{Image: executor.Image{Name: "postgres:16"}, Aliases: []string{"db", "postgres", "db"}}.HostNames()
	if d := cmp.Diff([]string{"postgres", "db"}, got); d != "" {
		t.Error(d)
	}
}

func TestServicePorts(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		check   string
		exposed []string
		want    []int
	}{
		{"", nil, nil},
		{"8080", []string{"5432/tcp"}, []int{8080}},
		{"no", []string{"6432", "53/udp", "5432/tcp", "5432", "0/tcp", "70000"}, []int{5432, 6432}},
	} {
		if d := cmp.Diff(c.want, executor.ServicePorts(c.check, c.exposed)); d != "" {
			t.Errorf("%+v: %s", c, d)
		}
	}
}
