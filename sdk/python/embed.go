// Package sdkpython holds the files of the Python package, which the program hands
// to jobs.
package sdkpython

import "embed"

// Files has the package at src/refline.
//
//go:embed src/refline/*.py src/refline/*.pyi src/refline/py.typed
var Files embed.FS

// Bundled comes before the text of the package's __init__.py in the copy for jobs: it
// lets an installed package win.
//
//go:embed bundled.py
var Bundled string
