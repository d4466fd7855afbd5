package main

import (
	"cmp"
	"context"
	"strings"
	"sync"
	"time"

	"refline/internal/errs"
	"refline/internal/git"
	"refline/internal/gitlabci"
	"refline/internal/pipeline"
)

// otherProjects reads the files of includes that are not of the project itself:
// of other repositories, by URL, from GitLab's templates and components.
type otherProjects struct {
	e       *env
	sources includeSources
	origin  string // URL of the project's own remote
	self    ownProject
	mu      sync.Mutex
	open    map[string]*otherProject // by project and ref
	down    map[string]error         // hosts that did not answer: asked once is enough
}

// ownProject is what the project that is compiled is called.
type ownProject struct{ host, path, sha, ref string }

func (o *otherProjects) know(f gitlabci.Facts) {
	vars := pipeline.Lookup(gitlabci.Predefined(f))
	o.self.host, _ = vars("CI_SERVER_FQDN")
	o.self.path, _ = vars("CI_PROJECT_PATH")
	o.self.sha, _ = vars("CI_COMMIT_SHA")
	o.self.ref, _ = vars("CI_COMMIT_REF_NAME")
}

// own tells whether an include names the project itself at the commit that is
// compiled, as the tests of a component do: then its files are here. The paths
// of src are those to try.
func (o *otherProjects) own(src gitlabci.Source) (paths []string, is bool) {
	switch {
	case o.self.path == "":
		return nil, false
	case src.Kind == gitlabci.SourceLocal && src.Project == o.self.path && o.here(src.Ref):
		return []string{src.Path}, true
	case src.Kind == gitlabci.SourceComponent:
		host, project, name, version, err := componentAddress(src.Path)
		if err == nil && host == o.self.host && project == o.self.path && o.here(version) {
			return componentPaths(name), true
		}
	}
	return nil, false
}

func (o *otherProjects) here(ref string) bool {
	return ref == o.self.sha || ref == o.self.ref || len(ref) >= 7 && strings.HasPrefix(o.self.sha, ref)
}

// readOwn reads the first of the paths that the project has.
func readOwn(ctx context.Context, c gitlabci.Loader, paths []string) (data []byte, found gitlabci.Source, err error) {
	for _, path := range paths {
		data, found, err = c.Read(ctx, gitlabci.Source{Kind: gitlabci.SourceLocal, Path: path})
		if !errs.Is(err, errs.NotFound) {
			break
		}
	}
	return data, found, err
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
		data, err := o.sources.get(ctx, src.Path)
		return data, src, err
	case gitlabci.SourceTemplate:
		data, err := o.sources.template(ctx, src.Path)
		return data, src, err
	case gitlabci.SourceComponent:
		return o.component(ctx, src)
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
	where, err := projectURL(o.sources.projects, o.origin, name)
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
	cache, err := mirrorDir(o.e)
	if err != nil {
		return nil, err
	}
	if err := o.down[hostOf(where)]; err != nil {
		return nil, errs.E(errs.Unavailable, "%s did not answer for another include", cmp.Or(hostOf(where), where))
	}
	access := userAccess(o.e, o.sources, where)
	access.Attempts, access.Wait = 2, 200*time.Millisecond // somebody waits for a lint
	remote, err := git.NewRemote(where, cache, access)
	if err != nil {
		return nil, err
	}
	resolved, err := resolve(remote)
	if errs.Is(err, errs.Unavailable) {
		if o.down == nil {
			o.down = map[string]error{}
		}
		o.down[hostOf(where)] = err
	}
	if err != nil {
		return nil, err
	}
	if err := remote.Fetch(ctx, resolved, 1); err != nil {
		return nil, err
	}
	if o.open == nil {
		o.open = map[string]*otherProject{}
	}
	p := &otherProject{reader: remote.Reader(ctx), commit: resolved.Commit}
	if resolved.Kind == git.KindTag {
		p.tag = resolved.Name
	}
	o.open[key] = p
	return p, nil
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

// component reads templates/NAME.yml or templates/NAME/template.yml of the
// component's project at its version.
func (o *otherProjects) component(ctx context.Context, src gitlabci.Source) ([]byte, gitlabci.Source, error) {
	host, project, name, version, err := componentAddress(src.Path)
	if err != nil {
		return nil, src, err
	}
	where, err := o.sources.componentURL(host, project)
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
