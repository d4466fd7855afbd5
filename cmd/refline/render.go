package main

import (
	"context"
	"io"

	"refline/internal/jsonnetfile"

	"github.com/spf13/cobra"
	"refline/internal/cli"
)

type renderOptions struct {
	jsonnetFlags
	jsonnetfile.Render
	exec      bool
	noNewline bool
	watch     bool
}

func newRenderCmd(e *cli.Env) *cobra.Command {
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
				return cli.Usagef("render wants one FILE, or - for stdin")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			for _, name := range []string{"jpath", "output", "output-file", "multi"} {
				if f := cmd.Flags().Lookup(name); f.Changed && (f.Value.String() == "" || f.Value.String() == "[]" || f.Value.String() == `[""]`) {
					return cli.Usagef("--%s is empty; leave it out, or give it a value", name)
				}
			}
			return runRender(cmd.Context(), e, o, args[0])
		},
	}
	o.bind(e, cmd)
	f := cmd.Flags()
	f.BoolVarP(&o.exec, "exec", "e", false, "FILE is the code itself")
	f.StringVarP(&o.Output, "output", "o", "", "write to this file; with --multi the list of files")
	f.StringVar(&o.Output, "output-file", "", "the same as --output")
	f.StringVarP(&o.Multi, "multi", "m", "", "write each field of the result to a file in this folder")
	f.BoolVarP(&o.CreateDirs, "create-output-dirs", "c", false, "make the folders of what is written")
	f.BoolVarP(&o.Stream, "yaml-stream", "y", false, "write an array as a YAML stream")
	f.BoolVarP(&o.Text, "string", "S", false, "the result is a text; write it as it is")
	f.BoolVar(&o.noNewline, "no-trailing-newline", false, "no newline after the result")
	f.BoolVar(&o.Expand, "expand", false, "write a YAML file as JSON, its short forms in full")
	f.BoolVar(&o.watch, "watch", false, "render and check again whenever a file that was read changes")
	cmd.MarkFlagsMutuallyExclusive("output", "output-file")
	return cmd
}

func runRender(ctx context.Context, e *cli.Env, o *renderOptions, file string) error {
	in, err := o.input(e, file)
	if err != nil {
		return err
	}
	switch {
	case o.Stream && o.noNewline:
		return cli.Usagef("a YAML stream always ends with a newline; leave out --no-trailing-newline")
	case o.watch && (o.exec || file == "-"):
		return cli.Usagef("--watch needs a FILE")
	case o.Expand && (o.exec || !jsonnetfile.IsData(file)):
		return cli.Usagef("--expand is for YAML and JSON files")
	case o.exec:
		in.File, in.Snippet, in.Name = "", file, "<cmdline>"
	case file == "-":
		data, err := io.ReadAll(e.Stdin)
		if err != nil {
			return err
		}
		in.File, in.Snippet, in.Name = "", string(data), "<stdin>"
	}
	in.Output, in.NoTrailingNewline = o.Form(), o.noNewline
	o.Render.Dir, o.Render.Out = e.Dir, e.Stdout
	if !o.watch {
		return o.Do(ctx, in)
	}
	ctx, cancel := e.Orderly(ctx)
	defer cancel()
	return o.Watch(ctx, in, jsonnetfile.Watcher{
		Failed: e.Report, Findings: e.PrintRuled, Note: func(text string) { e.Notef("%s", text) }, Now: e.Now,
	})
}
