package docker

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/moby/moby/api/types/jsonstream"
	"github.com/moby/moby/api/types/registry"
	"pgregory.net/rapid"

	"refline/internal/errs"
	"refline/internal/executor"
)

func TestParseReference(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]reference{
		"alpine":                     {hub, "library/alpine", "alpine"},
		"alpine:3.20":                {hub, "library/alpine", "alpine"},
		"group/app":                  {hub, "group/app", "group/app"},
		"docker.io/library/a:1":      {hub, "library/a", "docker.io/library/a"},
		"index.docker.io/library/a":  {hub, "library/a", "index.docker.io/library/a"},
		"localhost/a":                {"localhost", "a", "localhost/a"},
		"localhost:5000/a:2":         {"localhost:5000", "a", "localhost:5000/a"},
		"r.example.com/g/a@sha256:1": {"r.example.com", "g/a", "r.example.com/g/a"},
	} {
		if got := parseReference(name); got != want {
			t.Errorf("%s: got %+v, want %+v", name, got, want)
		}
	}
}

// The line that a container's shell says is taken out wherever it comes and
// however the stream is cut, and nothing else is.
func TestAnnouncement(t *testing.T) {
	t.Parallel()
	const word = "aab-word "
	rapid.Check(t, func(t *rapid.T) {
		before := rapid.StringMatching(`[ab \n-]{0,40}`).Draw(t, "before")
		after := rapid.StringMatching(`[ab \n-]{0,40}`).Draw(t, "after")
		rest := []byte(before + word + "ok\n" + after)
		var out bytes.Buffer
		a := &announcement{dst: &out, word: word}
		for len(rest) > 0 {
			n := rapid.IntRange(1, len(rest)).Draw(t, "cut")
			if got, err := a.Write(rest[:n]); got != n || err != nil {
				t.Fatalf("write: %d of %d, %v", got, n, err)
			}
			rest = rest[n:]
		}
		if err := a.flush(); err != nil {
			t.Fatal(err)
		}
		if a.said != "ok" || out.String() != before+after {
			t.Errorf("said %q, passed on %q, want %q", a.said, &out, before+after)
		}
	})
}

// What cannot become the line is passed on at once, and at the end all is.
func TestAnnouncementThatNeverComes(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	a := &announcement{dst: &out, word: "word "}
	for _, step := range []struct{ write, passed string }{
		{"hello wo", "hello "},
		{"nder", "hello wonder"},
		{"\nwor", "hello wonder\n"},
	} {
		if _, err := a.Write([]byte(step.write)); err != nil {
			t.Fatal(err)
		}
		if out.String() != step.passed {
			t.Errorf("after %q: passed on %q, want %q", step.write, &out, step.passed)
		}
	}
	if err := a.flush(); err != nil || out.String() != "hello wonder\nwor" || a.said != "" {
		t.Errorf("at the end: %q, %v", &out, err)
	}
}

func TestProgramRefusesZeroBytes(t *testing.T) {
	t.Parallel()
	for _, cmd := range []executor.Command{
		{Args: []string{"a\x00"}},
		{Args: []string{"a"}, Dir: "/\x00"},
		{Args: []string{"a"}, Env: []string{"A=\x00"}},
		{},
	} {
		if _, err := program(cmd, "w"); !errs.Is(err, errs.Invalid) {
			t.Errorf("%q: got %v, want invalid", cmd.Args, err)
		}
	}
}

// write makes a file of a Docker configuration folder.
func write(t *testing.T, dir, name, text string) {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
}

// options are of a user whose home is empty and whose environment is env.
func options(t *testing.T, env map[string]string) Options {
	return Options{Home: t.TempDir(), Getenv: func(k string) string { return env[k] }}
}

func TestRegistryAuth(t *testing.T) {
	base := func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
	bin := t.TempDir()
	t.Setenv("PATH", bin+string(os.PathListSeparator)+os.Getenv("PATH"))
	write(t, bin, "docker-credential-ours", `#!/bin/sh
[ "$1" = get ] || exit 2
read -r server
case $server in
helper.example.com) echo '{"ServerURL":"'$server'","Username":"from-helper","Secret":"h"}' ;;
token.example.com) echo '{"Username":"<token>","Secret":"identity"}' ;;
https://index.docker.io/v1/) echo '{"Username":"hub-user","Secret":"hs"}' ;;
*) echo 'credentials not found in native keychain'; exit 1 ;;
esac
`)
	write(t, bin, "docker-credential-broken", "#!/bin/sh\necho s3cr3t; echo s3cr3t >&2; exit 1\n")
	user := `{
		"auths": {
			"https://index.docker.io/v1/": {"auth": "` + base("hub:pass:word") + `"},
			"https://r.example.com/v2/": {"auth": "` + base("user:r") + `"},
			"r.example.com/group": {"username": "group", "password": "g"},
			"empty.example.com": {}
		},
		"credHelpers": {"helper.example.com": "ours", "token.example.com": "ours", "none.example.com": "ours", "broken.example.com": "broken", "absent.example.com": "absent"}
	}`
	for _, c := range []struct {
		name, image, job, user string
		want                   *registry.AuthConfig
		fails                  errs.Kind
	}{
		{name: "docker hub", image: "alpine", user: user, want: &registry.AuthConfig{Username: "hub", Password: "pass:word", ServerAddress: hubServer}},
		{name: "host", image: "r.example.com/a", user: user, want: &registry.AuthConfig{Username: "user", Password: "r", ServerAddress: "r.example.com"}},
		{name: "longest path", image: "r.example.com/group/a:1", user: user, want: &registry.AuthConfig{Username: "group", Password: "g", ServerAddress: "r.example.com"}},
		{name: "not half a name", image: "r.example.com/grouped/a", user: user, want: &registry.AuthConfig{Username: "user", Password: "r", ServerAddress: "r.example.com"}},
		{name: "unknown host", image: "other.example.com/a", user: user},
		{name: "nothing said of a host", image: "empty.example.com/a", user: user},
		{name: "no configuration", image: "r.example.com/a"},
		{name: "the job's go first", image: "r.example.com/a", user: user, job: `{"auths":{"r.example.com":{"auth":"` + base("job:j") + `"}}}`,
			want: &registry.AuthConfig{Username: "job", Password: "j", ServerAddress: "r.example.com"}},
		{name: "the user's where the job has none", image: "r.example.com/a", user: user, job: `{"auths":{"x.example.com":{"auth":"` + base("job:j") + `"}}}`,
			want: &registry.AuthConfig{Username: "user", Password: "r", ServerAddress: "r.example.com"}},
		{name: "helper", image: "helper.example.com/a", user: user, want: &registry.AuthConfig{Username: "from-helper", Password: "h", ServerAddress: "helper.example.com"}},
		{name: "helper with a token", image: "token.example.com/a", user: user, want: &registry.AuthConfig{IdentityToken: "identity", ServerAddress: "token.example.com"}},
		{name: "helper without an answer", image: "none.example.com/a", user: user},
		{name: "helper that fails", image: "broken.example.com/a", user: user, fails: errs.Unavailable},
		{name: "helper that is absent", image: "absent.example.com/a", user: user, fails: errs.NotFound},
		{name: "store", image: "alpine", user: `{"credsStore":"ours"}`, want: &registry.AuthConfig{Username: "hub-user", Password: "hs", ServerAddress: hubServer}},
		{name: "store without an answer", image: "r.example.com/a", user: `{"credsStore":"ours"}`},
		{name: "a helper's name with a path", image: "r.example.com/a", user: `{"credsStore":"../x"}`, fails: errs.Invalid},
		{name: "not JSON", image: "alpine", job: `{"auths": s3cr3t`, fails: errs.Invalid},
		{name: "not base64", image: "r.example.com/a", job: `{"auths":{"r.example.com":{"auth":"s3cr3t"}}}`, fails: errs.Invalid},
		{name: "not a string", image: "r.example.com/a", job: `{"auths":{"r.example.com":{"auth":{"s3cr3t":1}}}}`, fails: errs.Invalid},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := options(t, nil)
			if c.user != "" {
				write(t, o.Home, ".docker/config.json", c.user)
			}
			header, err := o.registryAuth(context.Background(), parseReference(c.image), c.job)
			if c.fails != errs.Internal {
				if !errs.Is(err, c.fails) || strings.Contains(err.Error(), "s3cr3t") {
					t.Errorf("got %v, want kind %v without what is secret", err, c.fails)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var got *registry.AuthConfig
			if header != "" {
				b, err := base64.URLEncoding.DecodeString(header)
				if err != nil {
					t.Fatal(err)
				}
				if err := json.Unmarshal(b, &got); err != nil {
					t.Fatal(err)
				}
			}
			if d := cmp.Diff(c.want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

// The docker command made this folder for a context of this name.
func TestContextID(t *testing.T) {
	t.Parallel()
	const want = "46ba34770bccfde756708d47d83fb7c8257fe8a4b3a35f25d385a8284021f476"
	if got := contextID("near"); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestFindEngine(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		env     map[string]string
		opts    string // Options.Host
		config  string
		context [2]string
		want    address
		fails   errs.Kind
	}{
		{name: "as configured", opts: "unix:///a", env: map[string]string{"DOCKER_HOST": "unix:///b"}, want: address{host: "unix:///a", source: "as configured"}},
		{name: "DOCKER_HOST", env: map[string]string{"DOCKER_HOST": "unix:///b", "DOCKER_CONTEXT": "far"}, want: address{host: "unix:///b", source: "by DOCKER_HOST"}},
		{name: "with TLS", env: map[string]string{"DOCKER_HOST": "tcp://h:2376", "DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": "/certs"},
			want: address{host: "tcp://h:2376", source: "by DOCKER_HOST", certs: "/certs"}},
		{name: "over SSH", env: map[string]string{"DOCKER_HOST": "ssh://me@h:22"}, want: address{
			host: "ssh://me@h:22", source: "by DOCKER_HOST", ssh: []string{"ssh", "-T", "-o", "BatchMode=yes", "-o", "ConnectTimeout=30", "-l", "me", "-p", "22", "--", "h",
				"if command -v docker >/dev/null; then docker system dial-stdio; else podman system dial-stdio; fi"}}},
		{name: "over SSH with a password", env: map[string]string{"DOCKER_HOST": "ssh://me:s3cr3t@h"}, fails: errs.Invalid},
		{name: "over SSH to an option", env: map[string]string{"DOCKER_HOST": "ssh://-oProxyCommand=x"}, fails: errs.Invalid},
		{name: "over SSH to nowhere", env: map[string]string{"DOCKER_HOST": "ssh://"}, fails: errs.Invalid},
		{name: "current context", config: `{"currentContext":"near"}`, context: [2]string{"near", `{"Endpoints":{"docker":{"Host":"unix:///c"}}}`},
			want: address{host: "unix:///c", source: "by the Docker context near"}},
		{name: "DOCKER_CONTEXT", env: map[string]string{"DOCKER_CONTEXT": "near"}, config: `{"currentContext":"far"}`,
			context: [2]string{"near", `{"Endpoints":{"docker":{"Host":"unix:///c"}}}`}, want: address{host: "unix:///c", source: "by DOCKER_CONTEXT"}},
		{name: "unknown context", env: map[string]string{"DOCKER_CONTEXT": "gone"}, fails: errs.NotFound},
		{name: "context without a host", env: map[string]string{"DOCKER_CONTEXT": "near"}, context: [2]string{"near", `{}`}, fails: errs.Invalid},
		{name: "context that is not JSON", env: map[string]string{"DOCKER_CONTEXT": "near"}, context: [2]string{"near", `{`}, fails: errs.Invalid},
		{name: "configuration that is not JSON", config: `{`, fails: errs.Invalid},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			o := options(t, c.env)
			o.Host = c.opts
			if c.config != "" {
				write(t, o.Home, ".docker/config.json", c.config)
			}
			if c.context[0] != "" {
				write(t, o.configDir(), "contexts/meta/"+contextID(c.context[0])+"/meta.json", c.context[1])
			}
			got, err := o.findEngine(t.Context())
			if c.fails != errs.Internal {
				if !errs.Is(err, c.fails) || strings.Contains(err.Error(), "s3cr3t") {
					t.Errorf("got %v, want kind %v", err, c.fails)
				}
				return
			}
			if d := cmp.Diff(c.want, got, cmp.AllowUnexported(address{})); err != nil || d != "" {
				t.Error(err, d)
			}
		})
	}
}

func TestNoEngine(t *testing.T) {
	t.Parallel()
	o := options(t, map[string]string{"DOCKER_HOST": "unix:///no/such/socket"})
	e := New(o)
	err := e.Available(t.Context())
	if !errs.Is(err, errs.Unavailable) || !strings.Contains(err.Error(), "/no/such/socket") || !strings.Contains(err.Error(), "install Docker") {
		t.Errorf("got %v, want unavailable, the place, and how to get one", err)
	}
	if err := e.Sweep(t.Context()); err != nil {
		t.Errorf("sweep without an engine: %v", err)
	}
	if err := e.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
}

func TestPullCount(t *testing.T) {
	t.Parallel()
	start := time.Now()
	p := pullCount{noted: start}
	at := func(second int, id, status string, here, all int64) string {
		m := jsonstream.Message{ID: id, Status: status}
		if all > 0 {
			m.Progress = &jsonstream.Progress{Current: here, Total: all}
		}
		return p.add(m, start.Add(time.Duration(second)*time.Second))
	}
	for _, c := range []struct {
		second    int
		id        string
		status    string
		here, all int64
		want      string
	}{
		{1, "a", "Downloading", 5e6, 20e6, ""},
		{11, "b", "Downloading", 1e6, 100e6, "6 of 120 MB"},
		{12, "b", "Downloading", 2e6, 100e6, ""},
		{13, "a", "Verifying Checksum", 0, 0, ""},
		{14, "a", "Extracting", 1e6, 20e6, ""},
		{22, "b", "Downloading", 14e6, 100e6, "34 of 120 MB"},
		{40, "", "Digest: sha256:1", 0, 0, "34 of 120 MB"},
	} {
		if got := at(c.second, c.id, c.status, c.here, c.all); got != c.want {
			t.Errorf("second %d: got %q, want %q", c.second, got, c.want)
		}
	}
}
