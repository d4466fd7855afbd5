package cli

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"refline/internal/errs"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Strict makes every mistake in a command line a usage error: wrong arguments,
// and a word after a command that has only subcommands.
func Strict(cmd *cobra.Command) {
	if args := cmd.Args; args != nil {
		cmd.Args = func(c *cobra.Command, words []string) error {
			err := args(c, words)
			var usage errs.UsageError
			if err == nil || errors.As(err, &usage) {
				return err
			}
			return Usagef("%s%v; see %s --help", ofCommand(c), err, c.CommandPath())
		}
	}
	if cmd.HasSubCommands() && !cmd.Runnable() {
		cmd.Args = cobra.ArbitraryArgs
		cmd.RunE = func(c *cobra.Command, words []string) error {
			if len(words) == 0 {
				return c.Help()
			}
			return Usagef("%sno command %q%s; see %s --help", ofCommand(c), words[0], nearCommand(c, words[0]), c.CommandPath())
		}
	}
	if run := cmd.RunE; run != nil {
		cmd.RunE = func(c *cobra.Command, words []string) error {
			for _, name := range []string{"repo", "branch", "tag", "commit", "ref", "file", "event", "executor", "directory", "deploy-key"} {
				if f := c.Flags().Lookup(name); f != nil && f.Changed && f.Value.String() == "" {
					return Usagef("--%s is empty; leave it out, or give it a value", name)
				}
			}
			return run(c, words)
		}
	}
	for _, sub := range cmd.Commands() {
		Strict(sub)
	}
}

// nearCommand suggests a subcommand for a word that is none.
func nearCommand(c *cobra.Command, word string) string {
	var known []string
	for _, sub := range c.Commands() {
		if sub.IsAvailableCommand() {
			known = append(append(known, sub.Name()), sub.Aliases...)
		}
	}
	return DidYouMean(word, known)
}

// OneGrammar gives every noun the same verbs, and the names that people guess.
func OneGrammar(cmd *cobra.Command) {
	names := map[string]bool{}
	for _, sub := range cmd.Commands() {
		names[sub.Name()] = true
	}
	for _, sub := range cmd.Commands() {
		if sub.Name() == "show" && cmd.HasParent() && !names["list"] {
			sub.Aliases = append(sub.Aliases, "list", "ls") // without a name it lists
		}
		for _, alias := range map[string][]string{
			"rm": {"remove", "delete"}, "revoke": {"rm"}, "delete": {"rm", "remove"}, "list": {"ls"}, "lint": {"validate"}, "log": {"logs"}, "new": {"create"},
		}[sub.Name()] {
			if !names[alias] {
				sub.Aliases = append(sub.Aliases, alias)
			}
		}
		OneGrammar(sub)
	}
}

// CommandLine recognises the library's own words for a wrong command line.
func CommandLine(err error) error {
	if err == nil {
		return nil
	}
	text := err.Error()
	switch {
	case strings.HasPrefix(text, "unknown command "):
		return Usagef("%w", err)
	case strings.HasPrefix(text, "if any flags in the group ["):
		_, given, _ := strings.Cut(text, "; [")
		given, _, _ = strings.Cut(given, "]")
		return Usagef("--%s exclude each other", strings.Join(strings.Fields(given), " and --"))
	}
	return err
}

// FlagError reports a flag's mistake without the words of the parser's code, and
// names the flag that may be meant.
func FlagError(c *cobra.Command, err error) error {
	var unknown *pflag.NotExistError
	if errors.As(err, &unknown) && len(unknown.GetSpecifiedName()) > 1 {
		var known []string
		c.Flags().VisitAll(func(f *pflag.Flag) {
			if !f.Hidden {
				known = append(known, "--"+f.Name)
			}
		})
		name := "--" + unknown.GetSpecifiedName()
		near := DidYouMean(name, known)
		if near == "" && c.ValidArgsFunction != nil { // it takes names of jobs
			near = fmt.Sprintf("; for a job of this name: %s -- %s", c.CommandPath(), name)
		}
		return Usagef("%sunknown flag: %s%s; see %s --help", ofCommand(c), name, near, c.CommandPath())
	}
	text := err.Error()
	for _, p := range []struct{ pattern, with string }{
		{`: strconv\.ParseBool: parsing "[^"]*": invalid syntax`, ": want true, false or no value"},
		{`: strconv\.\w+: parsing "[^"]*": (invalid syntax|value out of range)`, ": not a number"},
		{`^unknown shorthand flag: '(.)' in .*`, "unknown flag: -$1"},
	} {
		text = regexp.MustCompile(p.pattern).ReplaceAllString(text, p.with)
	}
	return Usagef("%s%s; see %s --help", ofCommand(c), text, c.CommandPath())
}

// ofCommand begins a message about a command line with the command's name;
// the program's own name begins every message.
func ofCommand(c *cobra.Command) string {
	if !c.HasParent() {
		return ""
	}
	return strings.TrimPrefix(c.CommandPath(), c.Root().Name()+" ") + ": "
}

// NewHelpCmd is the help of a command, by its name.
func NewHelpCmd() *cobra.Command {
	return &cobra.Command{
		Use:     "help [COMMAND]",
		Short:   "Show the help of a command",
		Long:    "Show the help of a command.\n\nExit codes: 0 good, 2 no such command.",
		Example: "  refline help run",
		RunE: func(cmd *cobra.Command, words []string) error {
			c := cmd.Root()
			for _, word := range words {
				next, _, err := c.Find([]string{word})
				if err != nil || next == c {
					return Usagef("help: %sno command %q%s; see %s --help", ofCommand(c), word, nearCommand(c, word), c.CommandPath())
				}
				c = next
			}
			c.InitDefaultHelpFlag()
			return c.Help()
		},
	}
}
