package main

import (
	"errors"
	"regexp"
	"strings"

	"github.com/spf13/cobra"
)

// strict makes every mistake in a command line a usage error: wrong arguments,
// and a word after a command that has only subcommands.
func strict(cmd *cobra.Command) {
	if args := cmd.Args; args != nil {
		cmd.Args = func(c *cobra.Command, words []string) error {
			err := args(c, words)
			var usage usageError
			if err == nil || errors.As(err, &usage) {
				return err
			}
			return usagef("%s: %v; see %s --help", c.CommandPath(), err, c.CommandPath())
		}
	}
	if cmd.HasSubCommands() && !cmd.Runnable() {
		cmd.Args = cobra.ArbitraryArgs
		cmd.RunE = func(c *cobra.Command, words []string) error {
			if len(words) == 0 {
				return c.Help()
			}
			var known []string
			for _, sub := range c.Commands() {
				known = append(known, sub.Name())
			}
			of := strings.TrimPrefix(c.CommandPath()+": ", c.Root().Name()+": ") // the root's name stands there anyway
			of = strings.TrimPrefix(of, c.Root().Name()+" ")
			return usagef("%sno command %q%s; see %s --help", of, words[0], didYouMean(words[0], known), c.CommandPath())
		}
	}
	if run := cmd.RunE; run != nil {
		cmd.RunE = func(c *cobra.Command, words []string) error {
			for _, name := range []string{"repo", "branch", "tag", "commit", "ref", "file", "event", "executor", "directory", "deploy-key"} {
				if f := c.Flags().Lookup(name); f != nil && f.Changed && f.Value.String() == "" {
					return usagef("--%s is empty; leave it out, or give it a value", name)
				}
			}
			return run(c, words)
		}
	}
	for _, sub := range cmd.Commands() {
		strict(sub)
	}
}

// commandLine recognises the library's own words for a wrong command line.
func commandLine(err error) error {
	if err == nil {
		return nil
	}
	text := err.Error()
	switch {
	case strings.HasPrefix(text, "unknown command "):
		return usageError{err}
	case strings.HasPrefix(text, "if any flags in the group ["):
		_, given, _ := strings.Cut(text, "; [")
		given, _, _ = strings.Cut(given, "]")
		return usagef("--%s exclude each other", strings.Join(strings.Fields(given), " and --"))
	}
	return err
}

// flagError says a flag's mistake without the words of the parser's code.
func flagError(err error) error {
	text := regexp.MustCompile(`: strconv\.\w+: parsing "[^"]*": (invalid syntax|value out of range)`).
		ReplaceAllString(err.Error(), ": that is no such number")
	return usagef("%s", text)
}
