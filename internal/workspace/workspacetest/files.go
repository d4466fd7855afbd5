// Package workspacetest has what the tests of several packages do with folders,
// and with processes to be killed.
package workspacetest

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Files is a tree as a test writes it down: a path, and what is there. A
// content that starts with "-> " is a link, a path that ends in "/" an empty
// directory, "!" before the content makes a file executable.
type Files map[string]string

// Plant makes the files below a new folder.
func Plant(t testing.TB, tree Files) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "tree")
	Must(t, os.Mkdir(dir, 0o755))
	PlantIn(t, dir, tree)
	return dir
}

// PlantIn makes the files in a folder that exists.
func PlantIn(t testing.TB, dir string, tree Files) {
	t.Helper()
	for name, content := range tree {
		at := filepath.Join(dir, filepath.FromSlash(name))
		Must(t, os.MkdirAll(filepath.Dir(at), 0o755))
		switch {
		case strings.HasSuffix(name, "/"):
			Must(t, os.MkdirAll(at, 0o755))
		case strings.HasPrefix(content, "-> "):
			Must(t, os.Symlink(content[3:], at))
		case strings.HasPrefix(content, "!"):
			Must(t, os.WriteFile(at, []byte(content[1:]), 0o755))
		default:
			Must(t, os.WriteFile(at, []byte(content), 0o644))
		}
	}
}

// Harvest is the reverse of Plant; only empty directories are named.
func Harvest(t testing.TB, dir string) Files {
	t.Helper()
	tree := Files{}
	Must(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(dir, path)
		rel = filepath.ToSlash(rel)
		info, err := d.Info()
		if err != nil {
			return err
		}
		switch {
		case d.IsDir():
			inside, err := os.ReadDir(path)
			if err == nil && len(inside) == 0 {
				tree[rel+"/"] = ""
			}
			return err
		case d.Type()&fs.ModeSymlink != 0:
			target, err := os.Readlink(path)
			tree[rel] = "-> " + target
			return err
		case !d.Type().IsRegular():
			tree[rel] = d.Type().String()
			return nil
		}
		content, err := os.ReadFile(path)
		tree[rel] = string(content)
		if info.Mode()&0o100 != 0 && runtime.GOOS != "windows" {
			tree[rel] = "!" + tree[rel]
		}
		return err
	}))
	return tree
}

// Must ends the test on an error.
func Must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Same compares two values.
func Same(t testing.TB, got, want any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("differs (-want +got):\n%s", diff)
	}
}

// ManyFiles is a tree that is neither kept in memory nor cloned one by one.
func ManyFiles(n int) Files {
	tree := Files{}
	for i := range n {
		tree[fmt.Sprintf("d%d/e%d/f%d.txt", i%7, i%31, i)] = fmt.Sprint("content ", i)
	}
	return tree
}

// OddNames are files of every kind, with names of every kind.
var OddNames = Files{
	"plain.txt":              "text\n",
	"bin/tool":               "!#!/bin/sh\n",
	"deep/er/and/deep/er":    "x",
	"ünïcode/日本語":            "utf-8",
	"new\nline":              "a\nb",
	"-rf":                    "dash",
	"sp ace/*?[x]":           "glob",
	"link":                   "-> plain.txt",
	"dangling":               "-> nowhere/at/all",
	"outside":                "-> /etc/hostname",
	"dirlink":                "-> deep",
	"empty/":                 "",
	".hidden/.config":        "dots",
	"big":                    strings.Repeat("0123456789abcdef", 20000),
	"a":                      "one letter",
	"-a/b":                   "sorts before a dot",
	"zero":                   "",
	strings.Repeat("n", 255): "longest name",
}
