package git

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"refline/internal/errs"
)

// submodule is a folder whose files come from a commit of another repository.
type submodule struct{ name, path, url, commit string }

// checkoutSubmodules fills the submodules of c below dst. Each one is a checkout
// like any other, with its own mirror and a fresh .git of its own inside, so
// what .gitmodules says is never handed to git as configuration.
func (r *Remote) checkoutSubmodules(ctx context.Context, c Resolved, dst string, o CheckoutOptions) error {
	modules, err := r.submodules(ctx, c)
	if err != nil {
		return err
	}
	if o.Submodules == SubmodulesNormal {
		o.Submodules = SubmodulesNone
	}
	wanted := o.SubmodulePaths
	o.Sparse, o.SubmodulePaths = nil, "" // of this repository alone
	var settings []setting
	for _, m := range modules {
		if !wanted.Has(m.path) {
			continue
		}
		at, err := placeOf(dst, m.path)
		if err != nil {
			return fmt.Errorf("submodule %q of %s: %w", m.path, r.URL(), err)
		}
		if at == "" {
			continue // left out by a sparse checkout
		}
		other, err := r.neighbour(ctx, m.url, o.ForceHTTPS)
		if err != nil {
			return fmt.Errorf("submodule %q of %s: %w", m.path, r.URL(), err)
		}
		if err := other.Checkout(ctx, Resolved{Kind: KindCommit, Commit: m.commit}, at, o); err != nil {
			return fmt.Errorf("submodule %q of %s: %w", m.path, r.URL(), err)
		}
		settings = append(settings, setting{"submodule." + m.name + ".url", other.URL()}, setting{"submodule." + m.name + ".active", "true"})
	}
	return appendConfig(dst, settings)
}

// submodules pairs the submodule entries of the tree with what .gitmodules says
// of them.
func (r *Remote) submodules(ctx context.Context, c Resolved) ([]submodule, error) {
	reader := r.Reader(ctx)
	defer reader.Close()
	entries, err := reader.List(c.Commit)
	if err != nil {
		return nil, err
	}
	entries = slices.DeleteFunc(entries, func(e Entry) bool { return e.Mode != modeSubmodule })
	if len(entries) == 0 {
		return nil, nil
	}
	text, err := reader.ReadFile(c.Commit, ".gitmodules")
	if err != nil && !errs.Is(err, errs.NotFound) {
		return nil, err
	}
	conf, ok := parseConfig(string(text))
	if !ok {
		return nil, errs.E(errs.Invalid, ".gitmodules in %s of %s cannot be read", c.describe(), r.URL())
	}
	byPath := map[string]submodule{}
	for key, value := range conf {
		name, ok := strings.CutPrefix(key, "submodule.")
		if name, isPath := strings.CutSuffix(name, ".path"); ok && isPath {
			byPath[value] = submodule{name: name, path: value, url: conf["submodule."+name+".url"]}
		}
	}
	var found []submodule
	for _, e := range entries {
		m := byPath[e.Path]
		if m.url == "" {
			return nil, errs.E(errs.Invalid, "%q in %s of %s is a submodule, but .gitmodules names no URL for it", e.Path, c.describe(), r.URL())
		}
		m.commit = e.ID
		found = append(found, m)
	}
	return found, nil
}

// neighbour is the repository that a submodule URL names, seen from r. It may
// be reached by the same kinds of URL as r, a folder only from a folder, and the
// credentials go along only to the same site. Seen from a clone, "../x" is
// beside the repository that it was cloned from, as in git-submodule(1). With https a
// repository of the same server that is named by ssh is reached by https.
func (r *Remote) neighbour(ctx context.Context, raw string, https bool) (*Remote, error) {
	access := r.access
	if access.Shown != "" {
		access.Shown = "a submodule of " + access.Shown
	}
	access.AllowFile = access.AllowFile && r.addr.scheme == "file"
	base := r.origin(ctx)
	if strings.HasPrefix(raw, "./") || strings.HasPrefix(raw, "../") {
		raw = base.relative(raw)
	}
	addr, err := parseAddress(raw, access)
	if err != nil {
		return nil, err
	}
	if https && addr.scheme == "ssh" && addr.hostname() == base.hostname() {
		if addr, err = parseAddress(base.site()+"/"+strings.TrimPrefix(addr.path, "/"), access); err != nil {
			return nil, err
		}
	}
	if addr.password != "" {
		return nil, errs.E(errs.Invalid, "%s: .gitmodules holds a password; take it out, and out of the history", addr.text)
	}
	if addr.scheme != base.scheme || addr.host != base.host {
		access.Username, access.Password = "", nil
	} else {
		addr.user, addr.password = or(addr.user, base.user), base.password
	}
	return &Remote{addr, access, filepath.Join(filepath.Dir(r.dir), folderName(addr))}, nil
}

// hostname is the host without a port.
func (a address) hostname() string {
	u := url.URL{Host: a.host}
	return u.Hostname()
}

// site is the address of the server by http as far as it is known, else by https.
func (a address) site() string {
	if a.scheme == "http" || a.scheme == "https" {
		return a.scheme + "://" + a.host
	}
	u := url.URL{Scheme: "https", Host: a.host}
	return "https://" + strings.TrimSuffix(u.Host, ":"+u.Port())
}

// relative resolves a submodule's relative URL as git-submodule(1) does: from
// the repository, not from its folder.
func (a address) relative(raw string) string {
	switch {
	case a.scheme == "file":
		return filepath.Join(a.path, filepath.FromSlash(raw))
	case !strings.Contains(a.text, "://"): // user@host:path
		head := strings.TrimSuffix(a.text, a.path)
		return head + path.Join(a.path, raw)
	}
	u, err := url.Parse(a.text)
	if err != nil {
		return raw
	}
	return u.JoinPath(raw).String()
}

// placeOf is the folder of a submodule, "" if it is not checked out. Its path must
// not lead through a link.
func placeOf(dst, name string) (string, error) {
	clean, err := cleanPath(name)
	if err != nil || clean != name {
		return "", errs.E(errs.Invalid, "its path leaves the repository")
	}
	at := dst
	for part := range strings.SplitSeq(name, "/") {
		if strings.EqualFold(part, ".git") {
			return "", errs.E(errs.Invalid, "its path leads into .git")
		}
		at = filepath.Join(at, part)
		st, err := os.Lstat(at)
		if os.IsNotExist(err) {
			return "", nil
		}
		if err != nil || !st.IsDir() {
			return "", errs.E(errs.Invalid, "%s is not a folder", part)
		}
	}
	return at, nil
}

func appendConfig(dst string, settings []setting) error {
	if len(settings) == 0 {
		return nil
	}
	f, err := os.OpenFile(filepath.Join(dst, ".git", "config"), os.O_APPEND|os.O_WRONLY, 0)
	if err == nil {
		_, err = f.WriteString(formatConfig(settings))
		if closeErr := f.Close(); err == nil {
			err = closeErr
		}
	}
	if err != nil {
		return onDisk(err, "configure %s", dst)
	}
	return nil
}
