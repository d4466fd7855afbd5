package remote

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"refline/internal/api"
	"refline/internal/cli"
	"refline/internal/errs"
)

// NewLoginCmd returns the command.
func NewLoginCmd(e *cli.Env) *cobra.Command {
	var tokenFile string
	cmd := &cobra.Command{
		Use:   "login URL",
		Short: "Sign in to a server",
		Long: `Sign in to a server: its token is asked for, or read from a file or standard input,
tried, and kept in a file that only you can read. Later commands speak to this
server. A server on this computer needs no sign-in.

Exit codes: 0 good, 1 the token or the server is not right, 2 usage.`,
		Example: `  refline login https://refline.example.com
  refline login https://refline.example.com --token-file token.txt
  pass show refline | refline login https://refline.example.com --token-file -`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			url := strings.TrimRight(args[0], "/")
			if _, err := api.NewClient(url, "", nil); err != nil {
				return err
			}
			token, err := ReadToken(e, tokenFile)
			if err != nil {
				return err
			}
			client, err := api.NewClient(url, token, nil)
			if err != nil {
				return err
			}
			if _, err := client.Projects(cmd.Context()); err != nil {
				return err
			}
			l, err := cli.ReadLogins(e)
			if err != nil {
				return err
			}
			l.Default, l.Tokens[client.URL()] = client.URL(), token
			if err := l.Write(e); err != nil {
				return err
			}
			fmt.Fprintf(e.Stdout, "signed in to %s\n", client.URL())
			return nil
		},
	}
	cmd.Flags().StringVar(&tokenFile, "token-file", "", "file with the token, - for standard input (default: ask)")
	return cmd
}

// NewLogoutCmd returns the command.
func NewLogoutCmd(e *cli.Env) *cobra.Command {
	return &cobra.Command{
		Use:     "logout [URL]",
		Short:   "Forget the token of a server",
		Long:    "Forget the token of a server, by default of the last one signed in to. The token\nstays valid on the server until it is revoked there.\n\nExit codes: 0 good, 1 not signed in, 2 usage.",
		Example: "  refline logout",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			l, err := cli.ReadLogins(e)
			if err != nil {
				return err
			}
			url := l.Default
			if len(args) > 0 {
				url = strings.TrimRight(args[0], "/")
			}
			if _, has := l.Tokens[url]; !has {
				return errs.E(errs.NotFound, "not signed in to %q", url)
			}
			delete(l.Tokens, url)
			if l.Default == url {
				l.Default = ""
			}
			return l.Write(e)
		},
	}
}

const maxToken = 16 << 10

// ReadToken takes a token from a file, standard input or a question.
func ReadToken(e *cli.Env, file string) (string, error) {
	var text []byte
	var err error
	switch {
	case file == "-":
		text, err = io.ReadAll(io.LimitReader(e.Stdin, maxToken))
	case file != "":
		text, err = os.ReadFile(e.Path(file))
	default:
		in, ok := e.Stdin.(*os.File)
		if !ok || !term.IsTerminal(int(in.Fd())) {
			return "", cli.Usagef("no token: there is no terminal to ask on; give --token-file FILE, or --token-file - and the token on standard input")
		}
		text, err = e.AskHidden(in, "token (not shown): ")
	}
	if err != nil {
		return "", err
	}
	token := strings.TrimSpace(string(text))
	if token == "" || len(token) >= maxToken || strings.ContainsAny(token, "\n\r \t") {
		return "", errs.E(errs.Invalid, "that is not a token: it is one word of one line")
	}
	return token, nil
}
