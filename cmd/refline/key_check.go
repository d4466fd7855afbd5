package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"refline/internal/cli"
	"refline/internal/credential"
	"refline/internal/forge"
	"refline/internal/termview"
)

// bindKeySource adds the flags that say where a private key comes from.
func bindKeySource(cmd *cobra.Command, file, fromEnv *string) {
	f := cmd.Flags()
	f.StringVar(file, "key-file", "", "the private key is in this file (\"-\": standard input)")
	f.StringVar(fromEnv, "key-env", "", "the private key is in this variable (whole, in one line, in the file that it names, or split into NAME_1, NAME_2, …)")
	cmd.MarkFlagsMutuallyExclusive("key-file", "key-env")
	_ = cmd.MarkFlagFilename("key-file")
}

func newKeyCheckCmd(e *cli.Env) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "check FILE…",
		Short: "Show what a private key is and how a CI variable can hold it",
		Long: `Show what a private key ("-": from standard input) is, whether its text is whole,
whether GitLab would mask it, and the ways out.

Exit codes: 0 every key can be read, 1 one cannot, 2 usage.`,
		Example: "  refline key check deploy_key",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return cli.Usagef("no file of a private key is named")
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error {
			var bad []error
			all := []credential.CheckedKey{}
			for _, file := range args {
				k, err := checkKey(e, file)
				if err != nil {
					bad = append(bad, err)
					continue
				}
				all = append(all, k)
				if !asJSON {
					printKey(e, &k)
				}
			}
			if asJSON {
				if err := e.PrintJSON(all); err != nil {
					return err
				}
			}
			return errors.Join(bad...)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print as JSON")
	return cmd
}

func checkKey(e *cli.Env, file string) (credential.CheckedKey, error) {
	text, err := e.Secrets().KeyText(file, "")
	if err != nil {
		return credential.CheckedKey{}, err
	}
	return credential.CheckKey(file, text, forge.GitLabMaskable(string(text), false))
}

func printKey(e *cli.Env, c *credential.CheckedKey) {
	kind, phrase := c.Type, "no passphrase"
	if c.Passphrase {
		kind, phrase = "type hidden", "with a passphrase"
	}
	fmt.Fprintf(e.Stdout, "%s: %s, %s, %s, %s\n", c.File, kind, c.Format, termview.Count(c.Lines, "line"), phrase)
	for _, m := range c.Mended {
		fmt.Fprintf(e.Stdout, "  %s; refline mends this, ssh does not\n", m)
	}
	if c.Passphrase {
		fmt.Fprintf(e.Stdout, "  a job cannot type a passphrase: refline asks for it, or takes it from a variable (NAME_PASSPHRASE); or make a key without one: refline key new NAME --repo URL\n")
		return
	}
	if c.Maskable {
		fmt.Fprintf(e.Stdout, "  GitLab can mask it as it is\n")
		return
	}
	fmt.Fprintf(e.Stdout, "  GitLab cannot mask it as it is: %s (a masked variable is one line of A–Z a–z 0–9 and _ + = / @ : . ~ -)\n", c.Reason)
	fmt.Fprintf(e.Stdout, "  ways out\n")
	file := termview.ShellWord(c.File)
	perLine := fmt.Sprintf("%s, all long enough to mask", termview.Count(c.Lines, "variable"))
	if len(c.ShortLines) > 0 {
		perLine = shortLine(c)
	}
	for _, row := range termview.Align([][]string{
		{"one variable", "refline key split --one-line " + file, fmt.Sprintf("(%d characters in one line, maskable)", c.OneLine)},
		{"one per line", "refline key split " + file, "(" + perLine + ")"},
	}) {
		fmt.Fprintf(e.Stdout, "    %s\n", row)
	}
	fmt.Fprintf(e.Stdout, "    no variable   refline agent: the job uses the key but never holds it\n")
}

// shortLine says which line is too short and which comments would avoid it.
func shortLine(c *credential.CheckedKey) string {
	n := c.ShortLines[0]
	length := len(c.Key.Lines[n-1])
	text := fmt.Sprintf("line %d has %s: too short to mask", n, termview.Count(length, "character"))
	if len(c.Comments) > 0 {
		text += fmt.Sprintf("; give the key a comment of %s characters: ssh-keygen -c -f %s", joinOr(c.Comments), termview.ShellWord(c.File))
	}
	return text
}

// joinOr gives "a", "a or b", "a, b or c".
func joinOr(list []string) string {
	if len(list) < 2 {
		return strings.Join(list, "")
	}
	last := len(list) - 1
	return strings.Join(list[:last], ", ") + " or " + list[last]
}
