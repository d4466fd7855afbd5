package forge

import (
	"context"
	"strings"

	gitlab "gitlab.com/gitlab-org/api/client-go"

	"refline/internal/errs"
	"refline/internal/secret"
)

// ProjectVariable is a variable as a project of a forge has it.
type ProjectVariable struct {
	secret.Variable
	// Hidden says that the forge never gives the value away; Value is empty.
	Hidden bool
}

// perPage is the most that GitLab gives at once.
const perPage = 100

// maxPages bounds what a broken server can make us read: 10,000 variables, GitLab's
// own limit is 8,000.
const maxPages = 100

// Variables gives all variables of the project, in GitLab's order.
//
// The API is that of https://docs.gitlab.com/api/project_level_variables/.
func (g *GitLab) Variables(ctx context.Context) ([]ProjectVariable, error) {
	const doing = "read variables"
	var out []ProjectVariable
	options := &gitlab.ListProjectVariablesOptions{ListOptions: gitlab.ListOptions{PerPage: perPage, Page: 1}}
	for range maxPages {
		list, answer, err := g.client.ProjectVariables.ListVariables(g.project, options, gitlab.WithContext(ctx))
		if err != nil {
			return nil, g.failure(ctx, doing, err)
		}
		for _, v := range list {
			out = append(out, fromGitLab(v))
		}
		if answer.NextPage == 0 {
			return out, nil
		}
		options.Page = answer.NextPage
	}
	return nil, errs.E(errs.Unavailable, "%s: %s returns pages without end", doing, g.where)
}

func fromGitLab(v *gitlab.ProjectVariable) ProjectVariable {
	return ProjectVariable{Hidden: v.Hidden, Variable: secret.Variable{
		Name: v.Key, Value: secret.NewString(v.Value), Environment: v.EnvironmentScope, Protected: v.Protected,
		Masked: v.Masked || v.Hidden, Raw: v.Raw, File: v.VariableType == gitlab.FileVariableType, Description: v.Description,
	}}
}

// Create makes a variable; errs.Conflict when there is one of its name and
// scope, errs.Invalid when GitLab does not take it.
func (g *GitLab) Create(ctx context.Context, v ProjectVariable) error {
	options := &gitlab.CreateProjectVariableOptions{
		Key: &v.Name, Value: gitlab.Ptr(v.Value.RevealString()), Description: &v.Description, EnvironmentScope: &v.Environment,
		Masked: &v.Masked, Protected: &v.Protected, Raw: &v.Raw, VariableType: gitlab.Ptr(variableType(v.Variable)),
	}
	if v.Hidden {
		options.MaskedAndHidden = &v.Hidden
	}
	_, _, err := g.client.ProjectVariables.CreateVariable(g.project, options, gitlab.WithContext(ctx))
	return g.written(ctx, v, err)
}

// Update gives the variable of this name and scope a new value and properties.
func (g *GitLab) Update(ctx context.Context, v ProjectVariable) error {
	options := &gitlab.UpdateProjectVariableOptions{
		Value: gitlab.Ptr(v.Value.RevealString()), Description: &v.Description,
		Filter: &gitlab.VariableFilter{EnvironmentScope: v.Environment},
		Masked: &v.Masked, Protected: &v.Protected, Raw: &v.Raw, VariableType: gitlab.Ptr(variableType(v.Variable)),
	}
	_, _, err := g.client.ProjectVariables.UpdateVariable(g.project, v.Name, options, gitlab.WithContext(ctx))
	return g.written(ctx, v, err)
}

// written is the error of a request that carried a value. Should an answer ever
// quote it, the value does not come through.
func (g *GitLab) written(ctx context.Context, v ProjectVariable, err error) error {
	if err == nil {
		return nil
	}
	err = g.failure(ctx, "write variable "+v.Name, err)
	if value := v.Value.RevealString(); value != "" && strings.Contains(err.Error(), value) {
		return errs.E(errs.KindOf(err), "write variable %s: %s refuses it", v.Name, g.where)
	}
	return err
}

func variableType(v secret.Variable) gitlab.VariableTypeValue {
	if v.File {
		return gitlab.FileVariableType
	}
	return gitlab.EnvVariableType
}
