// Package jsonnetfile renders, watches and formats files of Jsonnet, YAML and JSON
// on this computer.
//
// It writes only what it is asked for: a file that is not changed keeps its time, and
// a result cannot name a file outside of its folder. It does not know flags.
package jsonnetfile

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"refline/internal/cfn"
	"refline/internal/errs"
	"refline/internal/inputfile"
	"refline/internal/jsonnet"
)

// Render says how files are rendered and where results go.
type Render struct {
	Dir        string // relative paths are relative to it
	Out        io.Writer
	Output     string // file; "" and "-" are Out. With Multi it gets the list of files.
	Multi      string // folder for the fields of the result; "" for one result
	Stream     bool   // as a YAML stream
	Text       bool   // the result is a text
	CreateDirs bool
	Expand     bool // YAML becomes JSON
}

func (r *Render) path(name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(r.Dir, name)
}

// Form is the form of the result.
func (r *Render) Form() jsonnet.Output {
	switch {
	case r.Multi != "" && r.Text:
		return jsonnet.MultiString
	case r.Multi != "":
		return jsonnet.Multi
	case r.Stream:
		return jsonnet.Stream
	case r.Text:
		return jsonnet.String
	}
	return jsonnet.JSON
}

// IsData reports whether a file is YAML or JSON, which is not evaluated.
func IsData(file string) bool {
	switch strings.ToLower(path.Ext(file)) {
	case ".yml", ".yaml", ".json", ".template":
		return true
	}
	return false
}

// Do renders an input and writes the result.
func (r *Render) Do(ctx context.Context, in jsonnet.Input) error {
	res, err := r.evaluate(ctx, in)
	if err != nil {
		return err
	}
	return r.write(res)
}

func (r *Render) evaluate(ctx context.Context, in jsonnet.Input) (jsonnet.Result, error) {
	if in.File == "" || !IsData(in.File) {
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
	if r.Expand {
		text = tree.Root.JSON()
	}
	res.Text = string(text)
	return res, nil
}

func (r *Render) write(res jsonnet.Result) error {
	if r.Multi == "" {
		return r.writeTo(r.Output, res.Text)
	}
	var list strings.Builder
	for _, f := range res.Files {
		name := strings.TrimLeft(path.Clean(filepath.ToSlash(f.Name)), "/") // names are below the folder, as with jsonnet
		if !filepath.IsLocal(name) {
			return errs.E(errs.Invalid, "the result names a file outside of the folder: %s", f.Name)
		}
		name = filepath.Join(r.Multi, name)
		list.WriteString(name + "\n")
		// An unchanged file keeps its time, which build tools compare.
		if have, err := os.ReadFile(r.path(name)); err == nil && string(have) == f.Text {
			continue
		}
		if err := r.writeTo(name, f.Text); err != nil {
			return err
		}
	}
	return r.writeTo(r.Output, list.String())
}

func (r *Render) writeTo(file, text string) error {
	if file == "" || file == "-" {
		_, err := io.WriteString(r.Out, text)
		return err
	}
	if r.CreateDirs {
		if err := os.MkdirAll(filepath.Dir(r.path(file)), 0o755); err != nil {
			return err
		}
	}
	err := os.WriteFile(r.path(file), []byte(text), 0o644)
	if errors.Is(err, fs.ErrNotExist) {
		return errs.E(errs.NotFound, "%s: no such folder; make it, or give --create-output-dirs", filepath.Dir(file))
	}
	return err
}
