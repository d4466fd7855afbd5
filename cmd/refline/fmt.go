package main

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"refline/internal/diag"
	"refline/internal/errs"
	"refline/internal/jsonnet"
)

func newFmtCmd(e *env) *cobra.Command {
	var check bool
	cmd := &cobra.Command{
		Use:   "fmt [FILE…]",
		Short: "Format Jsonnet files in place",
		Long: `Format Jsonnet files in place, as jsonnetfmt does; - is stdin to stdout. A folder
means every .jsonnet and .libsonnet file below it but for vendor folders. Without
FILE the current folder is meant. With --check nothing is written.

Exit codes: 0 good, 1 a file cannot be read or, with --check, is not formatted,
2 usage.`,
		Example: "  refline fmt\n  refline fmt --check stacks/",
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				args = []string{"."}
			}
			return runFmt(e, args, check)
		},
	}
	cmd.Flags().BoolVar(&check, "check", false, "name the files that are not formatted, and fail")
	return cmd
}

func runFmt(e *env, args []string, check bool) error {
	if len(args) == 1 && args[0] == "-" {
		src, err := io.ReadAll(e.stdin)
		if err != nil {
			return err
		}
		out, err := jsonnet.Format("<stdin>", string(src))
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
		changed, err := formatFile(e, file, check)
		if err != nil {
			broken = append(broken, unreadable(file, err)...) // the others are formatted all the same
		}
		if changed {
			fmt.Fprintln(e.stdout, file)
		}
		unformatted = unformatted || changed
	}
	if len(broken) > 0 {
		return broken.Err()
	}
	if check && unformatted {
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
			return nil, errs.E(errs.NotFound, "%s: %w", arg, unwrapPath(err))
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
func formatFile(e *env, file string, check bool) (changed bool, err error) {
	path := e.path(file)
	src, err := os.ReadFile(path)
	if err != nil {
		return false, errs.E(errs.NotFound, "%s: %w", file, unwrapPath(err))
	}
	out, err := jsonnet.Format(file, string(src))
	if err != nil {
		return false, err
	}
	if bytes.Equal(src, []byte(out)) {
		return false, nil
	}
	if check {
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
