package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"refline/internal/errs"
	"refline/internal/jsonnet"
)

type renderOptions struct {
	paths                            []string
	extStr, extCode, tlaStr, tlaCode []string
	output                           string
	multi                            string
	stream, text                     bool
	watch                            bool
}

func newRenderCmd(e *env) *cobra.Command {
	o := &renderOptions{}
	cmd := &cobra.Command{
		Use:   "render FILE",
		Short: "Evaluate Jsonnet, byte for byte as the jsonnet command does",
		Long: `Evaluate a Jsonnet file, or stdin for -. Libraries in the vendor folder beside a
jsonnetfile.json are found without a flag.

Exit codes: 0 good, 1 the program has an error, 2 usage.`,
		Example: `  refline render template.jsonnet -o template.json
  refline render -V environment=dev -J lib template.jsonnet`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usagef("render wants one FILE, or - for stdin")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error { return runRender(cmd.Context(), e, o, args[0]) },
	}
	f := cmd.Flags()
	f.StringArrayVarP(&o.paths, "jpath", "J", nil, "a folder of libraries; the last one wins")
	f.StringArrayVarP(&o.extStr, "ext-str", "V", nil, "external variable: NAME=TEXT, or NAME from the environment")
	f.StringArrayVar(&o.extCode, "ext-code", nil, "external variable as code: NAME=CODE")
	f.StringArrayVarP(&o.tlaStr, "tla-str", "A", nil, "top-level argument: NAME=TEXT, or NAME from the environment")
	f.StringArrayVar(&o.tlaCode, "tla-code", nil, "top-level argument as code: NAME=CODE")
	f.StringVarP(&o.output, "output", "o", "", "write to this file")
	f.StringVarP(&o.multi, "multi", "m", "", "write each field of the result to a file in this folder")
	f.BoolVarP(&o.stream, "yaml-stream", "y", false, "write an array as a YAML stream")
	f.BoolVar(&o.watch, "watch", false, "render again whenever a file that was read changes")
	f.BoolVarP(&o.text, "string", "S", false, "the result is a text; write it as it is")
	return cmd
}

func runRender(ctx context.Context, e *env, o *renderOptions, file string) error {
	in := jsonnet.Input{File: file, SearchPaths: o.paths, Trace: e.stderr}
	if file == "-" {
		data, err := io.ReadAll(e.stdin)
		if err != nil {
			return err
		}
		in.File, in.Snippet, in.Name = "", string(data), "<stdin>"
	}
	in.Read = func(path string) ([]byte, error) { return os.ReadFile(e.path(path)) }
	for _, b := range []struct {
		into  *[]jsonnet.Binding
		specs []string
		code  bool
	}{
		{&in.External, o.extStr, false}, {&in.External, o.extCode, true},
		{&in.Arguments, o.tlaStr, false}, {&in.Arguments, o.tlaCode, true},
	} {
		for _, spec := range b.specs {
			name, value, ok := strings.Cut(spec, "=")
			if !ok {
				if value = e.getenv(name); value == "" {
					return usagef("%s has no value: give %s=…, or set it in the environment", name, name)
				}
			}
			*b.into = append(*b.into, jsonnet.Binding{Name: name, Value: value, Code: b.code})
		}
	}
	switch {
	case o.multi != "" && o.text:
		in.Output = jsonnet.MultiString
	case o.multi != "":
		in.Output = jsonnet.Multi
	case o.stream:
		in.Output = jsonnet.Stream
	case o.text:
		in.Output = jsonnet.String
	}
	if o.watch {
		return watchRender(ctx, e, o, in)
	}
	res, err := jsonnet.Evaluate(ctx, in)
	if err != nil {
		return err
	}
	return writeRendered(e, o, res)
}

// watchRender renders whenever one of the files that were read is another,
// until it is stopped. Errors are told and waited for to go away.
func watchRender(ctx context.Context, e *env, o *renderOptions, in jsonnet.Input) error {
	if in.File == "" {
		return usagef("--watch needs a FILE")
	}
	var last string
	sources := []string{in.File}
	for {
		if now := e.fingerprint(sources); now != last {
			res, err := jsonnet.Evaluate(ctx, in)
			if err == nil {
				err = writeRendered(e, o, res)
				sources = res.Sources
			}
			report(e, err)
			if err == nil && o.output != "" {
				e.notef("%s %s", e.now().Format(time.TimeOnly), o.output)
			}
			last = e.fingerprint(sources)
		}
		select {
		case <-e.stop.Done():
			return nil
		case <-time.After(watchEvery):
		}
	}
}

// watchEvery is how often files are looked at.
const watchEvery = 300 * time.Millisecond

// fingerprint tells files apart by size and time.
func (e *env) fingerprint(files []string) string {
	var b strings.Builder
	for _, f := range files {
		if info, err := os.Stat(e.path(f)); err == nil {
			fmt.Fprintf(&b, "%s %d %d\n", f, info.Size(), info.ModTime().UnixNano())
		}
	}
	return b.String()
}

func writeRendered(e *env, o *renderOptions, res jsonnet.Result) error {
	if o.multi != "" {
		for _, f := range res.Files {
			if !filepath.IsLocal(f.Name) {
				return errs.E(errs.Invalid, "the result names a file outside of the folder: %s", f.Name)
			}
			if err := os.WriteFile(filepath.Join(e.path(o.multi), f.Name), []byte(f.Text), 0o644); err != nil {
				return err
			}
			fmt.Fprintln(e.stdout, filepath.Join(o.multi, f.Name))
		}
		return nil
	}
	if o.output == "" || o.output == "-" {
		_, err := io.WriteString(e.stdout, res.Text)
		return err
	}
	return os.WriteFile(e.path(o.output), []byte(res.Text), 0o644)
}
