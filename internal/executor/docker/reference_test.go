package docker_test

import (
	"strings"
	"testing"

	"github.com/distribution/reference"
)

// The client of the engine calls this program's own package reference; see there.
func TestReferenceOfTheClient(t *testing.T) {
	t.Parallel()
	sum := "sha256:" + strings.Repeat("0123456789abcdef", 4)
	for _, c := range []struct{ text, name, tag, digest, familiar string }{
		{"alpine", "docker.io/library/alpine", "latest", "", "alpine:latest"},
		{"alpine:3.20", "docker.io/library/alpine", "3.20", "", "alpine:3.20"},
		{"index.docker.io/group/app", "docker.io/group/app", "latest", "", "group/app:latest"},
		{"docker.io/library/a/b", "docker.io/library/a/b", "latest", "", "library/a/b:latest"},
		{"localhost/app", "localhost/app", "latest", "", "localhost/app:latest"},
		{"reg.example.com:5000/g/p:t", "reg.example.com:5000/g/p", "t", "", "reg.example.com:5000/g/p:t"},
		{"[::1]:5000/p", "[::1]:5000/p", "latest", "", "[::1]:5000/p:latest"},
		{"REGISTRY/app", "REGISTRY/app", "latest", "", "REGISTRY/app:latest"},
		{"app@" + sum, "docker.io/library/app", "", sum, "app@" + sum},
		{"app:1@" + sum, "docker.io/library/app", "1", sum, "app:1@" + sum},
	} {
		named, err := reference.ParseNormalizedNamed(c.text)
		if err != nil {
			t.Errorf("%s: %v", c.text, err)
			continue
		}
		named = reference.TagNameOnly(named)
		var tag, digest string
		if r, ok := named.(reference.Tagged); ok {
			tag = r.Tag()
		}
		if r, ok := named.(reference.Digested); ok {
			digest = r.Digest().String()
		}
		if named.Name() != c.name || tag != c.tag || digest != c.digest || reference.FamiliarString(named) != c.familiar {
			t.Errorf("%s: got %s, %q, %q, %s; want %s, %q, %q, %s", c.text, named.Name(), tag, digest, reference.FamiliarString(named), c.name, c.tag, c.digest, c.familiar)
		}
	}
	for _, text := range []string{
		"", ":", "@", "/a", "a//b", "Upper", "group/Upper", "a:", "a:-t", "a@sha256:short", "a@sha256:" + strings.Repeat("A", 64),
		strings.TrimPrefix(sum, "sha256:"), strings.Repeat("a", 256), "a b", "a\n",
	} {
		if ref, err := reference.ParseNormalizedNamed(text); err == nil {
			t.Errorf("%q: got %s, want an error", text, ref)
		}
	}
}
