package remote

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"refline/internal/api"
	"refline/internal/cli"
	"refline/internal/termview"
)

// NewProjectCmd returns the command.
func NewProjectCmd(e *cli.Env) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "project",
		Short: "List and set up the repositories that a server runs",
		Long:  "List and set up the repositories that a server runs pipelines and flows of.\n\nExit codes: 0 good, 1 error, 2 usage.",
		Example: `  refline project add https://git.example.com/data/flows.git
  refline project check data/flows
  refline project list`,
	}
	cmd.AddCommand(newProjectAddCmd(e), newProjectListCmd(e), newProjectShowCmd(e), newProjectSetCmd(e), newProjectCheckCmd(e), newProjectHookCmd(e), newProjectRemoveCmd(e))
	return cmd
}

// projectFields are the flags of what a project has.
type projectFields struct {
	cli.QueryOptions
	name, url, file, key, tokenVariable, urlVariable string
	protected                                        []string
	poll                                             time.Duration
	keepFor                                          string
	keepRuns                                         int
	keepLastGood                                     bool
}

func (o *projectFields) bind(cmd *cobra.Command) {
	o.QueryOptions.Bind(cmd)
	f := cmd.Flags()
	f.StringVar(&o.name, "name", "", "name of the project (default: the last two parts of the URL)")
	f.StringVar(&o.file, "file", "", "its pipeline file (default .gitlab-ci.yml)")
	f.StringVar(&o.key, "key", "", "name of the deploy key that reaches the repository")
	f.StringVar(&o.tokenVariable, "token-variable", "", "name of the variable that holds its token")
	f.StringVar(&o.urlVariable, "url-variable", "", "name of the variable that holds its URL")
	f.StringSliceVar(&o.protected, "protected", nil, "patterns of protected branches and tags, as 'main,release/*' (default: the default branch)")
	f.DurationVar(&o.poll, "poll", 0, "look for pushes this often and run their pipelines, as 5m, if there is no webhook; 0 for never")
}

// input is what was given.
func (o *projectFields) input(cmd *cobra.Command) api.ProjectInput {
	in := api.ProjectInput{}
	for name, field := range map[string]struct {
		to   **string
		from *string
	}{
		"name": {&in.Name, &o.name}, "file": {&in.File, &o.file}, "key": {&in.Key, &o.key}, "url": {&in.URL, &o.url},
		"token-variable": {&in.TokenVariable, &o.tokenVariable}, "url-variable": {&in.URLVariable, &o.urlVariable},
	} {
		if cmd.Flags().Changed(name) {
			*field.to = field.from
		}
	}
	if cmd.Flags().Changed("protected") {
		in.Protected = &o.protected
	}
	if cmd.Flags().Changed("poll") {
		seconds := int64(o.poll / time.Second)
		in.PollSeconds = &seconds
	}
	return in
}

func newProjectAddCmd(e *cli.Env) *cobra.Command {
	o := &projectFields{}
	cmd := &cobra.Command{
		Use:   "add URL",
		Short: "Add a repository",
		Long: `Add a repository to the server. The URL holds no token: keep that as a variable or
use a deploy key, and name it here.

Exit codes: 0 good, 1 error, 2 usage.`,
		Example: `  refline project add https://git.example.com/data/flows.git
  refline project add git@git.example.com:data/flows.git --key flows --protected 'main,v*'`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := o.Connect(e)
			if err != nil {
				return err
			}
			in := o.input(cmd)
			url := repositoryArgument(e, args[0])
			in.URL = &url
			p, err := c.AddProject(cmd.Context(), in)
			if err != nil {
				return err
			}
			if o.JSON {
				return e.PrintJSON(p)
			}
			fmt.Fprintf(e.Stdout, "added project %s\nnext: refline project check %s, then refline flow register PATH --project %s\n"+
				"to run its pipeline on pushes: refline project hook %s, or refline project set %s --poll 5m\n", p.Name, p.Name, p.Name, p.Name, p.Name)
			return nil
		},
	}
	o.bind(cmd)
	return cmd
}

func newProjectListCmd(e *cli.Env) *cobra.Command {
	o := &projectFields{}
	cmd := &cobra.Command{
		Use: "list", Short: "List the projects", Args: cli.NoArgs,
		Long:    "List the projects of the server.\n\nExit codes: 0 good, 1 error, 2 usage.",
		Example: "  refline project list",
		RunE: func(cmd *cobra.Command, _ []string) error {
			get := func(ctx context.Context, c *api.Client) ([]api.Project, error) { return c.Projects(ctx) }
			return cli.Ask(cmd, e, &o.QueryOptions, get, func(list []api.Project) error {
				if len(list) == 0 {
					e.Notef("no projects; add one: refline project add URL")
					return nil
				}
				rows := [][]string{{"project", "repository", "protected"}}
				for _, p := range list {
					rows = append(rows, []string{p.Name, p.URL, protectedText(p.Protected)})
				}
				return e.PrintTable(rows)
			})
		},
	}
	o.QueryOptions.Bind(cmd)
	return cmd
}

func protectedText(patterns []string) string {
	if len(patterns) == 0 {
		return "the default branch"
	}
	return termview.Names(patterns)
}

func newProjectShowCmd(e *cli.Env) *cobra.Command {
	o := &projectFields{}
	cmd := &cobra.Command{
		Use: "show NAME", Short: "Show a project", Args: cobra.ExactArgs(1),
		Long:    "Show a project: its repository, how it is reached, and what is protected.\n\nExit codes: 0 good, 1 no such project, 2 usage.",
		Example: "  refline project show data/flows",
		RunE: func(cmd *cobra.Command, args []string) error {
			get := func(ctx context.Context, c *api.Client) (api.Project, error) { return c.Project(ctx, args[0]) }
			return cli.Ask(cmd, e, &o.QueryOptions, get, func(p api.Project) error {
				fields := [][2]string{
					{"project", p.Name}, {"repository", p.URL}, {"file", p.File}, {"key", p.Key}, {"token variable", p.TokenVariable},
					{"url variable", p.URLVariable}, {"protected", protectedText(p.Protected)}, {"poll", pollText(p)}, {"runs kept", retentionText(p.Retention)},
				}
				return e.PrintFields(append(fields, lookFields(p.Look)...))
			})
		},
	}
	o.QueryOptions.Bind(cmd)
	return cmd
}

// retentionText says how long the runs of a project are kept.
func retentionText(r *api.Retention) string {
	if r == nil || r.Seconds == 0 && r.Runs == 0 {
		return "all, for ever: refline project set NAME --keep-for 90d"
	}
	var parts []string
	if r.Runs > 0 {
		parts = append(parts, "the newest "+termview.Count(r.Runs, "run"))
	}
	if r.Seconds > 0 {
		age := (time.Duration(r.Seconds) * time.Second).String()
		if r.Seconds%86400 == 0 {
			age = termview.Count(int(r.Seconds/86400), "day")
		}
		parts = append(parts, "those that ended in the last "+age)
	}
	text := strings.Join(parts, " of ")
	if r.LastGood {
		text += ", and the last good one of each flow and ref"
	}
	return text
}

// retention is what was given of --keep-for, --keep-runs and --keep-last-good, over what
// the project has; nil if nothing was.
func (o *projectFields) retention(cmd *cobra.Command, have *api.Retention) (*api.Retention, error) {
	f := cmd.Flags()
	if !f.Changed("keep-for") && !f.Changed("keep-runs") && !f.Changed("keep-last-good") {
		return nil, nil
	}
	r := api.Retention{LastGood: true}
	if have != nil {
		r = *have
	}
	if f.Changed("keep-for") {
		r.Seconds = 0
		if o.keepFor != "0" {
			d, err := parseSpan(o.keepFor)
			if err != nil {
				return nil, cli.Usagef("--keep-for %q: %v; 0 keeps runs for ever", o.keepFor, err)
			}
			r.Seconds = int64(d / time.Second)
		}
	}
	if f.Changed("keep-runs") {
		if o.keepRuns < 0 {
			return nil, cli.Usagef("--keep-runs %d: give how many of the newest runs stay; 0 for all", o.keepRuns)
		}
		r.Runs = o.keepRuns
	}
	if f.Changed("keep-last-good") {
		r.LastGood = o.keepLastGood
	}
	return &r, nil
}

func pollText(p api.Project) string {
	switch {
	case p.Look != nil && p.Look.Hook:
		return "by its webhook, and every hour"
	case p.PollSeconds == 0:
		return "never: pushes make no pipelines; for that refline project hook, or set --poll 5m"
	}
	return "every " + (time.Duration(p.PollSeconds) * time.Second).String()
}

// lookFields say what the server found at the repository last.
func lookFields(l *api.Look) [][2]string {
	if l == nil {
		return nil
	}
	fields := [][2]string{{"look failed", l.Error}}
	if l.Looked != nil {
		fields = append(fields, [2]string{"looked at", cli.Ago(*l.Looked)})
	}
	for _, text := range l.Unmade {
		first, _, _ := strings.Cut(text, "\n")
		fields = append(fields, [2]string{"no run of", first})
	}
	return fields
}

func newProjectSetCmd(e *cli.Env) *cobra.Command {
	o := &projectFields{}
	cmd := &cobra.Command{
		Use: "set NAME", Short: "Change a project", Args: cobra.ExactArgs(1),
		Long:    "Change a project. What is not given stays as it is.\n\nExit codes: 0 good, 1 error, 2 usage.",
		Example: "  refline project set data/flows --protected 'main,release/*,v*' --poll 5m\n  refline project set data/flows --keep-for 90d --keep-runs 5000",
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := o.Connect(e)
			if err != nil {
				return err
			}
			before, err := c.Project(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			keep, err := o.retention(cmd, before.Retention)
			if err != nil {
				return err
			}
			p, err := c.SetProject(cmd.Context(), args[0], o.input(cmd))
			if err != nil {
				return err
			}
			if keep != nil {
				set, err := c.SetRetention(cmd.Context(), p.Name, *keep)
				if err != nil {
					return err
				}
				p.Retention = &set
			}
			if o.JSON {
				return e.PrintJSON(p)
			}
			fmt.Fprintf(e.Stdout, "changed project %s\n", p.Name)
			return nil
		},
	}
	o.bind(cmd)
	f := cmd.Flags()
	f.StringVar(&o.url, "url", "", "another URL of the repository")
	f.StringVar(&o.keepFor, "keep-for", "", "remove runs that ended longer ago, with their logs and artifacts, as 90d; 0 keeps them for ever")
	f.IntVar(&o.keepRuns, "keep-runs", 0, "keep so many of the newest runs; 0 keeps all")
	f.BoolVar(&o.keepLastGood, "keep-last-good", true, "keep the last successful run of each flow and ref in any case")
	return cmd
}

func newProjectCheckCmd(e *cli.Env) *cobra.Command {
	o := &projectFields{}
	cmd := &cobra.Command{
		Use: "check NAME", Short: "See whether the server reaches the repository", Args: cobra.ExactArgs(1),
		Long:    "Let the server look at the repository of a project.\n\nExit codes: 0 reached, 1 not, 2 usage.",
		Example: "  refline project check data/flows",
		RunE: func(cmd *cobra.Command, args []string) error {
			get := func(ctx context.Context, c *api.Client) (api.ProjectCheck, error) {
				return c.CheckProject(ctx, args[0])
			}
			return cli.Ask(cmd, e, &o.QueryOptions, get, func(k api.ProjectCheck) error {
				fmt.Fprintf(e.Stdout, "reached %s in %d ms: %s at %.7s, %s, %s\n", k.URL, k.Millis, k.DefaultBranch, k.Commit,
					cli.Branches(k.Branches), termview.Count(k.Tags, "tag"))
				return nil
			})
		},
	}
	o.QueryOptions.Bind(cmd)
	return cmd
}

func newProjectRemoveCmd(e *cli.Env) *cobra.Command {
	o := &cli.ConnectOptions{}
	cmd := &cobra.Command{
		Use: "rm NAME", Short: "Remove a project without flows and runs", Args: cobra.ExactArgs(1),
		Long:    "Remove a project. One with flows or runs is refused.\n\nExit codes: 0 good, 1 error, 2 usage.",
		Example: "  refline project rm data/old",
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := o.Connect(e)
			if err != nil {
				return err
			}
			return c.RemoveProject(cmd.Context(), args[0])
		},
	}
	o.Bind(cmd)
	return cmd
}
