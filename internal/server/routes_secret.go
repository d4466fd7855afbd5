package server

import (
	"context"

	"github.com/danielgtaylor/huma/v2"

	"refline/internal/api"
	"refline/internal/errs"
	"refline/internal/secret"
	"refline/internal/store"
)

// largeBody is for operations that take a value or a key.
const largeBody = 4 << 20

// ByVariable names a variable in the path.
type ByVariable struct {
	Variable string `path:"variable" doc:"name of the variable"`
}

// ByKey names a deploy key in the path.
type ByKey struct {
	Key string `path:"key" doc:"name of the key"`
}

// InEnvironment is the scope of a variable.
type InEnvironment struct {
	Environment string `query:"environment" doc:"default *, all"`
}

// Variables and keys are of a project, or of the server: project 0.

func (s *Server) variableRoutes(a huma.API) {
	op(s, a, "GET /api/v1/projects/{project}/variables", actRead, "list the variables of a project, without their values", func(ctx context.Context, in *ByProject) (*answer[[]api.Variable], error) {
		p, err := s.store.ProjectNamed(ctx, in.Project)
		if err != nil {
			return nil, err
		}
		return s.listVariables(ctx, p.ID)
	})
	op(s, a, "GET /api/v1/variables", actRead, "list the variables of the server, without their values", func(ctx context.Context, _ *struct{}) (*answer[[]api.Variable], error) {
		return s.listVariables(ctx, 0)
	})
	change := need{action: actSecret, body: largeBody}
	op(s, a, "PUT /api/v1/projects/{project}/variables/{variable}", change, "set a variable of a project", func(ctx context.Context, in *struct {
		ByProject
		ByVariable
		Body api.VariableInput
	}) (*answer[api.Variable], error) {
		p, err := s.store.ProjectNamed(ctx, in.Project)
		if err != nil {
			return nil, err
		}
		return s.putVariable(ctx, p.ID, in.Variable, in.Body)
	})
	op(s, a, "PUT /api/v1/variables/{variable}", change, "set a variable of the server", func(ctx context.Context, in *struct {
		ByVariable
		Body api.VariableInput
	}) (*answer[api.Variable], error) {
		return s.putVariable(ctx, 0, in.Variable, in.Body)
	})
	op(s, a, "DELETE /api/v1/projects/{project}/variables/{variable}", actSecret, "remove a variable of a project", func(ctx context.Context, in *struct {
		ByProject
		ByVariable
		InEnvironment
	}) (*struct{}, error) {
		p, err := s.store.ProjectNamed(ctx, in.Project)
		if err != nil {
			return nil, err
		}
		return nil, s.secrets.RemoveVariable(ctx, Caller(ctx), p.ID, in.Variable, in.Environment)
	})
	op(s, a, "DELETE /api/v1/variables/{variable}", actSecret, "remove a variable of the server", func(ctx context.Context, in *struct {
		ByVariable
		InEnvironment
	}) (*struct{}, error) {
		return nil, s.secrets.RemoveVariable(ctx, Caller(ctx), 0, in.Variable, in.Environment)
	})
}

func (s *Server) listVariables(ctx context.Context, project int64) (*answer[[]api.Variable], error) {
	list, err := s.secrets.Variables(ctx, project)
	out := make([]api.Variable, len(list))
	for i, v := range list {
		out[i] = wireVariable(v)
	}
	return &answer[[]api.Variable]{out}, err
}

func (s *Server) putVariable(ctx context.Context, project int64, name string, in api.VariableInput) (*answer[api.Variable], error) {
	set := VariableInput{
		Name: name, Environment: in.Environment, Protected: in.Protected, Masked: in.Masked, File: in.File, Raw: in.Raw, Description: in.Description,
	}
	switch {
	case in.Value != nil && in.ValueBase64 != nil:
		return nil, errs.E(errs.Invalid, "variable %s: value and value_base64 exclude each other", name)
	case in.Value != nil:
		value := secret.NewString(*in.Value)
		set.Value = &value
	case in.ValueBase64 != nil:
		value := secret.New(*in.ValueBase64)
		set.Value = &value
	}
	v, err := s.secrets.SetVariable(ctx, Caller(ctx), project, set)
	return &answer[api.Variable]{wireVariable(v)}, err
}

func wireVariable(v store.Variable) api.Variable {
	return api.Variable{
		Name: v.Name, Environment: v.Environment, Masked: v.Masked, Protected: v.Protected, Raw: v.Raw, File: v.File, Hidden: v.Hidden,
		Bytes: v.Size, Description: v.Description, Updated: v.Updated, Used: v.Used,
	}
}

func (s *Server) keyRoutes(a huma.API) {
	op(s, a, "GET /api/v1/projects/{project}/keys", actRead, "list the deploy keys of a project, without their private halves", func(ctx context.Context, in *ByProject) (*answer[[]api.Key], error) {
		p, err := s.store.ProjectNamed(ctx, in.Project)
		if err != nil {
			return nil, err
		}
		return s.listKeys(ctx, p.ID)
	})
	op(s, a, "GET /api/v1/keys", actRead, "list the deploy keys of the server, without their private halves", func(ctx context.Context, _ *struct{}) (*answer[[]api.Key], error) {
		return s.listKeys(ctx, 0)
	})
	op(s, a, "POST /api/v1/projects/{project}/keys", need{action: actSecret, body: largeBody}, "make a deploy key of a project, or take one that exists", func(ctx context.Context, in *struct {
		ByProject
		Body api.KeyInput
	}) (*answer[api.Key], error) {
		p, err := s.store.ProjectNamed(ctx, in.Project)
		if err != nil {
			return nil, err
		}
		return s.addKey(ctx, p.ID, in.Body)
	})
	op(s, a, "POST /api/v1/keys", need{action: actSecret, body: largeBody}, "make a deploy key of the server, for checkouts only", func(ctx context.Context, in *struct{ Body api.KeyInput }) (*answer[api.Key], error) {
		return s.addKey(ctx, 0, in.Body)
	})
	op(s, a, "DELETE /api/v1/projects/{project}/keys/{key}", actSecret, "remove a deploy key of a project", func(ctx context.Context, in *struct {
		ByProject
		ByKey
	}) (*struct{}, error) {
		p, err := s.store.ProjectNamed(ctx, in.Project)
		if err != nil {
			return nil, err
		}
		return nil, s.secrets.RemoveKey(ctx, Caller(ctx), p.ID, in.Key)
	})
	op(s, a, "DELETE /api/v1/keys/{key}", actSecret, "remove a deploy key of the server", func(ctx context.Context, in *ByKey) (*struct{}, error) {
		return nil, s.secrets.RemoveKey(ctx, Caller(ctx), 0, in.Key)
	})
}

func (s *Server) listKeys(ctx context.Context, project int64) (*answer[[]api.Key], error) {
	list, err := s.secrets.Keys(ctx, project)
	out := make([]api.Key, len(list))
	for i, k := range list {
		out[i] = wireDeployKey(k)
	}
	return &answer[[]api.Key]{out}, err
}

func (s *Server) addKey(ctx context.Context, project int64, in api.KeyInput) (*answer[api.Key], error) {
	set := KeyInput{
		Name: in.Name, Type: in.Type, Write: in.Write, Protected: in.Protected, Environment: in.Environment, Repos: in.Repos, Hosts: in.Hosts, KnownHosts: in.KnownHosts,
	}
	if in.Private != nil {
		text := secret.NewString(*in.Private)
		set.Text = &text
	}
	k, err := s.secrets.NewKey(ctx, Caller(ctx), project, set)
	return &answer[api.Key]{wireDeployKey(k)}, err
}

func wireDeployKey(k store.Key) api.Key {
	out := api.Key{
		Name: k.Name, Public: k.Public, Fingerprint: k.Fingerprint, Write: k.Write, Protected: k.Protected, Environment: k.Environment,
		Repos: k.Repos, Hosts: k.Hosts, Created: k.Created, Used: k.Used,
	}
	out.Page, out.Advice = KeyAdvice(k)
	return out
}
