package server

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"refline/internal/api"
	"refline/internal/errs"
	"refline/internal/forge"
	"refline/internal/scheduler"
	"refline/internal/secret"
	"refline/internal/store"
	"refline/internal/webhook"
)

// hookSetRoutes are for people who set webhooks up, and who allow the pipelines of
// other repositories.
func (s *Server) hookSetRoutes(a huma.API) {
	op(s, a, "PUT /api/v1/projects/{project}/hook", actAdmin, "make or change a project's webhook", func(ctx context.Context, in *struct {
		ByProject
		Body api.HookInput
	}) (*answer[api.Hook], error) {
		h, err := s.setHook(ctx, in.Project, in.Body)
		return &answer[api.Hook]{h}, err
	})
	op(s, a, "GET /api/v1/projects/{project}/hook", actRead, "show a project's webhook, without its secret", func(ctx context.Context, in *ByProject) (*answer[api.Hook], error) {
		p, g, err := s.hookOf(ctx, in.Project)
		return &answer[api.Hook]{s.wireHook(p, g)}, err
	})
	op(s, a, "DELETE /api/v1/projects/{project}/hook", actAdmin, "remove a project's webhook", func(ctx context.Context, in *ByProject) (*struct{}, error) {
		p, err := s.store.ProjectNamed(ctx, in.Project)
		if err == nil {
			err = s.secrets.RemoveHook(ctx, Caller(ctx), p.ID)
			s.looks.Ask(p.ID)
		}
		s.notices.forget()
		return nil, err
	})
	op(s, a, "GET /api/v1/projects/{project}/deliveries", actRead, "list what the forge sent, newest first", func(ctx context.Context, in *struct {
		ByProject
		Limit int `query:"limit" minimum:"1" maximum:"200" default:"20"`
	}) (*answer[[]api.Delivery], error) {
		list, err := s.listDeliveries(ctx, in.Project, in.Limit)
		return &answer[[]api.Delivery]{list}, err
	})
	op(s, a, "GET /api/v1/approvals", need{action: actRead, filtered: true}, "list the pipelines of other repositories that wait for a person", func(ctx context.Context, in *struct {
		Project string `query:"project"`
	}) (*answer[[]api.Approval], error) {
		list, err := s.listApprovals(ctx, in.Project)
		return &answer[[]api.Approval]{list}, err
	})
	op(s, a, "POST /api/v1/approvals/{approval}/approve", actRun, "let a pipeline of another repository run, for this commit", func(ctx context.Context, in *struct {
		Approval int64 `path:"approval" doc:"id of the approval"`
	}) (*struct{}, error) {
		err := s.secrets.change(ctx, func(tx *store.Tx, t *trail) error {
			w, err := s.store.WantedRun(ctx, in.Approval)
			if err != nil {
				return err
			}
			t.add(Caller(ctx), "run.approve", w.Project, fmt.Sprintf("merge request %d", w.Request), wantedCommit(w))
			return tx.ApproveWantedRun(ctx, in.Approval, actorOf(ctx), t.now)
		})
		wakeUp(s.wanted)
		return nil, err
	})
}

func wantedCommit(row store.WantedRun) string {
	var w scheduler.Wanted
	_ = json.Unmarshal(row.Body, &w)
	return w.Commit
}

// hookOf is the webhook of a project.
func (s *Server) hookOf(ctx context.Context, project string) (store.Project, store.Trigger, error) {
	p, err := s.store.ProjectNamed(ctx, project)
	if err != nil {
		return p, store.Trigger{}, err
	}
	list, err := s.store.Triggers(ctx, p.ID)
	if err == nil && len(list) == 0 {
		err = errs.E(errs.NotFound, "project %s has no webhook; create it: refline project hook %s", p.Name, p.Name)
	}
	if err != nil {
		return p, store.Trigger{}, err
	}
	return p, list[0], nil
}

func (s *Server) wireHook(p store.Project, g store.Trigger) api.Hook {
	h := api.Hook{Project: p.Name, Forge: g.Forge, ForgeURL: g.ForgeURL, Path: "/hooks/" + g.Address, TokenVariable: g.TokenVariable,
		Hook: g.Hook, Created: g.Created, Delivered: timeOrNil(g.Delivered)}
	if s.options.PublicURL != nil {
		h.URL = strings.TrimSuffix(s.options.PublicURL.String(), "/") + h.Path
	}
	if g.PreviousUntil.After(s.options.Now()) {
		h.PreviousUntil = &g.PreviousUntil
	}
	return h
}

// setHook makes or changes a project's webhook here and, with a token, at its forge.
func (s *Server) setHook(ctx context.Context, project string, in api.HookInput) (api.Hook, error) {
	p, err := s.store.ProjectNamed(ctx, project)
	if err != nil {
		return api.Hook{}, err
	}
	old, err := s.store.Triggers(ctx, p.ID)
	if err != nil {
		return api.Hook{}, err
	}
	want, err := hookInput(p, old, in)
	if err != nil {
		return api.Hook{}, err
	}
	g, text, made, err := s.secrets.SetHook(ctx, Caller(ctx), p.ID, want)
	if err != nil {
		return api.Hook{}, err
	}
	s.notices.forget()
	if err := s.loadHosts(ctx); err != nil {
		return api.Hook{}, err
	}
	s.looks.Ask(p.ID)
	h := s.wireHook(p, g)
	h.New = made
	if h.URL == "" && in.Address != "" {
		h.URL = strings.TrimSuffix(in.Address, "/") + h.Path
	}
	token, err := s.hookToken(ctx, p, g, in)
	if err == nil && token.Len() > 0 {
		if h.Hook, err = s.createHook(ctx, p, g, h.URL, text, token); err == nil {
			return h, nil
		}
	}
	if err != nil { // the webhook is kept here: it can be created at the forge by hand
		h.Note = err.Error()
	}
	if made {
		h.Secret = text.RevealString()
	}
	return h, nil
}

// hookInput takes what is not given from the webhook that there is, or from the
// project.
func hookInput(p store.Project, old []store.Trigger, in api.HookInput) (HookInput, error) {
	var before store.Trigger
	if len(old) > 0 {
		before = old[0]
	}
	want := HookInput{Rotate: in.Rotate, TokenVariable: before.TokenVariable, ForgeURL: cmp.Or(in.ForgeURL, before.ForgeURL),
		Forge: webhook.Forge(cmp.Or(in.Forge, before.Forge, string(forgeByHost(hostOf(p.URL)))))}
	if in.TokenVariable != nil {
		want.TokenVariable = *in.TokenVariable
	}
	if in.Secret != nil {
		value := secret.NewString(*in.Secret)
		want.Secret = &value
	}
	if want.Forge == "" {
		return want, errs.E(errs.Invalid, "the forge of %s is not known by its host; say which it is: --forge gitlab, github, gitea, forgejo, bitbucket or bitbucket-dc", p.URL)
	}
	if !slices.Contains(webhook.Forges(), want.Forge) {
		return want, errs.E(errs.Invalid, "unknown forge %q: it is gitlab, github, gitea, forgejo, bitbucket or bitbucket-dc", want.Forge)
	}
	if want.ForgeURL != "" {
		if u, err := url.Parse(want.ForgeURL); err != nil || u.Host == "" || u.User != nil || u.Scheme != "https" && u.Scheme != "http" {
			return want, errs.E(errs.Invalid, "the address of the forge is not like https://git.example.com")
		}
	}
	return want, nil
}

// hookToken is the token to create a webhook with: the one of the request, else of
// the variable that the webhook or the project names, else none.
func (s *Server) hookToken(ctx context.Context, p store.Project, g store.Trigger, in api.HookInput) (secret.Value, error) {
	if in.Token != nil {
		return secret.NewString(*in.Token), nil
	}
	name := cmp.Or(g.TokenVariable, p.TokenVariable)
	if name == "" {
		return secret.Value{}, nil
	}
	return s.secrets.CheckoutVariable(ctx, p.ID, name)
}

// createHook creates the webhook at the forge, or brings it up to date.
func (s *Server) createHook(ctx context.Context, p store.Project, g store.Trigger, address string, text, token secret.Value) (string, error) {
	kind := forge.Kind(g.Forge)
	forgeURL, path := forgeAddress(kind, p.URL, g.ForgeURL)
	at, err := s.openForge(kind, forgeURL, path, token)
	if err != nil {
		return "", err
	}
	id, err := at.EnsureHook(ctx, forge.Hook{URL: address, Secret: text})
	if err != nil || id == g.Hook {
		return g.Hook, err
	}
	g.Hook = id
	return id, s.store.Update(ctx, func(tx *store.Tx) error { return tx.PutTrigger(ctx, g) })
}

// openForge opens a repository at its forge.
func (s *Server) openForge(kind forge.Kind, address, path string, token secret.Value) (forge.Repository, error) {
	if u, err := url.Parse(address); err != nil || u.Host == "" {
		return nil, errs.E(errs.Invalid, "the repository is a folder, so the address of its forge is not known: give it with --forge-url")
	}
	return forge.Open(kind, forge.Options{URL: address, Path: path, Token: token, Guard: s.guard})
}

// forgeByHost is the kind of forge that is at a host, "" if its name does not say.
func forgeByHost(host string) forge.Kind {
	switch {
	case host == "github.com", host == "ssh.github.com", strings.HasSuffix(host, ".ghe.com"), strings.HasPrefix(host, "github."):
		return forge.KindGitHub
	case host == "gitlab.com", host == "altssh.gitlab.com", strings.HasPrefix(host, "gitlab."):
		return forge.KindGitLab
	case host == "bitbucket.org", host == "altssh.bitbucket.org":
		return forge.KindBitbucket
	case host == "codeberg.org", strings.HasPrefix(host, "forgejo."):
		return forge.KindForgejo
	case strings.HasPrefix(host, "gitea."):
		return forge.KindGitea
	}
	return ""
}

// forgeAddress is where the forge of a repository is, and the repository's path
// there. forgeURL, if it is not empty, says so.
func forgeAddress(kind forge.Kind, repository, forgeURL string) (address, path string) {
	path = repositoryPath(repository)
	host := strings.TrimPrefix(strings.TrimPrefix(hostOf(repository), "altssh."), "ssh.")
	address = cmp.Or(forgeURL, "https://"+host)
	if u, err := url.Parse(repository); err == nil && forgeURL == "" && (u.Scheme == "http" || u.Scheme == "https") {
		address = u.Scheme + "://" + u.Host
	}
	if u, err := url.Parse(forgeURL); err == nil && u.Path != "" {
		path = strings.TrimPrefix(path, strings.Trim(u.Path, "/")+"/")
	}
	if kind == forge.KindBitbucketDC {
		path = strings.TrimPrefix(path, "scm/")
	}
	return strings.TrimSuffix(address, "/"), path
}

// listDeliveries says what a forge sent and what became of it.
func (s *Server) listDeliveries(ctx context.Context, project string, n int) ([]api.Delivery, error) {
	_, g, err := s.hookOf(ctx, project)
	if err != nil {
		return nil, err
	}
	rows, err := s.store.Deliveries(ctx, g.ID, n)
	out := []api.Delivery{}
	for _, row := range rows {
		d := api.Delivery{ID: row.ID, Delivery: row.Delivery, Kind: row.Kind, Name: row.Name, Received: row.Received, Read: timeOrNil(row.Read)}
		for _, id := range row.Wanted {
			r, err := s.becameOf(ctx, id)
			if err != nil {
				return nil, err
			}
			d.Results = append(d.Results, r)
		}
		out = append(out, d)
	}
	return out, err
}

// becameOf says what became of a wanted run.
func (s *Server) becameOf(ctx context.Context, id int64) (api.Result, error) {
	run, err := s.store.RunWithKey(ctx, scheduler.WantedKey(id))
	if err == nil {
		return api.Result{Run: run.ID, State: "made"}, nil
	}
	if !errs.Is(err, errs.NotFound) {
		return api.Result{}, err
	}
	row, err := s.store.WantedRun(ctx, id)
	if errs.Is(err, errs.NotFound) {
		return api.Result{State: "none"}, nil
	}
	return api.Result{State: row.State, Error: row.Error}, err
}

// listApprovals lists what waits for a person, as far as the caller sees it.
func (s *Server) listApprovals(ctx context.Context, project string) ([]api.Approval, error) {
	of, err := s.listedProject(ctx, project)
	if err != nil {
		return nil, err
	}
	rows, err := s.store.AwaitingApproval(ctx, of)
	if err != nil {
		return nil, err
	}
	names, err := s.projectNames(ctx)
	out := []api.Approval{}
	for _, row := range rows {
		var w scheduler.Wanted
		if err := json.Unmarshal(row.Body, &w); err != nil {
			return nil, fmt.Errorf("wanted run %d: %w", row.ID, err)
		}
		a := api.Approval{ID: row.ID, Project: names[row.Project], Request: row.Request, Commit: w.Commit, Actor: cmp.Or(w.Actor.Login, w.Actor.Name), Created: row.Created}
		if m := w.MergeRequest; m != nil {
			a.Title, a.Source = m.Title, strings.Trim(m.SourcePath+" "+m.Source, " ")
		}
		out = append(out, a)
	}
	return out, err
}

// projectOfApproval is for the router: whose approval it is.
func (s *Server) projectOfApproval(ctx context.Context, value string) (int64, error) {
	id, err := strconv.ParseInt(value, 10, 64)
	if err != nil {
		return 0, errs.E(errs.Invalid, "%q is not the id of an approval", value)
	}
	w, err := s.store.WantedRun(ctx, id)
	return w.Project, err
}
