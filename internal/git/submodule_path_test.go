package git

import (
	"testing"
)

func TestSubmodulePaths(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		paths, name string
		want        bool
	}{
		{"", "lib", true},
		{"lib other", "lib", true},
		{"./lib/", "lib", true},
		{"lib", "libs", false},
		{"vendor", "vendor/lib", true},
		{"v*", "vendor", true},
		{".", "lib", true},
		{":(exclude)lib", "lib", false},
		{":(exclude)lib", "other", true},
		{":!vendor", "vendor/lib", false},
		{". :^lib", "lib", false},
		{". :^lib", "other", true},
		{"other :(exclude)lib", "third", false},
	} {
		if got := SubmodulePaths(tc.paths).Has(tc.name); got != tc.want {
			t.Errorf("%q has %s: got %v", tc.paths, tc.name, got)
		}
	}
}

// A submodule that is named by ssh comes by https from the project's own server, and
// only from that.
func TestSubmodulesByHTTPS(t *testing.T) {
	t.Parallel()
	access := Access{Trust: User, Environ: environ(t)}
	for _, tc := range []struct{ repo, module, want string }{
		{"https://git.example.com/a/b.git", "git@git.example.com:a/lib.git", "https://git.example.com/a/lib.git"},
		{"https://git.example.com:8443/a/b.git", "ssh://git@git.example.com:2222/a/lib.git", "https://git.example.com:8443/a/lib.git"},
		{"git@git.example.com:a/b.git", "../lib.git", "https://git.example.com/a/lib.git"},
		{"https://git.example.com/a/b.git", "git@other.example.com:a/lib.git", "git@other.example.com:a/lib.git"},
		{"https://git.example.com/a/b.git", "https://other.example.com/lib.git", "https://other.example.com/lib.git"},
	} {
		r, err := NewRemote(tc.repo, t.TempDir(), access)
		if err != nil {
			t.Fatal(err)
		}
		other, err := r.neighbour(t.Context(), tc.module, true)
		if err != nil || other.URL() != tc.want {
			t.Errorf("%s of %s: got %v, %v; want %s", tc.module, tc.repo, other, err, tc.want)
		}
		if same, err := r.neighbour(t.Context(), tc.module, false); err != nil || tc.module[0] != '.' && same.URL() != tc.module {
			t.Errorf("%s without it: got %v, %v", tc.module, same, err)
		}
	}
}
