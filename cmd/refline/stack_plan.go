package main

import (
	"context"

	"refline/internal/stackrun"

	"github.com/spf13/cobra"
	"refline/internal/cli"
)

type stackPlanOptions struct {
	stackOptions
	planFlags
	stackrun.PlanOutput
}

// planFlags decide what is planned; up has them too.
type planFlags struct{ stackrun.PlanOptions }

func (p *planFlags) bind(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringArrayVar(&p.AllowReplace, "allow-replace", nil, "id of a resource with data that may be replaced or removed")
	f.StringVar(&p.Rules, "rules", "", "file of rules that forbid more (default rules: of the configuration)")
	f.StringVar(&p.Import, "import", "", "file with a JSON list of {LogicalResourceId, ResourceType, ResourceIdentifier: {…}} that exist and are taken in")
	f.BoolVar(&p.ImportExisting, "import-existing", false, "take in resources that exist under the names in the template, as a failed creation leaves them")
	f.BoolVar(&p.RevertDrift, "revert-drift", false, "plan back what was changed by hand")
}

func newStackPlanCmd(e *cli.Env) *cobra.Command {
	o := &stackPlanOptions{}
	cmd := &cobra.Command{
		Use:   "plan [STACK…]",
		Short: "Show exactly what a deployment would change, and keep it as a plan",
		Long: `Make a change set for each stack, of one that does not exist yet too, wait for it
and show what it would add, change, replace and remove, with the values before and
after and the line of the source. The plan file holds it with a digest; refline
stack deploy executes exactly that. Replacing or removing what holds data is
refused unless allowed by --allow-replace. --comment puts the plans on the merge
request of a GitLab CI or GitHub Actions job, with the token of
REFLINE_GITLAB_TOKEN, GITLAB_TOKEN or GITHUB_TOKEN.

Exit codes: 0 good, 1 error or a refused plan, 2 usage, 4 changes are present
(with --detailed-exitcode), 130 canceled.`,
		Example: `  refline stack plan landing --env dev
  refline stack plan --env prod -o plans --html plans/plan.html --detailed-exitcode`,
		RunE: o.run(e, func(ctx context.Context, p *stackrun.Place, args []string) error {
			if o.json {
				o.Format = "json"
			}
			o.Jobs = o.jobs
			return stackrun.Plan(ctx, p, o.selection(), args, o.PlanOptions, o.PlanOutput)
		}),
	}
	o.stackOptions.bind(cmd)
	o.planFlags.bind(cmd)
	o.bindJobs(cmd)
	o.notEmpty(cmd, "output", "html", "markdown", "rules", "import")
	f := cmd.Flags()
	f.StringVarP(&o.Output, "output", "o", "", "folder for the plan files (default here), or a file.json for a single plan")
	f.StringVar(&o.Format, "format", "text", "what goes to stdout: text, markdown or json")
	f.BoolVar(&o.json, "json", false, "the same as --format json")
	f.StringVar(&o.HTML, "html", "", "write one page for reviewers to this file")
	f.StringVar(&o.Markdown, "markdown", "", "write the plans as Markdown to this file")
	f.BoolVar(&o.Comment, "comment", false, "keep a comment with the plans on the merge request of this pipeline")
	f.BoolVar(&o.Changes, "detailed-exitcode", false, "exit 4 when there are changes")
	return cmd
}
