package source

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"refline/internal/errs"
	"refline/internal/git"
	"refline/internal/netguard"
)

// Includes says where the files of other projects come from. Everything can be
// pointed elsewhere, so that a pipeline compiles without GitLab's own services.
type Includes struct {
	// Projects is the prefix of other projects' URLs (https://host, git@host:)
	// or a folder that holds them; empty for the server of the origin remote.
	Projects string
	// Components is the same for components, whose address names a host; empty
	// for https://HOST/.
	Components string
	// Templates is a folder with GitLab's templates, or a URL prefix; empty for
	// the project's own GitLab server and gitlab.com.
	Templates string
	// Copies is a folder that keeps templates and components for work without a
	// network; empty to keep none.
	Copies string
	// Notice takes what a person who waits wants to know; may be nil.
	Notice func(text string)
	Now    func() time.Time // nil for the system's clock
	CAFile string           // certificates of a private authority for https
	// Guard says which addresses include:remote may have at all. Nil is for a
	// person's own computer: the URL of an include may have any address, a
	// redirect only public ones and those of the project's own server.
	Guard *netguard.Guard
	// Remote opens the repository at url with the credentials and the mirror
	// folder of whoever compiles; nil when other projects cannot be read.
	Remote func(url string) (*git.Remote, error)

	transport http.RoundTripper // of tests; nil for the network
}

func (s Includes) remote(where string) (*git.Remote, error) {
	if s.Remote == nil {
		return nil, errs.E(errs.Denied, "%s: other repositories are not read here", where)
	}
	return s.Remote(where)
}

// projectURL is where the repository of another project is: beside the one at
// origin, unless a prefix says otherwise.
func projectURL(prefix, origin, project string) (string, error) {
	if prefix != "" {
		if IsURL(prefix) || strings.HasSuffix(prefix, ":") {
			return strings.TrimRight(prefix, "/") + sep(prefix) + project + ".git", nil
		}
		return existingRepo(prefix, project)
	}
	if origin == "" {
		return "", errs.E(errs.Unavailable, "this repository has no remote that shows where project %s is", project)
	}
	if u, err := url.Parse(origin); err == nil && u.Host != "" {
		u.Path, u.RawQuery, u.Fragment = "/"+project+".git", "", ""
		return u.String(), nil
	}
	if host, _, ok := strings.Cut(origin, ":"); ok && !strings.Contains(host, "/") {
		return host + ":" + project + ".git", nil
	}
	return "", errs.E(errs.Unavailable, "the remote %s does not show where project %s is", origin, project)
}

func sep(prefix string) string {
	if strings.HasSuffix(prefix, ":") {
		return ""
	}
	return "/"
}

// IsURL reports whether s is a URL rather than a path or host:path.
func IsURL(s string) bool { return strings.Contains(s, "://") }

// existingRepo finds project, project.git or its last part below a folder.
func existingRepo(dir, project string) (string, error) {
	for _, name := range []string{project, project + ".git", path.Base(project), path.Base(project) + ".git"} {
		p := filepath.Join(dir, filepath.FromSlash(name))
		if info, err := os.Stat(p); err == nil && info.IsDir() {
			return p, nil
		}
	}
	return "", errs.E(errs.NotFound, "no repository of project %s below %s", project, dir)
}

const maxIncludeBytes = 4 << 20

// componentAddress takes host/group/project/name@version apart.
func componentAddress(address string) (host, project, name, ref string, err error) {
	full, ref, ok := strings.Cut(address, "@")
	parts := strings.Split(full, "/")
	if !ok || ref == "" || len(parts) < 4 {
		return "", "", "", "", errs.E(errs.Invalid, "a component is named host/group/project/name@version, got %q", address)
	}
	return parts[0], strings.Join(parts[1:len(parts)-1], "/"), parts[len(parts)-1], ref, nil
}

func (s Includes) componentURL(host, project string) (string, error) {
	if s.Components == "" {
		return fmt.Sprintf("https://%s/%s.git", host, project), nil
	}
	return projectURL(s.Components, "", project)
}
