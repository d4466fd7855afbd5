package main

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"refline/internal/cfn"
	"refline/internal/errs"
	"refline/internal/inputfile"
	"refline/internal/jsonnet"
)

type renderOptions struct {
	jsonnetFlags
	exec       bool
	output     string
	multi      string
	stream     bool
	text       bool
	noNewline  bool
	createDirs bool
	expand     bool
	watch      bool
}

func newRenderCmd(e *env) *cobra.Command {
	o := &renderOptions{}
	cmd := &cobra.Command{
		Use:   "render FILE",
		Short: "Evaluate Jsonnet, byte for byte as the jsonnet command does",
		Long: `Evaluate a Jsonnet file, or stdin for -, with the flags of the jsonnet command
and the same bytes out. Libraries in the vendor folder beside a jsonnetfile.json
are found without a flag. YAML and JSON files pass through as they are; with
--expand YAML becomes JSON, with the short forms of CloudFormation (!Ref, !Sub)
written in full. With --watch it renders again on each save of a file that was
read, and checks what is a CloudFormation template as refline stack lint does.

Exit codes: 0 good, 1 the program has an error, 2 usage.`,
		Example: `  refline render template.jsonnet -o template.json
  refline render -V environment=dev -J lib template.jsonnet
  refline render template.jsonnet -o template.json --watch
  refline render template.yml --expand`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usagef("render wants one FILE, or - for stdin")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			for _, name := range []string{"jpath", "output", "output-file", "multi"} {
				if f := cmd.Flags().Lookup(name); f.Changed && (f.Value.String() == "" || f.Value.String() == "[]" || f.Value.String() == `[""]`) {
					return usagef("--%s is empty; leave it out, or give it a value", name)
				}
			}
			return runRender(cmd.Context(), e, o, args[0])
		},
	}
	o.bind(e, cmd)
	f := cmd.Flags()
	f.BoolVarP(&o.exec, "exec", "e", false, "FILE is the code itself")
	f.StringVarP(&o.output, "output", "o", "", "write to this file; with --multi the list of files")
	f.StringVar(&o.output, "output-file", "", "the same as --output")
	f.StringVarP(&o.multi, "multi", "m", "", "write each field of the result to a file in this folder")
	f.BoolVarP(&o.createDirs, "create-output-dirs", "c", false, "make the folders of what is written")
	f.BoolVarP(&o.stream, "yaml-stream", "y", false, "write an array as a YAML stream")
	f.BoolVarP(&o.text, "string", "S", false, "the result is a text; write it as it is")
	f.BoolVar(&o.noNewline, "no-trailing-newline", false, "no newline after the result")
	f.BoolVar(&o.expand, "expand", false, "write a YAML file as JSON, its short forms in full")
	f.BoolVar(&o.watch, "watch", false, "render and check again whenever a file that was read changes")
	cmd.MarkFlagsMutuallyExclusive("output", "output-file")
	return cmd
}

func runRender(ctx context.Context, e *env, o *renderOptions, file string) error {
	in, err := o.input(e, file)
	if err != nil {
		return err
	}
	switch {
	case o.stream && o.noNewline:
		return usagef("a YAML stream always ends with a newline; leave out --no-trailing-newline")
	case o.watch && (o.exec || file == "-"):
		return usagef("--watch needs a FILE")
	case o.expand && !o.passes(file):
		return usagef("--expand is for YAML and JSON files")
	case o.exec:
		in.File, in.Snippet, in.Name = "", file, "<cmdline>"
	case file == "-":
		data, err := io.ReadAll(e.stdin)
		if err != nil {
			return err
		}
		in.File, in.Snippet, in.Name = "", string(data), "<stdin>"
	}
	in.Output, in.NoTrailingNewline = o.form(), o.noNewline
	if o.watch {
		return watchRender(ctx, e, o, in)
	}
	res, err := o.render(ctx, in)
	if err != nil {
		return err
	}
	return o.write(e, res)
}

func (o *renderOptions) form() jsonnet.Output {
	switch {
	case o.multi != "" && o.text:
		return jsonnet.MultiString
	case o.multi != "":
		return jsonnet.Multi
	case o.stream:
		return jsonnet.Stream
	case o.text:
		return jsonnet.String
	}
	return jsonnet.JSON
}

// passes reports whether a file is no Jsonnet, and goes through as it is.
func (o *renderOptions) passes(file string) bool {
	if o.exec {
		return false
	}
	switch strings.ToLower(path.Ext(file)) {
	case ".yml", ".yaml", ".json", ".template":
		return true
	}
	return false
}

func (o *renderOptions) render(ctx context.Context, in jsonnet.Input) (jsonnet.Result, error) {
	if in.File == "" || !o.passes(in.File) {
		return jsonnet.Evaluate(ctx, in)
	}
	res := jsonnet.Result{Sources: []string{in.File}}
	text, err := in.Read(in.File)
	if err != nil {
		return res, errs.E(errs.NotFound, "%s: %w", in.File, inputfile.Pathless(err))
	}
	tree, err := cfn.Parse(in.File, text)
	if err != nil {
		return res, err
	}
	if o.expand {
		text = tree.Root.JSON()
	}
	res.Text = string(text)
	return res, nil
}

// write puts a result where the flags say.
func (o *renderOptions) write(e *env, res jsonnet.Result) error {
	if o.multi == "" {
		return o.writeTo(e, o.output, res.Text)
	}
	var list strings.Builder
	for _, f := range res.Files {
		name := strings.TrimLeft(path.Clean(filepath.ToSlash(f.Name)), "/") // a name is below the folder, as jsonnet has it
		if !filepath.IsLocal(name) {
			return errs.E(errs.Invalid, "the result names a file outside of the folder: %s", f.Name)
		}
		name = filepath.Join(o.multi, name)
		list.WriteString(name + "\n")
		// A file that is as it should be keeps its time: others look at that.
		if have, err := os.ReadFile(e.path(name)); err == nil && string(have) == f.Text {
			continue
		}
		if err := o.writeTo(e, name, f.Text); err != nil {
			return err
		}
	}
	return o.writeTo(e, o.output, list.String())
}

func (o *renderOptions) writeTo(e *env, file, text string) error {
	if file == "" || file == "-" {
		_, err := io.WriteString(e.stdout, text)
		return err
	}
	if o.createDirs {
		if err := os.MkdirAll(filepath.Dir(e.path(file)), 0o755); err != nil {
			return err
		}
	}
	err := os.WriteFile(e.path(file), []byte(text), 0o644)
	if errors.Is(err, fs.ErrNotExist) {
		return errs.E(errs.NotFound, "%s: no such folder; make it, or give --create-output-dirs", filepath.Dir(file))
	}
	return err
}
