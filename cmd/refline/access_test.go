package main

import (
	"testing"

	"refline/internal/credential"
	"refline/internal/secret"
)

// A token without a host goes to the project's own server and to those that the
// user named, and to no other: a pipeline's includes name any host they like.
func TestLoginBySite(t *testing.T) {
	t.Parallel()
	environ := map[string]string{"REFLINE_GIT_TOKEN": "general", "REFLINE_GIT_USERNAME": "me"}
	none := map[string]string{}
	tokens := credential.Tokens{{Host: "other.example.com", User: "bot", Text: secret.New([]byte("others"))}}
	for _, tc := range []struct {
		name    string
		sources includeOptions
		env     map[string]string
		site    string
		want    string
	}{
		{"own server", includeOptions{home: homeOf("https://git.example.com/a/b.git")}, environ, "https://git.example.com", "me:general"},
		{"own server by ssh", includeOptions{home: homeOf("git@git.example.com:a/b.git")}, environ, "https://git.example.com", "me:general"},
		{"not in the clear", includeOptions{home: homeOf("https://git.example.com/a/b.git")}, environ, "http://git.example.com", ":"},
		{"a port is another server", includeOptions{home: homeOf("https://git.example.com/a")}, environ, "https://git.example.com:8443", ":"},
		{"a component's server", includeOptions{home: homeOf("https://git.example.com/a")}, environ, "https://gitlab.com", ":"},
		{"no server of its own", includeOptions{home: homeOf("/srv/a")}, environ, "https://gitlab.com", ":"},
		{"--projects", includeOptions{home: homeOf("/srv/a"), projects: "https://gitlab.com/group/"}, environ, "https://gitlab.com", "me:general"},
		{"--components", includeOptions{home: homeOf("https://git.example.com/a"), components: "https://gitlab.com"}, environ, "https://gitlab.com", "me:general"},
		{"in the URL", includeOptions{home: homeOf("https://u:p%40ss@git.example.com/a")}, none, "https://git.example.com", "u:p@ss"},
		{"in the URL, elsewhere", includeOptions{home: homeOf("https://u:p@git.example.com/a")}, none, "https://gitlab.com", ":"},
		{"--git-token", includeOptions{home: homeOf("https://git.example.com/a"), tokens: tokens}, environ, "https://other.example.com", "bot:others"},
		{"nothing set", includeOptions{home: homeOf("https://git.example.com/a")}, none, "https://git.example.com", ":"},
	} {
		e := &env{getenv: func(name string) string { return tc.env[name] }}
		user, password := tc.sources.login(e)(tc.site)
		if got := user + ":" + password; got != tc.want {
			t.Errorf("%s: got %s, want %s", tc.name, got, tc.want)
		}
	}
}
