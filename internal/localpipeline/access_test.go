package localpipeline

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
		sources Includes
		env     map[string]string
		site    string
		want    string
	}{
		{"own server", Includes{home: homeOf("https://git.example.com/a/b.git")}, environ, "https://git.example.com", "me:general"},
		{"own server by ssh", Includes{home: homeOf("git@git.example.com:a/b.git")}, environ, "https://git.example.com", "me:general"},
		{"not in the clear", Includes{home: homeOf("https://git.example.com/a/b.git")}, environ, "http://git.example.com", ":"},
		{"a port is another server", Includes{home: homeOf("https://git.example.com/a")}, environ, "https://git.example.com:8443", ":"},
		{"a component's server", Includes{home: homeOf("https://git.example.com/a")}, environ, "https://gitlab.com", ":"},
		{"no server of its own", Includes{home: homeOf("/srv/a")}, environ, "https://gitlab.com", ":"},
		{"--projects", Includes{home: homeOf("/srv/a"), Projects: "https://gitlab.com/group/"}, environ, "https://gitlab.com", "me:general"},
		{"--components", Includes{home: homeOf("https://git.example.com/a"), Components: "https://gitlab.com"}, environ, "https://gitlab.com", "me:general"},
		{"in the URL", Includes{home: homeOf("https://u:p%40ss@git.example.com/a")}, none, "https://git.example.com", "u:p@ss"},
		{"in the URL, elsewhere", Includes{home: homeOf("https://u:p@git.example.com/a")}, none, "https://gitlab.com", ":"},
		{"--git-token", Includes{home: homeOf("https://git.example.com/a"), Tokens: tokens}, environ, "https://other.example.com", "bot:others"},
		{"nothing set", Includes{home: homeOf("https://git.example.com/a")}, none, "https://git.example.com", ":"},
	} {
		p := &Place{Getenv: func(name string) string { return tc.env[name] }}
		user, password := tc.sources.login(p)(tc.site)
		if got := user + ":" + password; got != tc.want {
			t.Errorf("%s: got %s, want %s", tc.name, got, tc.want)
		}
	}
}
