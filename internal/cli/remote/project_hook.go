package remote

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"refline/internal/api"
	"refline/internal/cli"
	"refline/internal/errs"
)

// projectHookOptions are the flags of project hook.
type projectHookOptions struct {
	cli.ConnectOptions
	forge, forgeURL, address             string
	tokenVariable, tokenFile, secretFile string
	deliveries, rotate, remove, json     bool
}

func newProjectHookCmd(e *cli.Env) *cobra.Command {
	o := &projectHookOptions{}
	cmd := &cobra.Command{
		Use:   "hook NAME",
		Short: "Create the webhook that reports pushes and merge requests, or see what it sent",
		Long: `Create the webhook of a project, or bring the one that is there up to date. With a
token that may create webhooks it is created through the forge's API: of
--token-file, of the variable that --token-variable names, or of the project's token
variable. A token variable is used for commit statuses and comments too. Without a
token the address, the secret (once) and the steps are shown.

--rotate replaces the secret; the one before is accepted for a day. --deliveries lists
what the forge sent last and what became of it. --rm removes the webhook here.

Exit codes: 0 good, 1 error, 2 usage.`,
		Example: `  refline project hook data/flows
  refline project hook data/flows --forge gitea --token-variable FORGE_TOKEN
  refline project hook data/flows --deliveries`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := o.Connect(e)
			if err != nil {
				return err
			}
			switch {
			case o.deliveries:
				return o.list(cmd, e, c, args[0])
			case o.remove:
				return c.RemoveHook(cmd.Context(), args[0])
			}
			return o.set(cmd, e, c, args[0])
		},
	}
	o.Bind(cmd)
	f := cmd.Flags()
	f.StringVar(&o.forge, "forge", "", "kind of the forge: gitlab, github, gitea, forgejo, bitbucket or bitbucket-dc (default: by the host of the repository)")
	f.StringVar(&o.forgeURL, "forge-url", "", "address of the forge, as https://git.example.com (default: the host of the repository)")
	f.StringVar(&o.address, "address", "", "address of this server as the forge reaches it (default: its --public-url, else the one that this command uses)")
	f.StringVar(&o.tokenVariable, "token-variable", "", "name of the server's variable with a token of the forge")
	f.StringVar(&o.tokenFile, "token-file", "", "file with a token that may create webhooks, - for standard input; it is not kept")
	f.StringVar(&o.secretFile, "secret-file", "", "file with the secret or, of GitLab, the signing key (default: a secret is made)")
	f.BoolVar(&o.rotate, "rotate", false, "replace the secret")
	f.BoolVar(&o.deliveries, "deliveries", false, "list the last deliveries")
	f.BoolVar(&o.remove, "rm", false, "remove the webhook here; at the forge remove it by hand")
	f.BoolVar(&o.json, "json", false, "print as JSON")
	cmd.MarkFlagsMutuallyExclusive("deliveries", "rotate", "rm")
	cmd.MarkFlagsMutuallyExclusive("token-file", "token-variable")
	return cmd
}

func (o *projectHookOptions) set(cmd *cobra.Command, e *cli.Env, c *api.Client, project string) error {
	in := api.HookInput{Forge: o.forge, ForgeURL: o.forgeURL, Address: o.address, Rotate: o.rotate}
	if in.Address == "" {
		in.Address = c.URL()
	}
	if cmd.Flags().Changed("token-variable") {
		in.TokenVariable = &o.tokenVariable
	}
	for file, to := range map[string]**string{o.tokenFile: &in.Token, o.secretFile: &in.Secret} {
		if file == "" {
			continue
		}
		text, err := ReadToken(e, file)
		if err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		*to = &text
	}
	h, err := c.SetHook(cmd.Context(), project, in)
	if err != nil {
		return err
	}
	asked := o.tokenFile != "" || o.tokenVariable != ""
	if o.json {
		if err := e.PrintJSON(h); err != nil {
			return err
		}
	} else {
		printHook(e, h)
	}
	if h.Note != "" && asked {
		return errs.E(errs.Denied, "the webhook is not created at the forge: %s", h.Note)
	}
	return nil
}

// printHook says what is left to do.
func printHook(e *cli.Env, h api.Hook) {
	if h.Note == "" && h.Hook != "" && h.Secret == "" {
		fmt.Fprintf(e.Stdout, "webhook of %s at %s: %s\n", h.Project, h.Forge, h.URL)
		return
	}
	if h.Note != "" {
		e.Notef("%s; create it by hand:", h.Note)
	}
	secret := h.Secret
	if secret == "" {
		secret = "(shown when it was made; another one: refline project hook " + h.Project + " --rotate)"
	}
	where, events := hookSteps(h.Forge)
	fmt.Fprintf(e.Stdout, "URL     %s\nsecret  %s\n\n", h.URL, secret)
	fmt.Fprintf(e.Stdout, "At the forge: %s. Enter the URL and the secret, choose POST and\napplication/json, and these events: %s.\n", where, events)
	if local := strings.Contains(h.URL, "://127.0.0.1") || strings.Contains(h.URL, "://localhost") || strings.Contains(h.URL, "://[::1]"); local {
		e.Notef("the forge must reach this address: start the server with --public-url https://HOST, or give --address")
	}
	if h.PreviousUntil != nil {
		e.Notef("the secret before is accepted until %s", h.PreviousUntil.Format("2006-01-02 15:04 MST"))
	}
}

// hookSteps are where a forge has its webhooks, and the events that lead to pipelines.
func hookSteps(forge string) (where, events string) {
	switch forge {
	case "gitlab":
		return "Settings > Webhooks > Add new webhook", "push, tag push, merge request, comment"
	case "github":
		return "Settings > Webhooks > Add webhook", "push, pull request, issue comment, repository"
	case "bitbucket":
		return "Repository settings > Webhooks > Add webhook", "repository push; pull request created, updated, merged, declined, comment created"
	case "bitbucket-dc":
		return "Repository settings > Webhooks > Create webhook", "repository push; pull request opened, source branch updated, modified, merged, declined, deleted, comment added"
	}
	return "Settings > Webhooks > Add webhook", "push, delete, pull request, issue comment"
}

// list shows the last deliveries.
func (o *projectHookOptions) list(cmd *cobra.Command, e *cli.Env, c *api.Client, project string) error {
	list, err := c.Deliveries(cmd.Context(), project, 50)
	if err != nil {
		return err
	}
	if o.json {
		return e.PrintJSON(list)
	}
	if len(list) == 0 {
		e.Notef("nothing was delivered yet; send a test from the page of the webhook at the forge")
		return nil
	}
	rows := [][]string{{"received", "event", "delivery", "result"}}
	for _, d := range list {
		rows = append(rows, []string{cli.Ago(d.Received), d.Name, d.Delivery, deliveryResult(d)})
	}
	return e.PrintTable(rows)
}

// deliveryResult says what became of a delivery.
func deliveryResult(d api.Delivery) string {
	var parts []string
	for _, r := range d.Results {
		first, _, _ := strings.Cut(r.Error, "\n")
		switch r.State {
		case "made":
			parts = append(parts, fmt.Sprintf("run %d", r.Run))
		case "approval":
			parts = append(parts, "waits for an approval: refline runs approve")
		case "failed":
			parts = append(parts, "no run: "+first)
		case "waiting":
			parts = append(parts, strings.TrimSuffix("to be made: "+first, ": "))
		default:
			parts = append(parts, "no pipeline")
		}
	}
	switch {
	case len(parts) > 0:
		return strings.Join(parts, "; ")
	case d.Kind == "test":
		return "a test"
	case d.Read == nil:
		return "waits for a look"
	case d.Kind == "push" || d.Kind == "merge_request":
		return "nothing new at its ref"
	}
	return "nothing follows from it"
}
