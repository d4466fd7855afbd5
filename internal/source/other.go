package source

import (
	"cmp"
	"context"
	"net/url"
	"strings"
	"sync"

	"refline/internal/errs"
	"refline/internal/git"
	"refline/internal/gitlabci"
	"refline/internal/pipeline"
)

// otherProjects reads the files of includes that are not of the project itself:
// of other repositories, by URL, from GitLab's templates and components.
type otherProjects struct {
	includes Includes
	origin   string // URL of the project's own remote
	mu       sync.Mutex
	open     map[string]*otherProject // by project and ref
	down     map[string]error         // hosts that did not answer: asked once is enough
}

func newOtherProjects(in Includes, origin string) *otherProjects {
	return &otherProjects{includes: in, origin: origin, open: map[string]*otherProject{}, down: map[string]error{}}
}

// ownProject is what the project that is compiled is called.
type ownProject struct{ host, path, sha, ref string }

func nameOf(f gitlabci.Facts) ownProject {
	vars := pipeline.Lookup(gitlabci.Predefined(f))
	value := func(name string) string { v, _ := vars(name); return v }
	return ownProject{
		host: value("CI_SERVER_FQDN"), path: value("CI_PROJECT_PATH"),
		sha: value("CI_COMMIT_SHA"), ref: value("CI_COMMIT_REF_NAME"),
	}
}

// names reports whether an include names the project itself at the commit that
// is compiled, as the tests of a component do: then its files are here. paths
// are those to try.
func (o ownProject) names(src gitlabci.Source) (paths []string, is bool) {
	switch {
	case o.path == "":
		return nil, false
	case src.Kind == gitlabci.SourceLocal && src.Project == o.path && o.isAt(src.Ref):
		return []string{src.Path}, true
	case src.Kind == gitlabci.SourceComponent:
		host, project, name, version, err := componentAddress(src.Path)
		if err == nil && host == o.host && project == o.path && o.isAt(version) {
			return componentPaths(name), true
		}
	}
	return nil, false
}

func (o ownProject) isAt(ref string) bool {
	return ref == o.sha || ref == o.ref || len(ref) >= 7 && strings.HasPrefix(o.sha, ref)
}

func componentPaths(name string) []string {
	return []string{"templates/" + name + ".yml", "templates/" + name + "/template.yml"}
}

// otherProject is one repository at one ref.
type otherProject struct {
	reader *git.Reader
	commit string
	tag    string // that was resolved, empty for all else
}

func (o *otherProjects) read(ctx context.Context, src gitlabci.Source) ([]byte, gitlabci.Source, error) {
	switch src.Kind {
	case gitlabci.SourceRemote:
		data, err := o.includes.get(ctx, src.Path, o.origin)
		return data, src, err
	case gitlabci.SourceTemplate:
		data, err := o.includes.template(ctx, o.origin, src.Path)
		return data, src, err
	case gitlabci.SourceComponent:
		return o.componentOrCopy(ctx, src)
	}
	p, err := o.project(ctx, src.Project, src.Ref)
	if err != nil {
		return nil, src, err
	}
	path, err := localPath(src.Path)
	if err != nil {
		return nil, src, err
	}
	src.Path, src.Ref = path, p.commit
	data, err := p.reader.ReadFile(p.commit, path)
	return data, src, err
}

func (o *otherProjects) list(ctx context.Context, src gitlabci.Source) ([]string, error) {
	if src.Kind != gitlabci.SourceLocal {
		return nil, errs.E(errs.Invalid, "a %s include has no files beside it", src.Kind)
	}
	p, err := o.project(ctx, src.Project, src.Ref)
	if err != nil {
		return nil, err
	}
	entries, err := p.reader.List(p.commit)
	return entryPaths(entries), err
}

// project resolves a ref of another project, once, and brings the commit here.
func (o *otherProjects) project(ctx context.Context, name, ref string) (*otherProject, error) {
	where, err := projectURL(o.includes.Projects, o.origin, name)
	if err != nil {
		return nil, err
	}
	return o.at(ctx, where, ref, func(remote *git.Remote) (git.Resolved, error) { return resolveAny(ctx, remote, ref) })
}

func (o *otherProjects) at(ctx context.Context, where, ref string, resolve func(*git.Remote) (git.Resolved, error)) (*otherProject, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	key := where + "\x00" + ref
	if p := o.open[key]; p != nil {
		return p, nil
	}
	if err := o.down[HostOf(where)]; err != nil {
		return nil, errs.E(errs.Unavailable, "%s did not answer for another include", cmp.Or(HostOf(where), where))
	}
	remote, err := o.includes.remote(where)
	if err != nil {
		return nil, err
	}
	resolved, err := resolve(remote)
	if errs.Is(err, errs.Unavailable) {
		o.down[HostOf(where)] = err
	}
	if err != nil {
		return nil, err
	}
	if err := remote.Fetch(ctx, resolved, 1); err != nil {
		return nil, err
	}
	p := &otherProject{reader: remote.Reader(ctx), commit: resolved.Commit}
	if resolved.Kind == git.KindTag {
		p.tag = resolved.Name
	}
	o.open[key] = p
	return p, nil
}

// HostOf is the host of a repository's URL, with its port, without a user.
func HostOf(address string) string {
	if u, err := url.Parse(address); err == nil && u.Host != "" {
		return u.Host
	}
	host, _, isSSH := strings.Cut(address, ":")
	if !isSSH || strings.ContainsAny(host, "/\\") {
		return ""
	}
	return host[strings.LastIndexByte(host, '@')+1:]
}

// resolveAny takes a ref that may be a branch, a tag or a commit, in GitLab's
// order; none is the remote's HEAD.
func resolveAny(ctx context.Context, remote *git.Remote, ref string) (git.Resolved, error) {
	if ref == "" || ref == "HEAD" {
		return remote.Resolve(ctx, git.Ref{})
	}
	branch, err := remote.Resolve(ctx, git.Ref{Kind: git.KindBranch, Name: ref})
	if !errs.Is(err, errs.NotFound) {
		return branch, err
	}
	for _, kind := range []git.Kind{git.KindTag, git.KindCommit} {
		if r, err := remote.Resolve(ctx, git.Ref{Kind: kind, Name: ref}); err == nil {
			return r, nil
		}
	}
	return git.Resolved{}, err
}

// componentOrCopy reads a component, or what it was if its server cannot be
// reached.
func (o *otherProjects) componentOrCopy(ctx context.Context, src gitlabci.Source) ([]byte, gitlabci.Source, error) {
	data, found, err := o.component(ctx, src)
	switch {
	case err == nil:
		o.includes.keepComponent(src.Path, data, found)
	case errs.Is(err, errs.Unavailable) && ctx.Err() == nil:
		if data, found, ok := o.includes.keptComponent(src.Path, err); ok {
			return data, found, nil
		}
	}
	return data, found, err
}

// component reads templates/NAME.yml or templates/NAME/template.yml of the
// component's project at its version.
func (o *otherProjects) component(ctx context.Context, src gitlabci.Source) ([]byte, gitlabci.Source, error) {
	host, project, name, version, err := componentAddress(src.Path)
	if err != nil {
		return nil, src, err
	}
	where, err := o.includes.componentURL(host, project)
	if err != nil {
		return nil, src, err
	}
	p, err := o.at(ctx, where, version, func(remote *git.Remote) (git.Resolved, error) {
		return resolveVersion(ctx, remote, version)
	})
	if err != nil {
		return nil, src, err
	}
	for _, path := range componentPaths(name) {
		data, err := p.reader.ReadFile(p.commit, path)
		if err == nil {
			return data, gitlabci.Source{Kind: gitlabci.SourceLocal, Project: project, Ref: p.commit, Path: path, Version: p.tag}, nil
		}
		if !errs.Is(err, errs.NotFound) {
			return nil, src, err
		}
	}
	return nil, src, errs.E(errs.NotFound, "%s has neither templates/%s.yml nor templates/%s/template.yml at %s", project, name, name, version)
}

// resolveVersion takes a component's version: a commit, tag or branch, ~latest,
// or a part of a semantic version (1, 1.2) for the newest that fits.
func resolveVersion(ctx context.Context, remote *git.Remote, version string) (git.Resolved, error) {
	if version != "~latest" && !partialVersion(version) {
		return resolveAny(ctx, remote, version)
	}
	tags, err := remote.Tags(ctx)
	if err != nil {
		return git.Resolved{}, err
	}
	best := newestVersion(tags, strings.TrimPrefix(version, "~latest"))
	if best == "" {
		return resolveAny(ctx, remote, version)
	}
	return remote.Resolve(ctx, git.Ref{Kind: git.KindTag, Name: best})
}

func (o *otherProjects) close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, p := range o.open {
		p.reader.Close()
	}
}
