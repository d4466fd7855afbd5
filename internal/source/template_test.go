package source

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"refline/internal/errs"
	"refline/internal/git"
	"refline/internal/gitlabci"
)

// web is a network of fixed answers: "200 ETAG BODY", "404", or "" for none.
type web struct {
	t       *testing.T
	answers map[string]string
	asked   []string
}

func (w *web) RoundTrip(r *http.Request) (*http.Response, error) {
	address := r.URL.String()
	w.asked = append(w.asked, address)
	answer, ok := w.answers[address]
	if !ok {
		return nil, errors.New("no route to host")
	}
	status, rest, _ := strings.Cut(answer, " ")
	etag, body, _ := strings.Cut(rest, " ")
	res := &http.Response{StatusCode: 404, Status: "404 Not Found", Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body)), Request: r}
	switch {
	case status != "200":
	case r.Header.Get("If-None-Match") == etag && etag != "-":
		res.StatusCode, res.Status = 304, "304 Not Modified"
	default:
		res.StatusCode, res.Status = 200, "200 OK"
		res.Header.Set("ETag", etag)
	}
	return res, nil
}

const (
	sast    = "Security/SAST.gitlab-ci.yml"
	public  = gitlabTemplates + sast
	private = "https://git.example.com/api/v4/templates/gitlab_ci_ymls/Security%2FSAST"
)

func TestTemplatesWithoutSetup(t *testing.T) {
	t.Parallel()
	const own = "git@git.example.com:g/p.git"
	for name, tt := range map[string]struct {
		origin  string
		answers map[string]string
		want    string // the content, or what the error says
		kind    errs.Kind
		asked   []string
	}{
		"of gitlab.com":             {"https://gitlab.com/g/p.git", map[string]string{public: `200 "a" sast`}, "sast", 0, []string{public}},
		"without a remote":          {"", map[string]string{public: `200 "a" sast`}, "sast", 0, []string{public}},
		"of a folder":               {"/srv/git/p.git", map[string]string{public: `200 "a" sast`}, "sast", 0, []string{public}},
		"of another forge":          {"https://github.com/g/p", map[string]string{public: `200 "a" sast`}, "sast", 0, []string{public}},
		"of the own server":         {own, map[string]string{private: `200 "a" {"name":"x","content":"own sast"}`}, "own sast", 0, []string{private}},
		"the own server lacks it":   {own, map[string]string{private: "404", public: `200 "a" sast`}, "sast", 0, []string{private, public}},
		"a page to sign in":         {own, map[string]string{private: `200 - <html>`, public: `200 "a" sast`}, "sast", 0, []string{private, public}},
		"the own server is away":    {own, map[string]string{public: `200 "a" sast`}, "sast", 0, []string{private, public}},
		"nowhere":                   {own, map[string]string{private: "404", public: "404"}, "tried " + private + " (not found), " + public + " (not found)", errs.NotFound, []string{private, public}},
		"nothing can be reached":    {own, nil, "tried " + private + " (no route to host), " + public + " (no route to host)", errs.Unavailable, []string{private, public}},
		"only gitlab.com is away":   {own, map[string]string{private: "404"}, public + " (no route to host)", errs.Unavailable, []string{private, public}},
		"an empty template is fine": {"", map[string]string{public: `200 "a" `}, "", 0, []string{public}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := &web{t: t, answers: tt.answers}
			o := newOtherProjects(Includes{transport: w}, tt.origin)
			data, _, err := o.read(context.Background(), gitlabci.Source{Kind: gitlabci.SourceTemplate, Path: sast})
			if tt.kind != 0 {
				if !errs.Is(err, tt.kind) || !strings.Contains(err.Error(), tt.want) {
					t.Errorf("got %v, want an error of kind %v with %q", err, tt.kind, tt.want)
				}
			} else if err != nil || string(data) != tt.want {
				t.Errorf("got %q, %v, want %q", data, err, tt.want)
			}
			if got, want := strings.Join(w.asked, "\n"), strings.Join(tt.asked, "\n"); got != want {
				t.Errorf("asked\n%s\nwant\n%s", got, want)
			}
		})
	}
}

// TestTemplatesAreKept: a fresh copy needs no request, an older one is confirmed
// by its ETag, and without a network it is used with a notice.
func TestTemplatesAreKept(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	w := &web{t: t, answers: map[string]string{public: `200 "v1" one`}}
	var notices []string
	in := Includes{transport: w, Copies: filepath.Join(t.TempDir(), "copies"), Now: func() time.Time { return now }, Notice: func(s string) { notices = append(notices, s) }}
	read := func(want string) {
		t.Helper()
		o := newOtherProjects(in, "")
		data, _, err := o.read(context.Background(), gitlabci.Source{Kind: gitlabci.SourceTemplate, Path: sast})
		if err != nil || string(data) != want {
			t.Errorf("got %q, %v, want %q", data, err, want)
		}
	}
	requests := func(want int) {
		t.Helper()
		if len(w.asked) != want {
			t.Errorf("%d requests, want %d", len(w.asked), want)
		}
	}
	read("one")
	read("one") // fresh
	requests(1)
	now = now.Add(time.Hour)
	read("one") // 304
	read("one") // fresh again
	requests(2)
	now = now.Add(time.Hour)
	w.answers[public] = `200 "v2" two`
	read("two")
	requests(3)
	now = now.Add(time.Hour)
	w.answers = nil
	read("two")
	if want := sast + ": no route to host; using the copy of 2026-11-30 14:00"; len(notices) != 1 || notices[0] != want {
		t.Errorf("notices %q, want %q", notices, want)
	}
	// a damaged copy is none
	files, _ := filepath.Glob(filepath.Join(in.Copies, "*.json"))
	if len(files) != 1 {
		t.Fatalf("copies: %v", files)
	}
	if err := os.WriteFile(files[0], []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	w.answers = map[string]string{public: `200 "v3" three`}
	read("three")
}

func TestConfiguredTemplates(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "A.gitlab-ci.yml"), []byte("of the folder"), 0o600); err != nil {
		t.Fatal(err)
	}
	w := &web{t: t, answers: map[string]string{"https://mirror.example.com/ci/A.gitlab-ci.yml": "200 - of the mirror"}}
	for templates, want := range map[string]string{dir: "of the folder", "https://mirror.example.com/ci/": "of the mirror"} {
		data, err := Includes{Templates: templates, transport: w}.template(context.Background(), "git@git.example.com:g/p", "A.gitlab-ci.yml")
		if err != nil || string(data) != want {
			t.Errorf("%s: got %q, %v, want %q", templates, data, err, want)
		}
	}
	if _, err := (Includes{Templates: dir}).template(context.Background(), "", "../A.gitlab-ci.yml"); !errs.Is(err, errs.NotFound) {
		t.Errorf("outside of the folder: %v", err)
	}
}

// TestComponentsAreKept: without a network a component is what it was.
func TestComponentsAreKept(t *testing.T) {
	t.Parallel()
	const address = "gitlab.com/components/sast/sast@1"
	var notices []string
	in := Includes{
		Copies: t.TempDir(), Now: func() time.Time { return time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC) },
		Notice: func(s string) { notices = append(notices, s) },
		Remote: func(url string) (*git.Remote, error) {
			return nil, errs.E(errs.Unavailable, "%s: no route to host", url)
		},
	}
	read := func() ([]byte, gitlabci.Source, error) {
		return newOtherProjects(in, "").read(context.Background(), gitlabci.Source{Kind: gitlabci.SourceComponent, Path: address})
	}
	if _, _, err := read(); !errs.Is(err, errs.Unavailable) || !strings.Contains(err.Error(), "https://gitlab.com/components/sast.git: no route to host") {
		t.Errorf("without a copy: %v", err)
	}
	was := gitlabci.Source{Kind: gitlabci.SourceLocal, Project: "components/sast", Ref: "c0ffee", Path: "templates/sast.yml", Version: "1.2.3"}
	in.keepComponent(address, []byte("job: {script: x}"), was)
	data, found, err := read()
	if err != nil || string(data) != "job: {script: x}" || found != was {
		t.Errorf("got %q of %+v, %v", data, found, err)
	}
	if len(notices) != 1 || !strings.Contains(notices[0], "using the copy of 2026-11-30 12:00") {
		t.Errorf("notices %q", notices)
	}
}
