package source

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"refline/internal/errs"
	"refline/internal/gitlabci"
	"refline/internal/pipeline"
)

// gitlabTemplates is where GitLab publishes its templates.
const gitlabTemplates = "https://gitlab.com/gitlab-org/gitlab/-/raw/HEAD/lib/gitlab/ci/templates/"

// freshFor is how long a copy is used without asking its server.
const freshFor = 10 * time.Minute

// place is one address of a template.
type place struct {
	url    string
	isJSON bool // the answer of GitLab's API
}

// template reads one of GitLab's templates: from the configured folder or URL,
// else from the project's own GitLab server, else from gitlab.com.
func (s Includes) template(ctx context.Context, origin, name string) ([]byte, error) {
	switch {
	case s.Templates == "":
		return s.published(ctx, origin, name, templatePlaces(origin, name))
	case IsURL(s.Templates):
		return s.published(ctx, origin, name, []place{{url: strings.TrimRight(s.Templates, "/") + "/" + name}})
	}
	root, err := os.OpenRoot(s.Templates)
	if err != nil {
		return nil, errs.E(errs.NotFound, "the folder of templates: %w (from --templates or REFLINE_TEMPLATES)", err)
	}
	defer root.Close()
	data, err := root.ReadFile(filepath.FromSlash(name))
	if err != nil {
		return nil, errs.E(errs.NotFound, "no template %q in %s", name, s.Templates)
	}
	return data, nil
}

// templatePlaces lists where a template may be, for a project whose remote is
// origin.
func templatePlaces(origin, name string) []place {
	var places []place
	vars := pipeline.Lookup(gitlabci.Predefined(gitlabci.Facts{Remote: origin}))
	host, _ := vars("CI_SERVER_HOST")
	if api, _ := vars("CI_API_V4_URL"); IsURL(origin) || HostOf(origin) != "" {
		if !slices.Contains([]string{"gitlab.com", "github.com", "bitbucket.org", "codeberg.org", "localhost", ""}, host) {
			key := url.PathEscape(strings.TrimSuffix(name, ".gitlab-ci.yml"))
			places = append(places, place{api + "/templates/gitlab_ci_ymls/" + key, true})
		}
	}
	return append(places, place{url: gitlabTemplates + (&url.URL{Path: name}).EscapedPath()})
}

// published reads a file from the first place that has it. A fresh copy is used
// without asking; an older one is confirmed by its ETag, or used if no place can
// be reached. The error names all places.
func (s Includes) published(ctx context.Context, origin, name string, places []place) ([]byte, error) {
	copies := copies{s.Copies}
	kind := errs.NotFound
	var tried []string
	var reached error
	for _, p := range places {
		old, have := copies.get(p.url)
		if have && s.now().Sub(old.Checked) < freshFor {
			return old.Content, nil
		}
		data, etag, err := s.getTagged(ctx, p.url, origin, old.ETag)
		switch {
		case errors.Is(err, errNotModified):
			old.Checked = s.now()
			copies.put(old)
			return old.Content, nil
		case err == nil && p.isJSON:
			data, err = templateOfAPI(data)
		}
		if err == nil {
			copies.put(kept{Name: p.url, ETag: etag, Checked: s.now(), Content: data})
			return data, nil
		}
		if ctx.Err() != nil {
			return nil, err
		}
		if !errs.Is(err, errs.NotFound) {
			kind, reached = errs.KindOf(err), err
		}
		tried = append(tried, fmt.Sprintf("%s (%s)", shownURL(p.url), withoutAddress(err, p.url)))
	}
	if reached != nil {
		for _, p := range places {
			if old, have := copies.get(p.url); have {
				s.notice("%s: %v; using the copy of %s", name, reached, old.Checked.Format("2006-01-02 15:04"))
				return old.Content, nil
			}
		}
	}
	return nil, errs.E(kind, "tried %s", strings.Join(tried, ", "))
}

// templateOfAPI takes the content out of an answer of GitLab's API.
func templateOfAPI(data []byte) ([]byte, error) {
	var answer struct {
		Content *string `json:"content"`
	}
	if err := json.Unmarshal(data, &answer); err != nil || answer.Content == nil {
		return nil, errs.E(errs.NotFound, "not an answer of GitLab's API")
	}
	return []byte(*answer.Content), nil
}

func shownURL(address string) string {
	if u, err := url.Parse(address); err == nil {
		return u.Redacted()
	}
	return address
}

// withoutAddress is the text of an error without the address that is named
// beside it.
func withoutAddress(err error, address string) string {
	return strings.TrimPrefix(err.Error(), shownURL(address)+": ")
}

// errNotModified is the answer of a server whose file is the copy.
var errNotModified = errors.New(http.StatusText(http.StatusNotModified))

func (s Includes) notice(format string, args ...any) {
	if s.Notice != nil {
		s.Notice(fmt.Sprintf(format, args...))
	}
}

func (s Includes) now() time.Time {
	if s.Now != nil {
		return s.Now()
	}
	return time.Now()
}

// keepComponent and keptComponent keep what a component was, for work without a
// network.
func (s Includes) keepComponent(address string, data []byte, found gitlabci.Source) {
	copies{s.Copies}.put(kept{
		Name: address, Checked: s.now(), Content: data,
		Project: found.Project, Ref: found.Ref, Path: found.Path, Version: found.Version,
	})
}

func (s Includes) keptComponent(address string, why error) ([]byte, gitlabci.Source, bool) {
	k, ok := copies{s.Copies}.get(address)
	if !ok {
		return nil, gitlabci.Source{}, false
	}
	s.notice("component %s: %v; using the copy of %s", address, why, k.Checked.Format("2006-01-02 15:04"))
	return k.Content, gitlabci.Source{Kind: gitlabci.SourceLocal, Project: k.Project, Ref: k.Ref, Path: k.Path, Version: k.Version}, true
}
