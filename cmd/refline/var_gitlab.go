package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os/exec"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"refline/internal/errs"
	"refline/internal/forge"
	"refline/internal/git"
	"refline/internal/secret"
	"refline/internal/source"
	"refline/internal/sshagent"
)

// gitlabOptions say which project of which GitLab is meant.
type gitlabOptions struct{ project string }

func (o *gitlabOptions) bind(cmd *cobra.Command) {
	cmd.Flags().StringVar(&o.project, "gitlab", "", "the project: its URL, or group/project on the GitLab of REFLINE_GITLAB_URL, CI_SERVER_URL or the origin remote")
}

const gitlabHelp = `The token is taken from REFLINE_GITLAB_TOKEN or GITLAB_TOKEN, else from git's
credential helper for the host. It needs the scope api and a maintainer's role.`

// open gives the project of the GitLab.
func (o *gitlabOptions) open(ctx context.Context, e *env) (*forge.GitLab, error) {
	if o.project == "" {
		return nil, usagef("say which project: --gitlab group/project")
	}
	base, project, err := o.where(ctx, e)
	if err != nil {
		return nil, err
	}
	token, kind, err := gitlabToken(ctx, e, base)
	if err != nil {
		return nil, err
	}
	return forge.NewGitLab(forge.GitLabOptions{URL: base, Project: project, Token: token, Kind: kind, CAFile: e.getenv("REFLINE_CA_FILE")})
}

func (o *gitlabOptions) where(ctx context.Context, e *env) (base, project string, err error) {
	if strings.Contains(o.project, "://") {
		u, err := url.Parse(o.project)
		if err != nil || u.Host == "" || u.User != nil {
			return "", "", usagef("--gitlab: this is no URL of a project")
		}
		return u.Scheme + "://" + u.Host, strings.TrimSuffix(strings.Trim(u.Path, "/"), ".git"), nil
	}
	project = strings.TrimSuffix(strings.Trim(o.project, "/"), ".git")
	for _, name := range []string{"REFLINE_GITLAB_URL", "CI_SERVER_URL"} {
		if base = e.getenv(name); base != "" {
			return base, project, nil
		}
	}
	if w, err := git.Open(ctx, e.dir, e.environ()); err == nil {
		if h, err := parseHost(w.RemoteURL); err == nil && source.IsURL(w.RemoteURL) {
			return "https://" + h.name, project, nil
		}
	}
	return "", "", usagef("on which GitLab is %s? Give its URL (--gitlab https://gitlab.example.com/%s) or set REFLINE_GITLAB_URL", project, project)
}

// gitlabToken finds a token: in the environment, in git's credential helper, at
// last that of the job.
func gitlabToken(ctx context.Context, e *env, base string) (secret.Value, forge.TokenKind, error) {
	for _, name := range []string{"REFLINE_GITLAB_TOKEN", "GITLAB_TOKEN"} {
		if t := e.getenv(name); t != "" {
			return secret.NewString(t), forge.UserToken, nil
		}
	}
	if t := credentialHelper(ctx, e, base); t.Len() > 0 {
		return t, forge.UserToken, nil
	}
	if t := e.getenv("CI_JOB_TOKEN"); t != "" {
		return secret.NewString(t), forge.JobToken, nil
	}
	return secret.Value{}, 0, errs.E(errs.Denied, "no token for %s: set REFLINE_GITLAB_TOKEN to one with the scope api, or let git's credential helper know one", base)
}

// credentialHelper asks the user's git for what it would log in with. Nobody is
// asked anything.
func credentialHelper(ctx context.Context, e *env, base string) secret.Value {
	u, err := url.Parse(base)
	if err != nil {
		return secret.Value{}
	}
	cmd := exec.CommandContext(ctx, "git", "-c", "core.askPass=", "credential", "fill")
	cmd.Dir, cmd.Env = e.dir, append(e.environ(), "GIT_TERMINAL_PROMPT=0", "GIT_ASKPASS=", "SSH_ASKPASS=", "GCM_INTERACTIVE=never")
	cmd.Stdin = strings.NewReader(fmt.Sprintf("protocol=%s\nhost=%s\n\n", u.Scheme, u.Host))
	out, err := cmd.Output()
	if err != nil {
		return secret.Value{}
	}
	for line := range strings.Lines(string(out)) {
		if password, ok := strings.CutPrefix(strings.TrimRight(line, "\r\n"), "password="); ok {
			return secret.NewString(password)
		}
	}
	return secret.Value{}
}

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

func newVarPullCmd(e *env) *cobra.Command {
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

func newVarPushCmd(e *env) *cobra.Command {
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

// moves is what happens to variables, a line each.
type moves struct {
	rows    [][]string
	same    int
	refused int
}

func (m *moves) add(symbol string, v secret.Variable, what string) {
	m.rows = append(m.rows, []string{symbol + " " + v.Name, v.Environment, what})
}

func (m *moves) print(e *env, dryRun bool) {
	for _, line := range alignColumns(m.rows) {
		fmt.Fprintln(e.stdout, line)
	}
	changed := 0
	for _, r := range m.rows {
		if r[0][0] == '+' || r[0][0] == '~' {
			changed++
		}
	}
	end := ""
	if dryRun {
		end = "; nothing was done (--dry-run)"
	}
	e.notef("%d changed, %d the same, %d not possible%s", changed, m.same, m.refused, end)
}

func named(names []string, v secret.Variable) bool {
	return len(names) == 0 || slices.Contains(names, v.Name)
}

// allThere refuses names that no variable has.
func allThere(names []string, list []secret.Variable, where string) error {
	for _, n := range names {
		if !slices.ContainsFunc(list, func(v secret.Variable) bool { return v.Name == n }) {
			known := make([]string, len(list))
			for i, v := range list {
				known[i] = v.Name
			}
			return errs.E(errs.NotFound, "no variable %s %s%s", n, where, didYouMean(n, known))
		}
	}
	return nil
}

func sameVariable(a, b secret.Variable) bool {
	equal := a.Value.Equal(b.Value)
	a.Value, b.Value = secret.Value{}, secret.Value{}
	return equal && fmt.Sprintf("%#v", a) == fmt.Sprintf("%#v", b)
}

func runVarPull(ctx context.Context, e *env, o *varMoveOptions, names []string) error {
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
	if err := allThere(names, plain, "in "+o.project); err != nil {
		return err
	}
	var m moves
	take := func(v *varFile) error {
		for _, x := range there {
			if named(names, x.Variable) {
				if err := m.pull(v, x); err != nil {
					return err
				}
			}
		}
		return nil
	}
	if o.dryRun {
		v, err := openVars(ctx, e, o.varOptions, true)
		if err == nil {
			err = take(v)
		}
		if err != nil {
			return err
		}
	} else if err := changeVars(ctx, e, o.varOptions, take); err != nil {
		return err
	}
	m.print(e, o.dryRun)
	return nil
}

// pull takes one variable over.
func (m *moves) pull(v *varFile, x forge.ProjectVariable) error {
	i := v.at(x.Variable)
	switch {
	case x.Hidden:
		m.refused++
		what := "GitLab does not give hidden values; set it: refline var set " + x.Name
		if i >= 0 {
			what = "GitLab does not give hidden values; what is here stays"
		}
		m.add("!", x.Variable, what)
		return nil
	case i >= 0 && sameVariable(v.Variables[i], x.Variable):
		m.same++
		return nil
	case i >= 0:
		m.add("~", x.Variable, "changed")
	default:
		m.add("+", x.Variable, "new")
	}
	return v.Put(x.Variable)
}

// at is the place of the variable with this name and scope, -1 for none.
func (v *varFile) at(x secret.Variable) int {
	return slices.IndexFunc(v.Variables, func(have secret.Variable) bool {
		return have.Name == x.Name && have.Environment == x.Environment
	})
}

func runVarPush(ctx context.Context, e *env, o *varMoveOptions, names []string) error {
	v, err := openVars(ctx, e, o.varOptions, false)
	if err != nil {
		return err
	}
	if err := allThere(names, v.Variables, "here"); err != nil {
		return err
	}
	project, err := o.gitlabOptions.open(ctx, e)
	if err != nil {
		return err
	}
	there, err := project.Variables(ctx)
	if err != nil {
		return err
	}
	var m moves
	var failed []error
	for _, x := range v.Variables {
		if named(names, x) {
			failed = append(failed, m.push(ctx, project, there, x, o.dryRun))
		}
	}
	m.print(e, o.dryRun)
	if err := errors.Join(failed...); err != nil {
		return err
	}
	if m.refused > 0 {
		return errShown
	}
	return nil
}

// push gives one variable to the project.
func (m *moves) push(ctx context.Context, project *forge.GitLab, there []forge.ProjectVariable, x secret.Variable, dryRun bool) error {
	if why := notTaken(x); why != "" {
		m.refused++
		m.add("!", x, why)
		return nil
	}
	i := slices.IndexFunc(there, func(have forge.ProjectVariable) bool {
		return have.Name == x.Name && have.Environment == x.Environment
	})
	write, symbol, what := project.Create, "+", "new"
	if i >= 0 {
		write, symbol, what = project.Update, "~", "changed"
		if there[i].Hidden {
			what = "hidden on GitLab, so it cannot be compared: written"
		} else if sameVariable(there[i].Variable, x) {
			m.same++
			return nil
		}
	}
	if !dryRun {
		if err := write(ctx, forge.ProjectVariable{Variable: x}); err != nil {
			return err
		}
	}
	m.add(symbol, x, what)
	return nil
}

// maxGitLabValue is the longest value of a variable on GitLab.
const maxGitLabValue = 10_000

// notTaken says why GitLab would not take a variable as it is, "" when it
// would.
func notTaken(x secret.Variable) string {
	value := x.Value.RevealString()
	if n := len([]rune(value)); n > maxGitLabValue {
		return fmt.Sprintf("GitLab takes at most %d characters, it has %d", maxGitLabValue, n)
	}
	if !x.Masked {
		return ""
	}
	why := sshagent.GitLabMaskable(value, x.Raw)
	if why == "" {
		return ""
	}
	why = "GitLab cannot mask it: " + why
	if _, err := sshagent.ReadKeyFile([]byte(value)); err == nil {
		why += "; it is a key: refline key split --one-line"
	}
	return why
}
