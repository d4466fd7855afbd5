package server

import (
	"cmp"
	"context"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"refline/internal/api"
	"refline/internal/errs"
	"refline/internal/git"
	"refline/internal/store"
)

// projectName is what a project may be called: words with slashes between, as
// forges have them.
var projectName = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^[\pL\pN_][\pL\pN_.+-]*(/[\pL\pN_][\pL\pN_.+-]*){0,9}$`)
})

func checkProjectName(name string) error {
	if len(name) > 255 || !projectName().MatchString(name) {
		return errs.E(errs.Invalid, "%q cannot be the name of a project: letters, digits, _ . + - and / between words", name)
	}
	return nil
}

// nameOfRepository is the last two parts of its path: data/flows.
func nameOfRepository(repository string) string {
	p := repository
	if u, err := url.Parse(repository); err == nil && u.Host != "" {
		p = u.Path
	} else if hostOf(repository) != "" {
		_, p, _ = strings.Cut(repository, ":")
	}
	parts := strings.Split(strings.Trim(strings.TrimSuffix(strings.Trim(filepathToSlash(p), "/"), ".git"), "/"), "/")
	if transportOf(repository) == "file" {
		return path.Join(parts[len(parts)-1:]...)
	}
	return path.Join(parts[max(0, len(parts)-2):]...)
}

func filepathToSlash(p string) string { return strings.ReplaceAll(p, `\`, "/") }

// addProject makes a project.
func (s *Server) addProject(ctx context.Context, in api.ProjectInput) (store.Project, error) {
	p := store.Project{Created: s.options.Now().UTC().Truncate(time.Millisecond)}
	if in.URL == nil || *in.URL == "" {
		return p, errs.E(errs.Invalid, "a project needs the URL of its repository")
	}
	if err := s.setProject(&p, in); err != nil {
		return p, err
	}
	if p.Name == "" {
		p.Name = nameOfRepository(p.URL)
	}
	if err := checkProjectName(p.Name); err != nil {
		return p, err
	}
	ids, err := s.store.NewIDs(ctx, "project", 1)
	if err != nil {
		return p, err
	}
	p.ID = ids[0]
	s.hosts.expect(p.URL)
	err = s.store.Update(ctx, func(tx *store.Tx) error {
		if err := tx.AddProject(ctx, p); err != nil {
			return err
		}
		return tx.PollNow(ctx, p.ID, p.Created) // the first look learns the refs
	})
	if errs.Is(err, errs.Conflict) {
		err = errs.E(errs.Conflict, "there is a project %q already; give this one another name with --name, or see it: refline project show %s", p.Name, p.Name)
	}
	if failed := s.loadHosts(ctx); err == nil {
		err = failed
	}
	s.looks.Ask(p.ID)
	return p, err
}

// changeProject writes a project. What looks know of another repository is
// forgotten.
func (s *Server) changeProject(ctx context.Context, before, p store.Project) error {
	s.hosts.expect(p.URL)
	err := s.store.Update(ctx, func(tx *store.Tx) error {
		if err := tx.SetProject(ctx, p); err != nil {
			return err
		}
		if !sameRepository(before.URL, p.URL) {
			if err := tx.ForgetRefs(ctx, p.ID); err != nil {
				return err
			}
		}
		return tx.PollNow(ctx, p.ID, s.options.Now())
	})
	s.notices.forget()
	if failed := s.loadHosts(ctx); err == nil {
		err = failed
	}
	s.looks.Ask(p.ID) // one that runs may have the settings before
	return err
}

// setProject takes over what is given.
func (s *Server) setProject(p *store.Project, in api.ProjectInput) error {
	for _, c := range []struct {
		to   *string
		from *string
	}{{&p.Name, in.Name}, {&p.File, in.File}, {&p.DeployKey, in.Key}, {&p.TokenVariable, in.TokenVariable}, {&p.URLVariable, in.URLVariable}} {
		if c.from != nil {
			*c.to = strings.TrimSpace(*c.from)
		}
	}
	if in.URL != nil {
		remote, err := git.NewRemote(*in.URL, s.mirrors(), s.access())
		if err != nil {
			return err
		}
		if u, err := url.Parse(*in.URL); err == nil && u.User != nil {
			if _, has := u.User.Password(); has {
				return errs.E(errs.Invalid, "the URL of a repository must not hold a token, which would be shown; give the token as a variable (--token-variable) or a file (--token-file)")
			}
		}
		p.URL = remote.URL()
	}
	if in.Protected != nil {
		p.ProtectedBranches, p.ProtectedTags = slices.Clone(*in.Protected), slices.Clone(*in.Protected)
	}
	if in.PollSeconds != nil {
		p.PollEvery = time.Duration(*in.PollSeconds) * time.Second
	}
	return nil
}

// projectFor finds the project that a registration means, or makes it of the
// repository.
func (s *Server) projectFor(ctx context.Context, name, repository string, make bool) (store.Project, error) {
	if name != "" && repository == "" {
		p, err := s.store.ProjectNamed(ctx, name)
		if err == nil && !Caller(ctx).Sees(p.ID) {
			err = unseen("project", name)
		}
		return p, err
	}
	list, err := s.store.Projects(ctx)
	if err != nil {
		return store.Project{}, err
	}
	list = slices.DeleteFunc(list, func(p store.Project) bool { return !Caller(ctx).Sees(p.ID) })
	if repository == "" {
		switch {
		case len(list) == 1:
			return list[0], nil
		case len(list) == 0:
			return store.Project{}, errs.E(errs.NotFound, "there is no project yet; name a repository: --repo URL, or refline project add URL")
		}
		return store.Project{}, errs.E(errs.Invalid, "which project? name it: --project, or --repo URL")
	}
	remote, err := git.NewRemote(repository, s.mirrors(), s.access())
	if err != nil {
		return store.Project{}, err
	}
	for _, p := range list {
		if sameRepository(p.URL, remote.URL()) && cmp.Or(name, p.Name) == p.Name {
			return p, nil
		}
	}
	if only := Caller(ctx).Project; only != 0 {
		return store.Project{}, errs.E(errs.Denied, "%s is for one project only, which is not the one of %s", Caller(ctx), remote.URL())
	}
	in := api.ProjectInput{URL: &repository}
	if name != "" {
		in.Name = &name
	}
	if !make {
		p := store.Project{Name: cmp.Or(name, nameOfRepository(remote.URL()))}
		err := s.setProject(&p, in)
		return p, err
	}
	return s.addProject(ctx, in)
}

// sameRepository compares URLs of repositories without what does not matter.
func sameRepository(a, b string) bool {
	plain := func(u string) string { return strings.TrimSuffix(strings.TrimRight(u, "/"), ".git") }
	return plain(a) == plain(b)
}

// checkProject looks at the repository.
func (s *Server) checkProject(ctx context.Context, p store.Project) (api.ProjectCheck, error) {
	began := s.options.Now()
	remote, end, err := s.remote(ctx, p)
	if err != nil {
		return api.ProjectCheck{}, err
	}
	defer end()
	head, err := remote.Resolve(ctx, git.Ref{})
	if err != nil {
		return api.ProjectCheck{}, err
	}
	refs, err := remote.Refs(ctx)
	if err != nil {
		return api.ProjectCheck{}, err
	}
	check := api.ProjectCheck{URL: remote.URL(), DefaultBranch: head.Name, Commit: head.Commit, Millis: s.options.Now().Sub(began).Milliseconds()}
	for _, r := range refs {
		if r.Kind == git.KindTag {
			check.Tags++
		} else {
			check.Branches++
		}
	}
	return check, nil
}

// removeProject removes a project that nothing belongs to.
func (s *Server) removeProject(ctx context.Context, p store.Project) error {
	flows, err := s.store.Flows(ctx, store.FlowFilter{Project: p.ID, Archived: true})
	if err != nil {
		return err
	}
	if len(flows) > 0 {
		return errs.E(errs.Conflict, "project %s has %d flows; remove them first: refline flow rm %s", p.Name, len(flows), flows[0].Name)
	}
	runs, err := s.store.Runs(ctx, store.RunFilter{Project: p.ID, Limit: 1})
	if err != nil {
		return err
	}
	if len(runs) > 0 {
		return errs.E(errs.Conflict, "project %s has runs, which would be lost; they go by its retention", p.Name)
	}
	if err := s.store.Update(ctx, func(tx *store.Tx) error {
		if err := tx.RemoveProjectAccess(ctx, p.ID); err != nil {
			return err
		}
		if err := tx.RemoveProjectHooks(ctx, p.ID); err != nil {
			return err
		}
		return tx.RemoveProject(ctx, p.ID)
	}); err != nil {
		return err
	}
	return s.loadHosts(ctx)
}

func wireProject(p store.Project) api.Project {
	return api.Project{
		ID: p.ID, Name: p.Name, URL: p.URL, File: p.File, Protected: p.ProtectedBranches, Key: p.DeployKey,
		TokenVariable: p.TokenVariable, URLVariable: p.URLVariable, PollSeconds: int64(p.PollEvery / time.Second), Created: p.Created,
	}
}
