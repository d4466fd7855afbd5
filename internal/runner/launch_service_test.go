package runner

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"refline/internal/api"
	"refline/internal/pipeline"
)

func TestLaunchServices(t *testing.T) {
	t.Parallel()
	image := func(name string, entrypoint ...string) pipeline.Service {
		return pipeline.Service{Image: pipeline.Image{Name: name, Entrypoint: entrypoint}}
	}
	withCommand := func(s pipeline.Service, command ...string) pipeline.Service { s.Command = command; return s }
	of := func(entrypoint, command []string, exposed ...string) *api.ImageConfig {
		return &api.ImageConfig{Entrypoint: entrypoint, Command: command, Exposed: exposed}
	}
	type made struct {
		Entrypoint, Command, Exposed []string
		OfImage                      bool
	}
	for _, c := range []struct {
		name string
		in   api.LaunchService
		want made
		says string // in the error
	}{
		{"image alone, registry silent", api.LaunchService{Service: withCommand(image("db:1"), "--fast")}, made{Command: []string{"--fast"}}, ""},
		{"entrypoint of the job", api.LaunchService{Service: image("db:1", "db", "-x"), Unshown: []string{"P"}}, made{Entrypoint: []string{"db", "-x"}}, ""},
		{"cleared entrypoint", api.LaunchService{Service: withCommand(image("db:1", ""), "db", "-x")}, made{Entrypoint: []string{"db"}, Command: []string{"-x"}}, ""},
		{"of the image", api.LaunchService{Service: image("db:1"), OfImage: of([]string{"run"}, []string{"db"}, "5432/tcp"), Unshown: []string{"P"}}, made{[]string{"run"}, []string{"db"}, []string{"5432/tcp"}, true}, ""},
		{"image with a command only", api.LaunchService{Service: image("db:1"), OfImage: of(nil, []string{"db", "-x"})}, made{Entrypoint: []string{"db"}, Command: []string{"-x"}, OfImage: true}, ""},
		{"secret for the manifest", api.LaunchService{Service: image("db:1"), Unshown: []string{"PASSWORD"}}, made{}, "entrypoint:"},
		{"no image", api.LaunchService{Service: image(":")}, made{}, "has no image"},
	} {
		got, err := launchServices(&api.LaunchSpec{Job: "test", Services: []api.LaunchService{c.in}})
		if c.says != "" {
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%s: got %v, want an error with %q", c.name, err, c.says)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		s := got[0]
		if d := cmp.Diff(c.want, made{s.Entrypoint, s.Command, s.Exposed, s.OfImage}); d != "" {
			t.Errorf("%s: %s", c.name, d)
		}
	}
}
