package jsonnetfile

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"

	"refline/internal/errs"
	"refline/internal/inputfile"
	"refline/internal/jsonnet"
)

// Find returns the files with the names, and those of Jsonnet below the folders with
// the names, but for vendor folders. Names are relative to dir.
func Find(dir string, names []string) ([]string, error) {
	r := Render{Dir: dir}
	var files []string
	for _, name := range names {
		info, err := os.Stat(r.path(name))
		if err != nil {
			return nil, errs.E(errs.NotFound, "%s: %w", name, inputfile.Pathless(err))
		}
		if !info.IsDir() {
			files = append(files, name)
			continue
		}
		err = filepath.WalkDir(r.path(name), func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			if d.IsDir() && (d.Name() == "vendor" || d.Name() == ".git") {
				return filepath.SkipDir
			}
			if ext := filepath.Ext(path); d.Type().IsRegular() && (ext == ".jsonnet" || ext == ".libsonnet") {
				rel, err := filepath.Rel(dir, path)
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

// Format formats a file in place, or with check only reports whether it would
// change. name is relative to dir.
func Format(dir, name string, style jsonnet.Style, check bool) (changed bool, err error) {
	r := Render{Dir: dir}
	path := r.path(name)
	src, err := os.ReadFile(path)
	if err != nil {
		return false, errs.E(errs.NotFound, "%s: %w", name, inputfile.Pathless(err))
	}
	out, err := jsonnet.Format(name, string(src), style)
	if err != nil {
		return false, err
	}
	if bytes.Equal(src, []byte(out)) {
		return false, nil
	}
	if filepath.Ext(name) == ".json" && json.Valid(src) && !json.Valid([]byte(out)) {
		return false, errs.E(errs.Invalid, "in this style it would not be JSON any more; left as it is")
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
