package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"refline/internal/diag"
	"refline/internal/errs"
	"refline/internal/inputfile"
	"refline/internal/jsonnet"
	"refline/internal/localpipeline"
)

func newFmtCmd(e *env) *cobra.Command {
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

func runFmt(e *env, o *fmtOptions, args []string) error {
	if len(args) == 1 && args[0] == "-" {
		src, err := io.ReadAll(e.stdin)
		if err != nil {
			return err
		}
		out, err := jsonnet.Format("<stdin>", string(src), o.style)
		if err != nil {
			return err
		}
		_, err = io.WriteString(e.stdout, out)
		return err
	}
	files, err := jsonnetFiles(e, args)
	if err != nil {
		return err
	}
	unformatted := false
	var broken diag.List
	for _, file := range files {
		changed, err := formatFile(e, file, o)
		if err != nil {
			broken = append(broken, localpipeline.Unreadable(file, err)...) // the others are formatted all the same
		}
		if changed {
			fmt.Fprintln(e.stdout, file)
		}
		unformatted = unformatted || changed
	}
	if len(broken) > 0 {
		return broken.Err()
	}
	if o.check && unformatted {
		return errShown
	}
	return nil
}

// jsonnetFiles are the files named, and those below the folders named.
func jsonnetFiles(e *env, args []string) ([]string, error) {
	var files []string
	for _, arg := range args {
		info, err := os.Stat(e.path(arg))
		if err != nil {
			return nil, errs.E(errs.NotFound, "%s: %w", arg, inputfile.Pathless(err))
		}
		if !info.IsDir() {
			files = append(files, arg)
			continue
		}
		err = filepath.WalkDir(e.path(arg), func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			if d.IsDir() && (d.Name() == "vendor" || d.Name() == ".git") {
				return filepath.SkipDir
			}
			if ext := filepath.Ext(path); d.Type().IsRegular() && (ext == ".jsonnet" || ext == ".libsonnet") {
				rel, err := filepath.Rel(e.dir, path)
				if err != nil {
					return err
				}
				files = append(files, rel)
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return files, nil
}

// formatFile tells whether a file was not formatted, and writes it unless only
// asked.
func formatFile(e *env, file string, o *fmtOptions) (changed bool, err error) {
	path := e.path(file)
	src, err := os.ReadFile(path)
	if err != nil {
		return false, errs.E(errs.NotFound, "%s: %w", file, inputfile.Pathless(err))
	}
	out, err := jsonnet.Format(file, string(src), o.style)
	if err != nil {
		return false, err
	}
	if bytes.Equal(src, []byte(out)) {
		return false, nil
	}
	if filepath.Ext(file) == ".json" && json.Valid(src) && !json.Valid([]byte(out)) {
		return false, errs.E(errs.Invalid, "it is JSON, and would be none in this style; left as it is")
	}
	if o.check {
		return true, nil
	}
	info, err := os.Stat(path)
	if err != nil {
		return false, err
	}
	if err := os.WriteFile(path+".new", []byte(out), info.Mode().Perm()); err != nil {
		return false, err
	}
	return true, os.Rename(path+".new", path)
}
