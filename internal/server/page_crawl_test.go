package server

import (
	"html"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"

	"refline/internal/api"
	"refline/internal/secret"
	"refline/internal/secret/secrettest"
)

const (
	hostileText = `"><script>alert(1)</script>`
	pageCanary  = "canary-9b21f0aa37"
)

// client asks as the owner.
func (s *testServer) client() *api.Client {
	s.t.Helper()
	at := httptest.NewServer(s.Handler())
	s.t.Cleanup(at.Close)
	client, err := api.NewClient(at.URL, s.owner, http.DefaultTransport)
	if err != nil {
		s.t.Fatal(err)
	}
	return client
}

// fillPages makes something on each page, with a secret wherever one is kept and with
// names that try to be HTML wherever they may.
func fillPages(t *testing.T, s *testServer) (project string, canary *secrettest.Canary) {
	t.Helper()
	project = "data/own"
	s.work()
	s.addTestProject(1, project)
	s.addTestRun(1, `x/`+strings.ReplaceAll(hostileText, " ", ""))
	s.setVariable(1, secret.Variable{Name: "PASSWORD", Environment: "prod*", Value: secretOf(pageCanary), Masked: true})
	client := s.client()
	ctx := t.Context()
	address, description := "https://hooks.example.com/"+pageCanary, hostileText
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	key, err := client.AddKey(ctx, project, api.DeployKeyInput{Name: "deploy", Hosts: []string{"git.example.com"}, KnownHosts: hostLine})
	must(err)
	if key.Public == "" {
		t.Fatal("the key has no public half")
	}
	_, err = client.SetVariable(ctx, "", "REGION", "", api.VariableInput{Value: &address, Description: &description})
	must(err)
	_, err = client.SetNotification(ctx, project, "team", api.NotificationInput{WebhookURL: &address})
	must(err)
	_, err = client.SetNotification(ctx, "", "all", api.NotificationInput{SlackURL: &address})
	must(err)
	hook, err := client.SetHook(ctx, project, api.HookInput{Forge: "gitlab"})
	must(err)
	_, err = client.SetRuntime(ctx, api.Runtime{Name: "python", Executor: "docker", Image: "python:3.13", Env: map[string]string{"LEVEL": pageCanary}})
	must(err)
	_, err = client.SetSlot(ctx, "warehouse", 2)
	must(err)
	made, err := client.AddToken(ctx, api.TokenInput{Name: hostileText, Scopes: []string{"read"}, Hours: 1})
	must(err)
	runner, err := client.AddToken(ctx, api.TokenInput{Name: "box", Runner: true, Tags: []string{hostileText}})
	must(err)
	return project, secrettest.NewCanary(pageCanary, hook.Secret, made.Text, runner.Text, s.owner)
}

var pageLink = regexp.MustCompile(`(?:href|action)="(/[^"]*)"`)

// Every page that leads from the first one answers, shows no secret, makes no elements of
// names, and names commands that exist with options that they have.
func TestEveryPage(t *testing.T) {
	t.Parallel()
	s := startServer(t, nil)
	project, canary := fillPages(t, s)
	cookie := s.signInWith(s.link())
	known := readCommands(t)
	seen := map[string]bool{}
	queue := []string{"/", "/p/" + project + "/-/variables?change=PASSWORD&environment=prod*", "/p/" + project + "/-/variables?key=deploy"}
	for len(queue) > 0 {
		path := queue[0]
		queue = queue[1:]
		if seen[path] || len(seen) > 300 {
			continue
		}
		seen[path] = true
		if strings.HasPrefix(path, "/assets/") || strings.HasPrefix(path, "/api/") || strings.Contains(path, "/-/lint?") { // its repository does not answer
			continue
		}
		got := s.do(browser(path, cookie))
		if got.StatusCode != http.StatusOK && got.StatusCode != http.StatusSeeOther {
			t.Errorf("%s: %d", path, got.StatusCode)
		}
		canary.Saw(path, []byte(got.body))
		if strings.Contains(got.body, "<script>alert") {
			t.Errorf("%s has an element of a name", path)
		}
		for _, m := range regexp.MustCompile(`<code class="cmd">([^<]*)</code>`).FindAllStringSubmatch(got.body, -1) {
			known.check(t, path, html.UnescapeString(m[1]))
		}
		posts := map[string]bool{}
		for _, m := range regexp.MustCompile(`method="post" action="([^"]*)"`).FindAllStringSubmatch(got.body, -1) {
			posts[m[1]] = true
		}
		for _, m := range pageLink.FindAllStringSubmatch(got.body, -1) {
			next, _, _ := strings.Cut(html.UnescapeString(m[1]), "#")
			if !posts[m[1]] {
				queue = append(queue, next)
			}
		}
	}
	for _, path := range []string{"/runs", "/settings", "/settings/variables", "/runners", "/runtimes/python", "/p/" + project, "/p/" + project + "/-/variables", "/p/" + project + "/-/hook", "/p/" + project + "/-/lint", "/p/" + project + "/-/settings"} {
		if !seen[path] {
			t.Errorf("no page leads to %s", path)
		}
	}
	canary.Check(t)
}

// commands are the sections of docs/commands.md by the command.
type commands map[string]string

func readCommands(t *testing.T) commands {
	t.Helper()
	text, err := os.ReadFile("../../docs/commands.md")
	if err != nil {
		t.Fatal(err)
	}
	out := commands{}
	for _, section := range strings.Split(string(text), "\n## ")[1:] {
		name, rest, _ := strings.Cut(section, "\n")
		out[name] = rest
	}
	if len(out) < 50 {
		t.Fatalf("%d commands: the reference is not read as it is written", len(out))
	}
	return out
}

func (c commands) check(t *testing.T, where, line string) {
	t.Helper()
	words := shellWords(line)
	depth := 1
	for n := 2; n <= len(words); n++ {
		if _, has := c[strings.Join(words[:n], " ")]; !has {
			break
		}
		depth = n
	}
	name := strings.Join(words[:depth], " ")
	if depth == 1 || words[0] != "refline" {
		t.Errorf("%s: %q is not a command", where, line)
		return
	}
	for _, word := range words[depth:] {
		option, _, _ := strings.Cut(word, "=")
		if strings.HasPrefix(option, "--") && !regexp.MustCompile(`(?m)^ +(-., )?`+option+`\b`).MatchString(c[name]) {
			t.Errorf("%s: %q: %s has no option %s", where, line, name, option)
		}
	}
}

// shellWords splits a line at spaces outside of single quotes.
func shellWords(line string) []string {
	var words []string
	var word strings.Builder
	quoted, escaped, begun := false, false, false
	for _, r := range line + " " {
		switch {
		case escaped:
			escaped = false
			word.WriteRune(r)
		case r == '\\' && !quoted:
			escaped = true
		case r == '\'':
			quoted, begun = !quoted, true
		case r == ' ' && !quoted:
			if begun {
				words = append(words, word.String())
			}
			word.Reset()
			begun = false
		default:
			begun = true
			word.WriteRune(r)
		}
	}
	return words
}
