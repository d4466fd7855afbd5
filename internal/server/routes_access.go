package server

import (
	"context"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"refline/internal/api"
	"refline/internal/errs"
	"refline/internal/store"
)

// ByRunner names a runner in the path.
type ByRunner struct {
	Runner string `path:"runner" doc:"name of the runner"`
}

// Page says which part of a list is wanted.
type Page struct {
	Limit  int    `query:"limit" minimum:"1" maximum:"200" default:"50"`
	Cursor string `query:"cursor" doc:"of the page before"`
}

func (s *Server) accessRoutes(a huma.API) {
	s.tokenRoutes(a)
	s.variableRoutes(a)
	s.keyRoutes(a)
	op(s, a, "POST /api/v1/sign-in-links", need{action: actRun, filtered: true}, "make an address that signs a browser in as the caller, once", func(ctx context.Context, _ *struct{}) (*answer[api.SignInLink], error) {
		text, err := s.secrets.SignInLink(ctx, Caller(ctx))
		if err != nil {
			return nil, err
		}
		base := ""
		if s.options.PublicURL != nil {
			base = s.options.PublicURL.String()
		}
		return &answer[api.SignInLink]{api.SignInLink{URL: SignInURL(base, text), Expires: s.options.Now().Add(linkLife)}}, nil
	})
	op(s, a, "GET /api/v1/audit", need{action: actAdmin, filtered: true}, "list who did what, newest first", func(ctx context.Context, in *struct {
		Page
		Project string `query:"project"`
	}) (*answer[api.Audit], error) {
		page, err := s.audit(ctx, in.Project, in.Page)
		return &answer[api.Audit]{page}, err
	})
}

func (s *Server) tokenRoutes(a huma.API) {
	op(s, a, "GET /api/v1/tokens", need{action: actAdmin, filtered: true}, "list tokens", func(ctx context.Context, _ *struct{}) (*answer[[]api.Token], error) {
		list, err := s.secrets.Tokens(ctx, Caller(ctx))
		out := []api.Token{}
		for _, t := range list {
			w, err := s.wireToken(ctx, t)
			if err != nil {
				return nil, err
			}
			out = append(out, w)
		}
		return &answer[[]api.Token]{out}, err
	})
	op(s, a, "POST /api/v1/tokens", need{action: actAdmin, filtered: true}, "make a token of a program or a runner", func(ctx context.Context, in *struct{ Body api.TokenInput }) (*answer[api.NewToken], error) {
		b := in.Body
		t := TokenInput{Name: b.Name, Scopes: b.Scopes, Life: time.Duration(b.ExpiresSeconds) * time.Second, Runner: b.Runner, Tags: b.Tags, Protected: b.Protected}
		if b.Project != "" {
			p, err := s.seenProject(ctx, b.Project)
			if err != nil {
				return nil, err
			}
			t.Project = p.ID
		}
		text, row, err := s.secrets.NewToken(ctx, Caller(ctx), t)
		if err != nil {
			return nil, err
		}
		w, err := s.wireToken(ctx, row)
		return &answer[api.NewToken]{api.NewToken{Token: w, Text: text.RevealString()}}, err
	})
	op(s, a, "DELETE /api/v1/tokens/{token}", need{action: actAdmin, filtered: true}, "end a token", func(ctx context.Context, in *struct {
		Token int64 `path:"token" doc:"id of the token"`
	}) (*struct{}, error) {
		return nil, s.secrets.RevokeToken(ctx, Caller(ctx), in.Token)
	})
}

// seenProject finds a project by its name, if the caller sees it.
func (s *Server) seenProject(ctx context.Context, name string) (store.Project, error) {
	p, err := s.store.ProjectNamed(ctx, name)
	if err == nil && !Caller(ctx).Sees(p.ID) {
		err = errs.E(errs.NotFound, "no project %q that this token can see: it is for one project only", name)
	}
	return p, err
}

func (s *Server) wireToken(ctx context.Context, t store.Token) (api.Token, error) {
	out := api.Token{
		ID: t.ID, Kind: string(t.Kind), Name: t.Name, Scopes: t.Scopes, Tags: t.Tags, Protected: t.Protected,
		CreatedBy: t.CreatedBy, Created: t.Created, Expires: t.Expires, Used: t.Used,
	}
	var err error
	out.Project, err = s.projectText(ctx, t.Project)
	return out, err
}

// projectText is the name of a project, "" for 0.
func (s *Server) projectText(ctx context.Context, id int64) (string, error) {
	if id == 0 {
		return "", nil
	}
	p, err := s.store.Project(ctx, id)
	if errs.Is(err, errs.NotFound) {
		return strconv.FormatInt(id, 10), nil
	}
	return p.Name, err
}

func (s *Server) audit(ctx context.Context, project string, page Page) (api.Audit, error) {
	out := api.Audit{Events: []api.AuditEvent{}}
	before, err := readCursor(page.Cursor, "audit", project)
	if err != nil {
		return out, err
	}
	actor := Caller(ctx)
	if project != "" {
		p, err := s.seenProject(ctx, project)
		if err != nil {
			return out, err
		}
		actor.Project = p.ID
	}
	list, err := s.secrets.Audit(ctx, actor, before, page.Limit)
	if err != nil {
		return out, err
	}
	for _, x := range list {
		name, err := s.projectText(ctx, x.Project)
		if err != nil {
			return out, err
		}
		out.Events = append(out.Events, api.AuditEvent{ID: x.ID, Time: x.At, Actor: x.Actor, Action: x.Action, Project: name, Object: x.Object, Detail: x.Detail})
	}
	if len(list) == page.Limit {
		out.Next = newCursor(list[len(list)-1].ID, "audit", project)
	}
	return out, nil
}
