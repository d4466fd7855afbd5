package gitlabci

import "testing"

// The expectations are those of Ruby's File.fnmatch with FNM_PATHNAME,
// FNM_DOTMATCH and FNM_EXTGLOB.
func TestGlob(t *testing.T) {
	t.Parallel()
	tests := []struct {
		pattern, path string
		want          bool
	}{
		{"README.md", "README.md", true},
		{"README.md", "docs/README.md", false},
		{"*.md", "README.md", true},
		{"*.md", "docs/README.md", false},
		{"*", ".hidden", true},
		{"docs/*", "docs/a", true},
		{"docs/*", "docs/a/b", false},
		{"docs/**", "docs/a", true},
		{"docs/**", "docs/a/b", false},
		{"docs/**/*", "docs/a", true},
		{"docs/**/*", "docs/a/b/c", true},
		{"docs/**/*", "docs", false},
		{"**/*.go", "a.go", true},
		{"**/*.go", "x/y/a.go", true},
		{"**/*.go", "x/.y/a.go", true},
		{"**/x/**/z", "a/x/b/c/z", true},
		{"**/x/**/z", "x/z", true},
		{"**/x/**/z", "a/y/z", false},
		{"a**/b", "axx/b", true},
		{"a**/b", "a/x/b", false},
		{"**/**/a", "a", true},
		{"*.{rb,go}", "a.go", true},
		{"*.{rb,go}", "a.py", false},
		{"{a,b/{c,d}}/x", "b/d/x", true},
		{"{a,b/{c,d}}/x", "b/x", false},
		{"{,.}x", ".x", true},
		{"a{b", "a{b", true},
		{`a\{b,c\}`, "a{b,c}", true},
		{"a?c", "abc", true},
		{"a?c", "a/c", false},
		{"a?c", "aüc", true},
		{"[ab].x", "b.x", true},
		{"[!ab].x", "b.x", false},
		{"[^ab].x", "c.x", true},
		{"[a-c].x", "b.x", true},
		{"[a-c].x", "d.x", false},
		{"[a", "[a", false},
		{"[]a]", "a", false},
		{`\*`, "*", true},
		{`\*`, "a", false},
		{"*a*b*c", "xaxbxbxc", true},
		{"*a*b*c", "xaxcxb", false},
		{"dir/", "dir/x", false},
		{"", "", true},
		{"", "a", false},
		{"**", "a", true},
		{"**", "a/b", false},
	}
	for _, tt := range tests {
		if got := compileGlob(tt.pattern).match(tt.path); got != tt.want {
			t.Errorf("%q matches %q: %v, want %v", tt.pattern, tt.path, got, tt.want)
		}
	}
}

func TestGlobWithManyBraces(t *testing.T) {
	t.Parallel()
	pattern := ""
	for range 40 {
		pattern += "{a,b}"
	}
	if n := len(compileGlob(pattern).alternatives); n > maxBraces+100 {
		t.Errorf("%d alternatives", n)
	}
}

func FuzzGlob(f *testing.F) {
	for _, s := range []string{"**/*.{go,md}", "[a-z]*?x", `\{[!]`, "{{{,},},}"} {
		f.Add(s, "a/b.go")
	}
	f.Fuzz(func(t *testing.T, pattern, path string) {
		if len(pattern) > 200 || len(path) > 200 {
			return
		}
		compileGlob(pattern).match(path)
		if exact(pattern) && path == pattern && !compileGlob(pattern).match(path) && !containsBackslash(pattern) {
			t.Errorf("%q does not match itself", pattern)
		}
	})
}

func containsBackslash(s string) bool {
	for i := range len(s) {
		if s[i] == '\\' {
			return true
		}
	}
	return false
}
