package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"refline/internal/cli"
	"refline/internal/errs"
	"refline/internal/forge"
	"refline/internal/secret"
	"refline/internal/secretsource"
	"refline/internal/sshagent"
	"refline/internal/termview"
	"refline/internal/variable"
)

// gitlabOptions name a project and its GitLab.
type gitlabOptions struct{ project string }

func (o *gitlabOptions) bind(cmd *cobra.Command) {
	cmd.Flags().StringVar(&o.project, "gitlab", "", "the project: its URL, or group/project on the GitLab of REFLINE_GITLAB_URL, CI_SERVER_URL or the origin remote")
}

// open returns the project.
func (o *gitlabOptions) open(ctx context.Context, e *cli.Env) (*forge.GitLab, error) {
	return variable.OpenGitLab(ctx, variable.Where{Dir: e.Dir, Getenv: e.Getenv, Environ: e.Environ()}, o.project)
}

const gitlabHelp = `The token is taken from REFLINE_GITLAB_TOKEN or GITLAB_TOKEN, else from git's
credential helper for the host. It needs the scope api and a maintainer's role.`

type varMoveOptions struct {
	varOptions
	gitlabOptions
	dryRun bool
}

func (o *varMoveOptions) bind(cmd *cobra.Command) {
	o.varOptions.bind(cmd)
	o.gitlabOptions.bind(cmd)
	cmd.Flags().BoolVar(&o.dryRun, "dry-run", false, "say what would change, and change nothing")
}

func newVarPullCmd(e *cli.Env) *cobra.Command {
	o := &varMoveOptions{}
	cmd := &cobra.Command{
		Use:   "pull --gitlab PROJECT [NAME…]",
		Short: "Take over the variables of a GitLab project",
		Long: `Take over the variables of a GitLab project, all or those named. What is only here
stays. GitLab does not give the values of hidden variables: they are named, and what
is here of them stays.

` + gitlabHelp + `

Exit codes: 0 good, 1 error, 2 usage.`,
		Example: "  refline var pull --gitlab data/flows --dry-run\n  refline var pull --gitlab https://gitlab.example.com/data/flows DEPLOY_TOKEN",
		RunE: func(cmd *cobra.Command, names []string) error {
			return runVarPull(cmd.Context(), e, o, names)
		},
	}
	o.bind(cmd)
	return cmd
}

func newVarPushCmd(e *cli.Env) *cobra.Command {
	o := &varMoveOptions{}
	cmd := &cobra.Command{
		Use:   "push --gitlab PROJECT [NAME…]",
		Short: "Give the variables to a GitLab project",
		Long: `Give the variables to a GitLab project, all or those named. What is only there stays.
Masked ones whose value GitLab cannot mask are named, with the reason, and not given.

` + gitlabHelp + `

Exit codes: 0 good, 1 error or something that GitLab does not take, 2 usage.`,
		Example: "  refline var push --gitlab data/flows --dry-run\n  refline var push --gitlab data/flows DEPLOY_TOKEN",
		RunE: func(cmd *cobra.Command, names []string) error {
			return runVarPush(cmd.Context(), e, o, names)
		},
	}
	o.bind(cmd)
	return cmd
}

// printChanges prints what happens to variables, a line each, and the totals.
// hint adds to a note what the user can do; it may be nil.
func printChanges(e *cli.Env, changes []variable.Change, dryRun bool, hint func(variable.Change) string) (refused int) {
	var rows [][]string
	changed, same := 0, 0
	for _, c := range changes {
		symbol, note := "", c.Note
		switch c.Outcome {
		case variable.OutcomeSame:
			same++
			continue
		case variable.OutcomeRefused:
			refused++
			symbol, note = "!", note+hint(c)
		case variable.OutcomeNew:
			changed++
			symbol = "+"
		case variable.OutcomeChanged:
			changed++
			symbol = "~"
		}
		if note == "" {
			note = string(c.Outcome)
		}
		rows = append(rows, []string{symbol + " " + c.Variable.Name, c.Variable.Environment, note})
	}
	for _, line := range termview.Align(rows) {
		fmt.Fprintln(e.Stdout, line)
	}
	end := ""
	if dryRun {
		end = "; nothing was done (--dry-run)"
	}
	e.Notef("%d changed, %d the same, %d not possible%s", changed, same, refused, end)
	return refused
}

// checkNames refuses names that no variable has.
func checkNames(names []string, list []secret.Variable, where string) error {
	missing := variable.Missing(names, list)
	if missing == "" {
		return nil
	}
	known := make([]string, len(list))
	for i, v := range list {
		known[i] = v.Name
	}
	return errs.E(errs.NotFound, "no variable %s %s%s", missing, where, cli.DidYouMean(missing, known))
}

func runVarPull(ctx context.Context, e *cli.Env, o *varMoveOptions, names []string) error {
	project, err := o.gitlabOptions.open(ctx, e)
	if err != nil {
		return err
	}
	there, err := project.Variables(ctx)
	if err != nil {
		return err
	}
	plain := make([]secret.Variable, len(there))
	for i, v := range there {
		plain[i] = v.Variable
	}
	if err := checkNames(names, plain, "in "+o.project); err != nil {
		return err
	}
	var changes []variable.Change
	var here *secretsource.VariableFile
	pull := func(v *secretsource.VariableFile) (err error) {
		here = v
		changes, err = v.Pull(there, names)
		return err
	}
	if o.dryRun {
		v, err := e.Secrets().NewVariables(ctx, o.Variables)
		if err == nil {
			err = pull(v)
		}
		if err != nil {
			return err
		}
	} else if err := e.Secrets().ChangeVariables(ctx, o.Variables, pull); err != nil {
		return err
	}
	printChanges(e, changes, o.dryRun, func(c variable.Change) string {
		if here.Index(c.Variable) >= 0 {
			return ""
		}
		return "; set it: refline var set " + c.Variable.Name
	})
	return nil
}

func runVarPush(ctx context.Context, e *cli.Env, o *varMoveOptions, names []string) error {
	v, err := e.Secrets().Variables(ctx, o.Variables)
	if err != nil {
		return err
	}
	if err := checkNames(names, v.File.Variables, "here"); err != nil {
		return err
	}
	project, err := o.gitlabOptions.open(ctx, e)
	if err != nil {
		return err
	}
	changes, err := variable.Push(ctx, project, v.File.Variables, names, o.dryRun)
	if changes == nil && err != nil {
		return err
	}
	refused := printChanges(e, changes, o.dryRun, func(c variable.Change) string {
		if _, err := sshagent.ReadKeyFile(c.Variable.Value.Reveal()); err != nil {
			return ""
		}
		return "; it is a key: refline key split --one-line"
	})
	if err != nil {
		return err
	}
	if refused > 0 {
		return cli.ErrShown
	}
	return nil
}
