package server

import (
	"context"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"refline/internal/api"
	"refline/internal/errs"
	"refline/internal/secret"
	"refline/internal/store"
)

// ByVariable names a variable.
type ByVariable struct {
	Name        string `path:"name" doc:"name of the variable"`
	Environment string `query:"environment" default:"*" doc:"its environment scope"`
}

// ByKey names a deploy key.
type ByKey struct {
	Key string `path:"key" doc:"name of the deploy key"`
}

// largeBody is for values of variables: 1 MiB, in JSON at most six times that.
const largeBody = 7 << 20

func (s *Server) accessRoutes(a huma.API) {
	s.variableRoutes(a)
	s.keyRoutes(a)
	s.tokenRoutes(a)
	op(s, a, "GET /api/v1/caller", need{action: actRead, filtered: true}, "show who the token stands for", func(ctx context.Context, _ *struct{}) (*answer[api.Caller], error) {
		who, err := s.wireCaller(ctx, Caller(ctx))
		return &answer[api.Caller]{who}, err
	})
	op(s, a, "GET /api/v1/audit", need{action: actAdmin, filtered: true}, "list who did what, newest first", func(ctx context.Context, in *struct {
		Page
		Project string `query:"project"`
	}) (*answer[api.AuditEvents], error) {
		page, err := s.auditPage(ctx, in.Project, in.Page)
		return &answer[api.AuditEvents]{page}, err
	})
	op(s, a, "POST /api/v1/secret-keys/rotate", actAdmin, "encrypt all that is secret with a new key", func(ctx context.Context, _ *struct{}) (*struct{}, error) {
		return nil, s.secrets.RotateKeys(ctx, Caller(ctx))
	})
	op(s, a, "POST /api/v1/secret-keys/retire", actAdmin, "remove the older keys from the key file", func(ctx context.Context, _ *struct{}) (*struct{}, error) {
		return nil, s.secrets.RetireKeys(ctx, Caller(ctx))
	})
}

// variableRoutes are for variables of a project and, the same, of the server.
func (s *Server) variableRoutes(a huma.API) {
	op(s, a, "GET /api/v1/projects/{project}/variables", actRead, "list a project's variables, without values", func(ctx context.Context, in *ByProject) (*answer[[]api.Variable], error) {
		return s.listVariables(ctx, in.Project)
	})
	op(s, a, "GET /api/v1/variables", actRead, "list the server's variables, without values", func(ctx context.Context, _ *struct{}) (*answer[[]api.Variable], error) {
		return s.listVariables(ctx, "")
	})
	op(s, a, "PUT /api/v1/projects/{project}/variables/{name}", need{action: actSecret, body: largeBody}, "make or change a project's variable", func(ctx context.Context, in *struct {
		ByProject
		ByVariable
		Body api.VariableInput
	}) (*answer[api.Variable], error) {
		return s.setVariable(ctx, in.Project, in.ByVariable, in.Body)
	})
	op(s, a, "PUT /api/v1/variables/{name}", need{action: actSecret, body: largeBody}, "make or change a variable of the server", func(ctx context.Context, in *struct {
		ByVariable
		Body api.VariableInput
	}) (*answer[api.Variable], error) {
		return s.setVariable(ctx, "", in.ByVariable, in.Body)
	})
	op(s, a, "DELETE /api/v1/projects/{project}/variables/{name}", actSecret, "remove a project's variable", func(ctx context.Context, in *struct {
		ByProject
		ByVariable
	}) (*struct{}, error) {
		return nil, s.removeVariable(ctx, in.Project, in.ByVariable)
	})
	op(s, a, "DELETE /api/v1/variables/{name}", actSecret, "remove a variable of the server", func(ctx context.Context, in *struct{ ByVariable }) (*struct{}, error) {
		return nil, s.removeVariable(ctx, "", in.ByVariable)
	})
}

func (s *Server) keyRoutes(a huma.API) {
	op(s, a, "GET /api/v1/projects/{project}/keys", actRead, "list a project's deploy keys", func(ctx context.Context, in *ByProject) (*answer[[]api.DeployKey], error) {
		return s.listKeys(ctx, in.Project)
	})
	op(s, a, "GET /api/v1/keys", actRead, "list the server's deploy keys", func(ctx context.Context, _ *struct{}) (*answer[[]api.DeployKey], error) {
		return s.listKeys(ctx, "")
	})
	op(s, a, "POST /api/v1/projects/{project}/keys", actSecret, "make a project's deploy key", func(ctx context.Context, in *struct {
		ByProject
		Body api.DeployKeyInput
	}) (*answer[api.DeployKey], error) {
		return s.addKey(ctx, in.Project, in.Body)
	})
	op(s, a, "POST /api/v1/keys", actSecret, "make a deploy key of the server", func(ctx context.Context, in *struct{ Body api.DeployKeyInput }) (*answer[api.DeployKey], error) {
		return s.addKey(ctx, "", in.Body)
	})
	op(s, a, "DELETE /api/v1/projects/{project}/keys/{key}", actSecret, "remove a project's deploy key", func(ctx context.Context, in *struct {
		ByProject
		ByKey
	}) (*struct{}, error) {
		return nil, s.removeKey(ctx, in.Project, in.Key)
	})
	op(s, a, "DELETE /api/v1/keys/{key}", actSecret, "remove a deploy key of the server", func(ctx context.Context, in *struct{ ByKey }) (*struct{}, error) {
		return nil, s.removeKey(ctx, "", in.Key)
	})
}

func (s *Server) tokenRoutes(a huma.API) {
	op(s, a, "GET /api/v1/tokens", need{action: actAdmin, filtered: true}, "list tokens", func(ctx context.Context, _ *struct{}) (*answer[[]api.Token], error) {
		list, err := s.secrets.Tokens(ctx, Caller(ctx))
		if err != nil {
			return nil, err
		}
		names, err := s.projectNames(ctx)
		out := []api.Token{}
		for _, t := range list {
			out = append(out, wireToken(t, names))
		}
		return &answer[[]api.Token]{out}, err
	})
	op(s, a, "POST /api/v1/tokens", need{action: actAdmin, filtered: true}, "make a token for a program or a runner", func(ctx context.Context, in *struct{ Body api.TokenInput }) (*answer[api.NewToken], error) {
		project, err := s.projectID(ctx, in.Body.Project)
		if err != nil {
			return nil, err
		}
		text, t, err := s.secrets.NewToken(ctx, Caller(ctx), TokenInput{Name: in.Body.Name, Scopes: in.Body.Scopes, Project: project,
			Life: time.Duration(in.Body.Hours) * time.Hour, Runner: in.Body.Runner, Tags: in.Body.Tags, Protected: in.Body.Protected})
		if err != nil {
			return nil, err
		}
		return &answer[api.NewToken]{api.NewToken{Token: wireToken(t, map[int64]string{project: in.Body.Project}), Text: text.RevealString()}}, nil
	})
	op(s, a, "DELETE /api/v1/tokens/{token}", need{action: actAdmin, filtered: true}, "revoke a token", func(ctx context.Context, in *struct {
		Token int64 `path:"token" doc:"id of the token"`
	}) (*struct{}, error) {
		return nil, s.secrets.RevokeToken(ctx, Caller(ctx), in.Token)
	})
	op(s, a, "POST /api/v1/sign-in-links", need{action: actAdmin, filtered: true}, "make a link that signs a browser in as the caller", func(ctx context.Context, _ *struct{}) (*answer[api.SignInLink], error) {
		token, err := s.secrets.SignInLink(ctx, Caller(ctx))
		if err != nil {
			return nil, err
		}
		return &answer[api.SignInLink]{api.SignInLink{Path: SignInURL("", token), Expires: s.options.Now().Add(linkLife)}}, nil
	})
}

// projectID is the id of a project by its name, 0 for "".
func (s *Server) projectID(ctx context.Context, name string) (int64, error) {
	if name == "" {
		return 0, nil
	}
	p, err := s.store.ProjectNamed(ctx, name)
	return p.ID, err
}

func (s *Server) projectNames(ctx context.Context) (map[int64]string, error) {
	list, err := s.store.Projects(ctx)
	names := map[int64]string{}
	for _, p := range list {
		names[p.ID] = p.Name
	}
	return names, err
}

func (s *Server) listVariables(ctx context.Context, project string) (*answer[[]api.Variable], error) {
	id, err := s.projectID(ctx, project)
	if err != nil {
		return nil, err
	}
	list, err := s.secrets.Variables(ctx, id)
	out := []api.Variable{}
	for _, v := range list {
		out = append(out, wireVariable(project, v))
	}
	return &answer[[]api.Variable]{out}, err
}

func (s *Server) setVariable(ctx context.Context, project string, by ByVariable, in api.VariableInput) (*answer[api.Variable], error) {
	id, err := s.projectID(ctx, project)
	if err != nil {
		return nil, err
	}
	change := VariableInput{Name: by.Name, Environment: by.Environment, Protected: in.Protected, Masked: in.Masked, Hidden: in.Hidden,
		File: in.File, Raw: in.Raw, Description: in.Description}
	if in.Value != nil {
		value := secret.NewString(*in.Value)
		change.Value = &value
	}
	v, err := s.secrets.SetVariable(ctx, Caller(ctx), id, change)
	return &answer[api.Variable]{wireVariable(project, v)}, err
}

func (s *Server) removeVariable(ctx context.Context, project string, by ByVariable) error {
	id, err := s.projectID(ctx, project)
	if err != nil {
		return err
	}
	return s.secrets.RemoveVariable(ctx, Caller(ctx), id, by.Name, by.Environment)
}

func wireVariable(project string, v store.Variable) api.Variable {
	return api.Variable{Project: project, Name: v.Name, Environment: v.Environment, Protected: v.Protected, Masked: v.Masked, Hidden: v.Hidden,
		File: v.File, Raw: v.Raw, Description: v.Description, Bytes: v.Size, Version: v.Version, Updated: v.Updated, Used: timeOrNil(v.Used)}
}

func timeOrNil(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

func (s *Server) listKeys(ctx context.Context, project string) (*answer[[]api.DeployKey], error) {
	id, err := s.projectID(ctx, project)
	if err != nil {
		return nil, err
	}
	list, err := s.secrets.Keys(ctx, id)
	out := []api.DeployKey{}
	for _, k := range list {
		out = append(out, wireDeployKey(project, k))
	}
	return &answer[[]api.DeployKey]{out}, err
}

func (s *Server) addKey(ctx context.Context, project string, in api.DeployKeyInput) (*answer[api.DeployKey], error) {
	id, err := s.projectID(ctx, project)
	if err != nil {
		return nil, err
	}
	k := KeyInput{Name: in.Name, Type: in.Type, Write: in.Write, Protected: in.Protected, Environment: in.Environment,
		Repos: in.Repos, Hosts: in.Hosts, KnownHosts: in.KnownHosts}
	if in.Key != nil {
		text := secret.NewString(*in.Key)
		k.Text = &text
	}
	made, err := s.secrets.NewKey(ctx, Caller(ctx), id, k)
	return &answer[api.DeployKey]{wireDeployKey(project, made)}, err
}

// removeKey refuses while the project's repository is reached with the key.
func (s *Server) removeKey(ctx context.Context, project, name string) error {
	projects, err := s.store.Projects(ctx)
	if err != nil {
		return err
	}
	id, err := s.projectID(ctx, project)
	if err != nil {
		return err
	}
	for _, p := range projects {
		if p.DeployKey == name && (id == 0 || p.ID == id) {
			return errs.E(errs.Conflict, "project %s reaches its repository with key %s; give it another first: refline project set %s --key NAME", p.Name, name, p.Name)
		}
	}
	return s.secrets.RemoveKey(ctx, Caller(ctx), id, name)
}

func wireDeployKey(project string, k store.Key) api.DeployKey {
	page, advice := KeyAdvice(k)
	return api.DeployKey{Project: project, Name: k.Name, Write: k.Write, Protected: k.Protected, Environment: k.Environment, Public: k.Public,
		Fingerprint: k.Fingerprint, Repos: k.Repos, Hosts: k.Hosts, Page: page, Advice: advice, Created: k.Created, Used: timeOrNil(k.Used)}
}

func wireToken(t store.Token, projects map[int64]string) api.Token {
	return api.Token{ID: t.ID, Kind: string(t.Kind), Name: t.Name, Scopes: t.Scopes, Project: projects[t.Project], Tags: t.Tags, Protected: t.Protected,
		CreatedBy: t.CreatedBy, Created: t.Created, Expires: timeOrNil(t.Expires), Used: timeOrNil(t.Used)}
}

func (s *Server) wireCaller(ctx context.Context, a Actor) (api.Caller, error) {
	who := api.Caller{Name: a.String(), Kind: string(a.Kind), Scopes: []string{}}
	for _, scope := range scopes() {
		if a.may(scope) {
			who.Scopes = append(who.Scopes, string(scope))
		}
	}
	if a.Project == 0 {
		return who, nil
	}
	p, err := s.store.Project(ctx, a.Project)
	who.Project = p.Name
	return who, err
}

func (s *Server) auditPage(ctx context.Context, project string, asked Page) (api.AuditEvents, error) {
	page := api.AuditEvents{Events: []api.AuditEvent{}}
	before, err := readCursor(asked.Cursor, "audit", project)
	if err != nil {
		return page, err
	}
	actor := Caller(ctx)
	if actor.Project, err = s.listedProject(ctx, project); err != nil {
		return page, err
	}
	list, err := s.secrets.Audit(ctx, actor, before, asked.Limit)
	if err != nil {
		return page, err
	}
	names, err := s.projectNames(ctx)
	for _, e := range list {
		page.Events = append(page.Events, api.AuditEvent{ID: e.ID, At: e.At, Actor: e.Actor, Action: e.Action, Project: names[e.Project], Object: e.Object, Detail: e.Detail})
	}
	if len(list) == asked.Limit {
		page.Cursor = newCursor(list[len(list)-1].ID, "audit", project)
	}
	return page, err
}
