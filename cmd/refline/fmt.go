package main

import (
	"fmt"
	"io"
	"strconv"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"refline/internal/cli"
	"refline/internal/diag"
	"refline/internal/jsonnet"
	"refline/internal/jsonnetfile"
	"refline/internal/localpipeline"
)

func newFmtCmd(e *cli.Env) *cobra.Command {
	o := &fmtOptions{style: jsonnet.DefaultStyle()}
	cmd := &cobra.Command{
		Use:   "fmt [FILE…]",
		Short: "Format Jsonnet files in place",
		Long: `Format Jsonnet files in place, as jsonnetfmt does; - is stdin to stdout. A folder
means every .jsonnet and .libsonnet file below it but for vendor folders. Without
FILE the current folder is meant. With --check nothing is written. The flags of
style are those of jsonnetfmt.

Exit codes: 0 good, 1 a file cannot be read or, with --check, is not formatted,
2 usage.`,
		Example: "  refline fmt\n  refline fmt --check stacks/",
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				args = []string{"."}
			}
			return runFmt(e, o, args)
		},
	}
	f := cmd.Flags()
	f.BoolVar(&o.check, "check", false, "name the files that are not formatted, and fail")
	f.IntVarP(&o.style.Indent, "indent", "n", o.style.Indent, "spaces to indent by; 0 leaves them")
	f.IntVar(&o.style.MaxBlankLines, "max-blank-lines", o.style.MaxBlankLines, "at most this many blank lines; 0 leaves them")
	f.StringVar(&o.style.Strings, "string-style", o.style.Strings, "quotes: d double, s single, l leave")
	f.StringVar(&o.style.Comments, "comment-style", o.style.Comments, "comments: h #, s //, l leave")
	f.BoolVar(&o.style.PadArrays, "pad-arrays", o.style.PadArrays, "[ 1, 2 ] instead of [1, 2]")
	f.BoolVar(&o.style.PadObjects, "pad-objects", o.style.PadObjects, "{ x: 1 } instead of {x: 1}")
	f.BoolVar(&o.style.PrettyFields, "pretty-field-names", o.style.PrettyFields, "field names and indexes in their short form")
	f.BoolVar(&o.style.SortImports, "sort-imports", o.style.SortImports, "sort the imports at the top")
	f.BoolVar(&o.style.ImplicitPlus, "use-implicit-plus", o.style.ImplicitPlus, "no plus sign where none is needed")
	for _, name := range []string{"pretty-field-names", "pad-arrays", "pad-objects", "sort-imports", "use-implicit-plus"} {
		f.Var(negation{f.Lookup(name)}, "no-"+name, "the same as --"+name+"=false")
		f.Lookup("no-"+name).NoOptDefVal, f.Lookup("no-"+name).Hidden = "true", true
	}
	return cmd
}

type fmtOptions struct {
	check bool
	style jsonnet.Style
}

// negation is a flag that switches another off.
type negation struct{ of *pflag.Flag }

func (n negation) String() string { return "" }

func (n negation) Type() string { return "bool" }

func (n negation) Set(text string) error {
	on, err := strconv.ParseBool(text)
	if err != nil {
		return err
	}
	return n.of.Value.Set(strconv.FormatBool(!on))
}

func runFmt(e *cli.Env, o *fmtOptions, args []string) error {
	if len(args) == 1 && args[0] == "-" {
		src, err := io.ReadAll(e.Stdin)
		if err != nil {
			return err
		}
		out, err := jsonnet.Format("<stdin>", string(src), o.style)
		if err != nil {
			return err
		}
		_, err = io.WriteString(e.Stdout, out)
		return err
	}
	files, err := jsonnetfile.Find(e.Dir, args)
	if err != nil {
		return err
	}
	unformatted := false
	var broken diag.List
	for _, file := range files {
		changed, err := jsonnetfile.Format(e.Dir, file, o.style, o.check)
		if err != nil {
			broken = append(broken, localpipeline.Unreadable(file, err)...) // the others are formatted all the same
		}
		if changed {
			fmt.Fprintln(e.Stdout, file)
		}
		unformatted = unformatted || changed
	}
	if len(broken) > 0 {
		return broken.Err()
	}
	if o.check && unformatted {
		return cli.ErrShown
	}
	return nil
}
