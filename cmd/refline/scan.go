package main

import (
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"refline/internal/cli"
	"refline/internal/errs"
	"refline/internal/inputfile"
	"refline/internal/mask"
	"refline/internal/termview"
)

func newScanCmd(e *cli.Env) *cobra.Command {
	secrets := &secretSources{}
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "scan [--env NAME…] [--file FILE…] LOG…",
		Short: "Tell whether anything of these secrets is in a file, and where",
		Long: `Look for secrets in files ("-" is standard input) as "refline mask" would: whole,
in pieces of 16 bytes or more, in every form that programs print. What is found
is named by file, line, offset in bytes, secret and form; never what it is.

Exit codes: 0 nothing found, 1 found or error, 2 usage.`,
		Example: `  refline scan --env DEPLOY_KEY job.log
  refline scan --file deploy_key --json *.log`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return cli.Usagef("no file to scan is named; for standard input: -")
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error {
			set, err := e.Secrets().MaskSet(secrets.env, secrets.files)
			if err != nil {
				return err
			}
			return runScan(e, set, args, asJSON)
		},
	}
	secrets.bind(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print what is found as JSON")
	return cmd
}

func runScan(e *cli.Env, set *mask.Set, files []string, asJSON bool) error {
	all := []mask.Found{}
	for _, file := range files {
		matches, err := scanFile(e, set, file)
		if err != nil {
			return err
		}
		all = append(all, matches...)
	}
	if asJSON {
		if err := e.PrintJSON(all); err != nil {
			return err
		}
	} else {
		for _, f := range all {
			place := set.String(f.File)
			if f.Line > 0 {
				place = fmt.Sprintf("%s:%d", place, f.Line)
			}
			fmt.Fprintf(e.Stdout, "%s: %s, form %s, %s at offset %d\n", place, f.Name, f.Form, termview.Count(int(f.Length), "byte"), f.Offset)
		}
	}
	if len(all) > 0 {
		e.Notef("%s; replace the secrets that leaked", termview.Count(len(all), "finding"))
		return cli.ErrShown
	}
	e.Notef("nothing of these secrets in %s", termview.Count(len(files), "file"))
	return nil
}

func scanFile(e *cli.Env, set *mask.Set, file string) ([]mask.Found, error) {
	var in io.Reader = e.Stdin
	var f *os.File
	if file != "-" {
		var err error
		if f, err = inputfile.Open(e.Path(file), file); err != nil {
			return nil, err
		}
		defer f.Close()
		in = f
	}
	matches, err := set.Scan(in)
	if err != nil {
		return nil, errs.E(errs.Unavailable, "%s: %w", file, inputfile.Pathless(err))
	}
	out := make([]mask.Found, len(matches))
	for i, m := range matches {
		out[i] = mask.Found{File: file, Match: m}
	}
	if f != nil && len(out) > 0 {
		if _, err := f.Seek(0, io.SeekStart); err == nil {
			mask.AddLines(out, f)
		}
	}
	return out, nil
}
