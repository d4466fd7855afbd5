package jsonnet

import (
	"encoding/json"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// vendored is what jsonnet-bundler left beside a jsonnetfile.json.
type vendored struct {
	file  string   // the jsonnetfile.json, "" for none
	dir   string   // its vendor folder
	names []string // the libraries that it asks for, as they are imported
}

const bundleFile = "jsonnetfile.json"

// findVendor looks for jsonnetfile.json in the folder of file and above it. A
// snippet stands in the current folder.
func (imp *importer) findVendor(file string) vendored {
	dir := imp.join("", path.Dir(filepath.ToSlash(file)))
	limit := strings.Count(dir, "/") + 1
	if imp.disk {
		abs, err := filepath.Abs(filepath.FromSlash(dir))
		if err != nil {
			return vendored{}
		}
		limit = strings.Count(filepath.ToSlash(abs), "/") + 1
	}
	for range limit {
		name := imp.join(dir, bundleFile)
		// It is configuration, not a source: it is not kept among the files.
		if text, err := imp.readFile(name); err == nil {
			return vendored{file: name, dir: imp.join(dir, "vendor"), names: bundled(text)}
		}
		if dir == "." && !imp.disk {
			break
		}
		dir = imp.up(dir)
	}
	return vendored{}
}

func (imp *importer) up(dir string) string {
	if base := path.Base(filepath.ToSlash(dir)); base == "." || base == ".." {
		return imp.join(dir, "..")
	}
	return imp.join(filepath.Dir(dir), ".")
}

// bundled lists the dependencies of a jsonnetfile.json as import paths: the
// legacy name, and host/path of the git remote with its folder.
func bundled(text []byte) []string {
	var f struct {
		Dependencies []struct {
			Name   string `json:"name"`
			Source struct {
				Git struct {
					Remote string `json:"remote"`
					Subdir string `json:"subdir"`
				} `json:"git"`
			} `json:"source"`
		} `json:"dependencies"`
	}
	if json.Unmarshal(text, &f) != nil {
		return nil
	}
	var names []string
	for _, d := range f.Dependencies {
		remote := strings.TrimSuffix(d.Source.Git.Remote, ".git")
		if _, after, ok := strings.Cut(remote, "://"); ok {
			remote = after
		}
		if _, after, ok := strings.Cut(remote, "@"); ok {
			remote = strings.Replace(after, ":", "/", 1)
		}
		names = append(names, path.Join(remote, d.Source.Git.Subdir), path.Base(path.Join(remote, d.Source.Git.Subdir)), d.Name)
	}
	return slices.DeleteFunc(names, func(s string) bool { return s == "" || s == "." })
}

// hint says what to do about an import that is not there, when the bundle asks for it.
func (v vendored) hint(name string) string {
	for _, lib := range v.names {
		if name == lib || strings.HasPrefix(name, lib+"/") {
			return v.file + " asks for " + lib + ", which is not in " + v.dir + "; run: jb install"
		}
	}
	return ""
}
