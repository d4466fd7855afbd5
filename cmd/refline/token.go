package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"refline/internal/api"
	"refline/internal/termview"
)

func newTokenCmd(e *env) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "token",
		Short: "Make and end the tokens by which programs speak to a server",
		Long: `Make and end the tokens by which programs speak to a server. A token has scopes:
  read     see projects, flows, runs and logs
  run      start, play, retry and cancel runs
  deploy   the same for protected refs, with their secrets
  write    change projects, flows, schedules and runtimes
  secret   set and remove variables and keys
  admin    tokens, runners and the audit, and all of the above

Exit codes: 0 good, 1 error, 2 usage.`,
		Example: "  refline token create ci --scope run --project data/flows --expires 90d\n  refline token list",
	}
	cmd.AddCommand(newTokenCreateCmd(e), newTokenListCmd(e), newTokenRemoveCmd(e))
	return cmd
}

func newTokenCreateCmd(e *env) *cobra.Command {
	o := &slotOptions{}
	in := api.TokenInput{}
	var expires string
	cmd := &cobra.Command{
		Use: "create NAME --scope SCOPE", Short: "Make a token for a program; it is printed once", Args: oneArg("NAME"),
		Long: `Make a token for a program. It is printed once, to standard output, and only its hash
is kept. NAME says where it is used.

Exit codes: 0 good, 1 error, 2 usage.`,
		Example: "  refline token create ci --scope run --project data/flows --expires 30d > token\n  refline token create backup --scope read,secret",
		RunE: func(cmd *cobra.Command, args []string) error {
			life, err := parseSpan(expires)
			if err != nil {
				return usagef("--expires %q: %v", expires, err)
			}
			in.Name, in.ExpiresSeconds = args[0], int64(life/time.Second)
			if len(in.Scopes) == 0 {
				return usagef("what may it do? --scope read, run, deploy, write, secret or admin; several with commas between")
			}
			c, err := o.connect(e)
			if err != nil {
				return err
			}
			return addToken(cmd, e, c, in, o.json)
		},
	}
	o.bind(cmd)
	f := cmd.Flags()
	f.StringSliceVar(&in.Scopes, "scope", nil, "what it may do: read, run, deploy, write, secret, admin")
	f.StringVar(&in.Project, "project", "", "the only project that it sees (default all)")
	f.StringVar(&expires, "expires", "90d", "how long it is good for, as 12h or 90d; at most a year")
	return cmd
}

// addToken makes a token and prints it.
func addToken(cmd *cobra.Command, e *env, c *api.Client, in api.TokenInput, asJSON bool) error {
	t, err := c.AddToken(cmd.Context(), in)
	if err != nil {
		return err
	}
	if asJSON {
		return e.printJSON(t)
	}
	fmt.Fprintln(e.stdout, t.Text)
	e.notef("token %d %s; it is shown this once. To end it: refline token rm %d", t.ID, termview.Plain(t.Name), t.ID)
	return nil
}

func newTokenListCmd(e *env) *cobra.Command {
	o := &slotOptions{}
	cmd := &cobra.Command{
		Use: "list", Short: "List the tokens, without their text", Args: noArgs,
		Long:    "List the tokens of programs, runners, browsers and the owner, without their text.\n\nExit codes: 0 good, 1 error, 2 usage.",
		Example: "  refline token list",
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := o.connect(e)
			if err != nil {
				return err
			}
			list, err := c.Tokens(cmd.Context())
			if err != nil {
				return err
			}
			if o.json {
				return e.printJSON(list)
			}
			rows := [][]string{{"token", "kind", "name", "may", "project", "expires", "used"}}
			for _, t := range list {
				used := "never"
				if !t.Used.IsZero() {
					used = ago(t.Used)
				}
				rows = append(rows, []string{fmt.Sprint(t.ID), tokenKind(t), t.Name, tokenPowers(t), t.Project, expiryText(t.Expires), used})
			}
			return e.printTable(rows)
		},
	}
	o.bind(cmd)
	return cmd
}

func tokenKind(t api.Token) string {
	if t.Kind == "api" {
		return "program"
	}
	return t.Kind
}

func tokenPowers(t api.Token) string {
	switch {
	case t.Kind == "owner":
		return "all"
	case t.Kind == "runner" && len(t.Tags) == 0:
		return "jobs without tags"
	case t.Kind == "runner":
		return "jobs with tags " + strings.Join(t.Tags, ", ")
	}
	return strings.Join(t.Scopes, ", ")
}

func expiryText(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return t.Local().Format("2006-01-02 15:04")
}

func newTokenRemoveCmd(e *env) *cobra.Command {
	o := &connectOptions{}
	cmd := &cobra.Command{
		Use: "rm TOKEN", Short: "End a token at once", Args: oneArg("TOKEN"),
		Long:    "End a token by its number, at once, with the sessions that were made by it.\n\nExit codes: 0 good, 1 no such token, 2 usage.",
		Example: "  refline token rm 12",
		RunE: func(cmd *cobra.Command, args []string) error {
			if strings.HasPrefix(args[0], "rfl_") {
				return usagef("a token on the command line shows in process lists, so that one should be ended; give its number: refline token list")
			}
			id, err := idArg("token", args[0])
			if err != nil {
				return err
			}
			c, err := o.connect(e)
			if err != nil {
				return err
			}
			return c.RemoveToken(cmd.Context(), id)
		},
	}
	o.bind(cmd)
	return cmd
}
