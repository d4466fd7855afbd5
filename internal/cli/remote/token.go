package remote

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"refline/internal/api"
	"refline/internal/cli"
)

// NewTokenCmd returns the command.
func NewTokenCmd(e *cli.Env) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "token",
		Short: "Make, list and revoke the tokens of a server",
		Long: `Make, list and revoke the tokens with which programs speak to a server. A token is
shown once, when it is made; the server keeps only a hash of it.

Exit codes: 0 good, 1 error, 2 usage.`,
		Example: "  refline token create nightly --scope run --project data/flows --expires 90d > token.txt\n  refline token list",
	}
	cmd.AddCommand(newTokenCreateCmd(e), newTokenListCmd(e, false), newTokenRevokeCmd(e))
	return cmd
}

// newRunnerTokenCmd is the same for runners.
func newRunnerTokenCmd(e *cli.Env) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "token",
		Short: "Make, list and revoke tokens for runners",
		Long: `Make, list and revoke the tokens with which runners take jobs. Such a token opens
nothing else. It says which tags a runner may have.

Exit codes: 0 good, 1 error, 2 usage.`,
		Example: "  refline runner token create gpu-box --tags gpu,docker > runner-token\n  refline runner token list",
	}
	cmd.AddCommand(newRunnerTokenCreateCmd(e), newTokenListCmd(e, true), newTokenRevokeCmd(e))
	return cmd
}

func newTokenCreateCmd(e *cli.Env) *cobra.Command {
	o := cli.ConnectOptions{}
	in := api.TokenInput{}
	var expires string
	cmd := &cobra.Command{
		Use: "create NAME --scope SCOPE…", Short: "Make a token for a program, and print it", Args: cli.OneArg("NAME"),
		Long: `Make a token for a program, and print it: the only time that it can be seen. NAME
says where it is used.

  read     see projects, flows, runs and logs
  run      start, play, retry and cancel runs; those that it starts get no protected
           variables and keys
  deploy   the same, and runs of protected refs get what is protected
  write    change projects, flows, schedules and runtimes
  secret   set and remove variables and keys; no token can see a value
  admin    all of that, and tokens, runners and the audit

Exit codes: 0 good, 1 error, 2 usage.`,
		Example: `  refline token create nightly --scope run --project data/flows > token.txt
  refline token create ci --scope deploy --scope write --expires 365d`,
		RunE: func(cmd *cobra.Command, args []string) error {
			life, err := parseLife(expires)
			if err != nil {
				return err
			}
			if len(in.Scopes) == 0 {
				return cli.Usagef("say what the token may do: --scope read, run, deploy, write, secret or admin")
			}
			in.Name, in.Hours = args[0], int64(life/time.Hour)
			return createToken(cmd, e, o, in)
		},
	}
	o.Bind(cmd)
	f := cmd.Flags()
	f.StringSliceVar(&in.Scopes, "scope", nil, "what it may do: read, run, deploy, write, secret, admin; repeatable")
	f.StringVar(&in.Project, "project", "", "the only project that it sees (default all)")
	f.StringVar(&expires, "expires", "90d", "after how long it ends, as 12h or 90d; at most 366d")
	return cmd
}

func newRunnerTokenCreateCmd(e *cli.Env) *cobra.Command {
	o := cli.ConnectOptions{}
	in := api.TokenInput{Runner: true}
	cmd := &cobra.Command{
		Use: "create NAME [--tags TAGS] [--protected]", Short: "Make a token for a runner, and print it", Args: cli.OneArg("NAME"),
		Long: `Make a token for a runner, and print it: the only time that it can be seen. It does
not end until it is revoked. Without --tags the runner takes jobs without tags.

Exit codes: 0 good, 1 error, 2 usage.`,
		Example: `  refline runner token create gpu-box --tags gpu,docker > runner-token
  refline runner token create deployer --tags deploy --protected`,
		RunE: func(cmd *cobra.Command, args []string) error {
			in.Name = args[0]
			return createToken(cmd, e, o, in)
		},
	}
	o.Bind(cmd)
	f := cmd.Flags()
	f.StringSliceVar(&in.Tags, "tags", nil, "tags that the runner may have; * for any")
	f.BoolVar(&in.Protected, "protected", false, "it takes jobs of protected refs only")
	return cmd
}

// createToken prints the token alone to standard output, so that it can be kept in
// a file without being seen.
func createToken(cmd *cobra.Command, e *cli.Env, o cli.ConnectOptions, in api.TokenInput) error {
	client, err := o.Connect(e)
	if err != nil {
		return err
	}
	made, err := client.AddToken(cmd.Context(), in)
	if err != nil {
		return err
	}
	ends := "until it is revoked"
	if made.Expires != nil {
		ends = "until " + made.Expires.Local().Format("2006-01-02 15:04")
	}
	e.Notef("token %d for %s, good %s; it is not shown again", made.ID, made.Name, ends)
	_, err = fmt.Fprintln(e.Stdout, made.Text)
	return err
}

// parseLife reads how long a token is good.
func parseLife(text string) (time.Duration, error) {
	d, err := parseSpan(text)
	if err != nil || d < time.Hour || d > 366*24*time.Hour {
		return 0, cli.Usagef("--expires %q is not a time from 1h to 366d", text)
	}
	return d, nil
}

func newTokenListCmd(e *cli.Env, runners bool) *cobra.Command {
	o := cli.ConnectOptions{}
	var asJSON bool
	what, of := "tokens that work, and browsers that are signed in", "token"
	if runners {
		what, of = "tokens of runners", "runner token"
	}
	cmd := &cobra.Command{
		Use: "list", Short: "List the " + what, Args: cli.NoArgs,
		Long:    "List the " + what + ". The tokens themselves are not kept.\n\nExit codes: 0 good, 1 error, 2 usage.",
		Example: "  refline " + of + " list\n  refline " + of + " list --json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := o.Connect(e)
			if err != nil {
				return err
			}
			all, err := client.Tokens(cmd.Context())
			if err != nil {
				return err
			}
			list := []api.Token{}
			for _, t := range all {
				if (t.Kind == "runner") == runners {
					list = append(list, t)
				}
			}
			if asJSON {
				return e.PrintJSON(list)
			}
			return printTokens(e, list)
		},
	}
	o.Bind(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print as JSON")
	return cmd
}

func printTokens(e *cli.Env, list []api.Token) error {
	if len(list) == 0 {
		e.Notef("no tokens")
		return nil
	}
	rows := [][]string{{"id", "kind", "name", "may", "project", "expires", "used"}}
	for _, t := range list {
		may := strings.Join(append(t.Scopes, t.Tags...), ",")
		if t.Protected {
			may += " protected"
		}
		expires, used := "", "never"
		if t.Expires != nil {
			expires = t.Expires.Local().Format("2006-01-02 15:04")
		}
		if t.Used != nil {
			used = cli.Ago(*t.Used)
		}
		rows = append(rows, []string{strconv.FormatInt(t.ID, 10), t.Kind, t.Name, may, t.Project, expires, used})
	}
	return e.PrintTable(rows)
}

func newTokenRevokeCmd(e *cli.Env) *cobra.Command {
	o := cli.ConnectOptions{}
	cmd := &cobra.Command{
		Use: "revoke ID", Aliases: []string{"rm"}, Short: "End a token at once", Args: cli.OneArg("ID"),
		Long:    "End a token at once, and the browser sessions that were begun with it. The list\nshows the ids.\n\nExit codes: 0 good, 1 error, 2 usage.",
		Example: "  refline token revoke 12",
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := strconv.ParseInt(args[0], 10, 64)
			if err != nil || id <= 0 {
				if strings.HasPrefix(args[0], "rfl_") {
					return cli.Usagef("give the id of the token, not the token: process lists show it; refline token list prints the ids")
				}
				return cli.Usagef("%q is not the id of a token; refline token list prints them", args[0])
			}
			client, err := o.Connect(e)
			if err != nil {
				return err
			}
			return client.RevokeToken(cmd.Context(), id)
		},
	}
	o.Bind(cmd)
	return cmd
}
