package remote

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"refline/internal/api"
	"refline/internal/cli"
)

// NewNotifyCmd returns the command.
func NewNotifyCmd(e *cli.Env) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "notify",
		Short: "Set who is notified when runs of a server fail, recover or wait",
		Long: `Set who is notified when runs of a server fail, recover or wait for a person: by a
webhook, a chat that takes Slack's messages, or mail.

Exit codes: 0 good, 1 error, 2 usage.`,
		Example: `  refline notify set team --project data/flows --slack-url-file slack.url
  refline notify test team --project data/flows
  refline notify list`,
	}
	cmd.AddCommand(newNotifySetCmd(e), newNotifyListCmd(e), newNotifyTestCmd(e), newNotifyRemoveCmd(e))
	return cmd
}

type notifyOptions struct {
	cli.QueryOptions
	project string
}

func (o *notifyOptions) bind(cmd *cobra.Command) {
	o.ConnectOptions.Bind(cmd)
	cmd.Flags().StringVar(&o.project, "project", "", "of this project (default: of all projects)")
}

func newNotifySetCmd(e *cli.Env) *cobra.Command {
	o := &notifyOptions{}
	var on, email []string
	var webhookFile, slackFile, secretFile, templateFile string
	cmd := &cobra.Command{
		Use: "set NAME", Short: "Set who is notified of which events", Args: cobra.ExactArgs(1),
		Long: `Set who is notified of which events, by one kind of address. The address of a webhook
or chat is a secret: it is read from a file, or from standard input with -. What is
not given stays as it is.

Exit codes: 0 good, 1 error, 2 usage.`,
		Example: `  refline notify set team --project data/flows --slack-url-file slack.url
  refline notify set oncall --email oncall@example.com --on failure,recovery,waiting
  refline notify set hook --webhook-url-file url.txt --secret-file secret.txt`,
		RunE: func(cmd *cobra.Command, args []string) error {
			in := api.NotificationInput{Events: on, Email: email}
			for _, f := range []struct {
				file string
				to   **string
			}{{webhookFile, &in.WebhookURL}, {slackFile, &in.SlackURL}, {secretFile, &in.Secret}} {
				if f.file == "" {
					continue
				}
				text, err := ReadToken(e, f.file)
				if err != nil {
					return fmt.Errorf("%s: %w", f.file, err)
				}
				*f.to = &text
			}
			if templateFile != "" {
				text, err := e.Secrets().File(templateFile)
				if err != nil {
					return err
				}
				template := text.RevealString()
				in.Template = &template
			}
			get := func(ctx context.Context, c *api.Client) (api.Notification, error) {
				return c.SetNotification(ctx, o.project, args[0], in)
			}
			return cli.Ask(cmd, e, &o.QueryOptions, get, func(n api.Notification) error {
				test := "refline notify test " + n.Name
				if o.project != "" {
					test += " --project " + o.project
				}
				fmt.Fprintf(e.Stdout, "notification %s: %s to %s\nnext: %s\n", n.Name, strings.Join(n.Events, ", "), notifyTarget(n), test)
				return nil
			})
		},
	}
	o.bind(cmd)
	f := cmd.Flags()
	f.StringSliceVar(&on, "on", nil, "events: failure, recovery, waiting (default failure,recovery)")
	f.StringVar(&webhookFile, "webhook-url-file", "", "file with the address of a webhook, - for standard input")
	f.StringVar(&slackFile, "slack-url-file", "", "file with the address of a chat's incoming webhook, - for standard input")
	f.StringSliceVar(&email, "email", nil, "address of mail; repeatable")
	f.StringVar(&secretFile, "secret-file", "", "file with the secret that signs the messages to a webhook")
	f.StringVar(&templateFile, "template-file", "", "file with the text of the messages; an empty file for the default")
	f.BoolVar(&o.JSON, "json", false, "print as JSON")
	cmd.MarkFlagsMutuallyExclusive("webhook-url-file", "slack-url-file", "email")
	return cmd
}

func notifyTarget(n api.Notification) string {
	if n.Kind == "email" {
		return strings.Join(n.To, ", ")
	}
	return n.Kind + " at " + n.Host
}

func newNotifyListCmd(e *cli.Env) *cobra.Command {
	o := &notifyOptions{}
	cmd := &cobra.Command{
		Use: "list", Short: "List who is notified", Args: cli.NoArgs,
		Long:    "List who is notified of the runs of a project: its own notifications and those of all\nprojects. Of the address of a webhook only the host is shown.\n\nExit codes: 0 good, 1 error, 2 usage.",
		Example: "  refline notify list --project data/flows",
		RunE: func(cmd *cobra.Command, _ []string) error {
			get := func(ctx context.Context, c *api.Client) ([]api.Notification, error) {
				return c.Notifications(ctx, o.project)
			}
			return cli.Ask(cmd, e, &o.QueryOptions, get, func(list []api.Notification) error {
				if len(list) == 0 {
					e.Notef("no notifications; set one: refline notify set NAME --slack-url-file FILE")
					return nil
				}
				rows := [][]string{{"name", "project", "events", "to"}}
				for _, n := range list {
					project := n.Project
					if project == "" {
						project = "(all)"
					}
					rows = append(rows, []string{n.Name, project, strings.Join(n.Events, ","), notifyTarget(n)})
				}
				return e.PrintTable(rows)
			})
		},
	}
	o.bind(cmd)
	cmd.Flags().BoolVar(&o.JSON, "json", false, "print as JSON")
	return cmd
}

func newNotifyTestCmd(e *cli.Env) *cobra.Command {
	o := &notifyOptions{}
	cmd := &cobra.Command{
		Use: "test NAME", Short: "Send a sample", Args: cobra.ExactArgs(1),
		Long:    "Send a sample by a notification and print what came of it.\n\nExit codes: 0 the other side took it, 1 it did not, 2 usage.",
		Example: "  refline notify test team --project data/flows",
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := o.Connect(e)
			if err != nil {
				return err
			}
			if err := c.TestNotification(cmd.Context(), o.project, args[0]); err != nil {
				return err
			}
			fmt.Fprintf(e.Stdout, "sent a sample by %s\n", args[0])
			return nil
		},
	}
	o.bind(cmd)
	return cmd
}

func newNotifyRemoveCmd(e *cli.Env) *cobra.Command {
	o := &notifyOptions{}
	cmd := &cobra.Command{
		Use: "rm NAME", Short: "Remove a notification", Args: cobra.ExactArgs(1),
		Long:    "Remove a notification.\n\nExit codes: 0 good, 1 error, 2 usage.",
		Example: "  refline notify rm team --project data/flows",
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := o.Connect(e)
			if err != nil {
				return err
			}
			return c.RemoveNotification(cmd.Context(), o.project, args[0])
		},
	}
	o.bind(cmd)
	return cmd
}
