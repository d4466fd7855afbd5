package pythonenv

import (
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"

	"deps.dev/util/semver"
	"github.com/BurntSushi/toml"

	"refline/internal/errs"
)

// requirements is what a script says it needs to run.
type requirements struct {
	from     string   // the file that says so, relative to the root
	python   string   // a version specifier as ">=3.11", empty for any
	packages []string // requirements, one a line of a requirements file
	folder   string   // where relative paths of packages start
	file     string   // the requirements file they are from, empty for another kind

	constraints []string // versions that a lock file says, as "name==1.2"
}

func (n *requirements) count() string {
	if len(n.packages) == 1 {
		return "1 requirement"
	}
	return fmt.Sprintf("%d requirements", len(n.packages))
}

// findNeeds looks for a script's dependencies: in the script itself (inline
// script metadata, PEP 723), else in requirements.txt beside it or at the
// root, else in pyproject.toml beside it or at the root (project.dependencies, else those
// of Poetry), with the versions of the uv.lock or poetry.lock beside that.
// root is absolute, script relative to it.
func findNeeds(root, script string) (requirements, error) {
	source, err := os.ReadFile(filepath.Join(root, script))
	if err != nil {
		return requirements{}, fmt.Errorf("read the script: %w", err)
	}
	if needs, ok, err := inlineNeeds(script, string(source)); ok || err != nil {
		needs.folder = filepath.Join(root, filepath.Dir(script))
		return needs, err
	}
	places := []string{path.Dir(filepath.ToSlash(script)), "."}
	for _, file := range []string{"requirements.txt", "pyproject.toml"} {
		for _, dir := range places {
			at := path.Join(dir, file)
			text, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(at)))
			if errors.Is(err, os.ErrNotExist) {
				continue
			}
			if err != nil {
				return requirements{}, err
			}
			needs := requirements{from: at, folder: filepath.Join(root, filepath.FromSlash(dir))}
			if file == "requirements.txt" {
				needs.packages = requirementLines(string(text))
				needs.file = filepath.Join(needs.folder, file)
				return needs, nil
			}
			if err = needs.project(at, string(text)); err == nil {
				err = needs.locked(root, dir)
			}
			return needs, err
		}
	}
	return requirements{}, nil
}

// inlineNeeds reads the block that starts with "# /// script" and ends with
// "# ///".
func inlineNeeds(file, source string) (needs requirements, found bool, err error) {
	var block []string
	first := 0
	lines := strings.Split(strings.ReplaceAll(source, "\r\n", "\n"), "\n")
	for i := 0; i < len(lines); i++ {
		if strings.TrimRight(lines[i], " \t") != "# /// script" {
			continue
		}
		end := 0
		for j := i + 1; j < len(lines) && (lines[j] == "#" || strings.HasPrefix(lines[j], "# ")); j++ {
			if lines[j] == "# ///" {
				end = j // the last one of the comment, as the specification has it
			}
		}
		if end == 0 {
			return needs, false, metadataError(file, i+1, 0, `the block "# /// script" has no end "# ///"`)
		}
		if found {
			return needs, false, metadataError(file, i+1, 0, `a second block "# /// script"`)
		}
		found, first = true, i+1
		for _, line := range lines[i+1 : end] {
			block = append(block, strings.TrimPrefix(strings.TrimPrefix(line, "#"), " "))
		}
		i = end
	}
	if !found {
		return needs, false, nil
	}
	var meta struct {
		Python       string   `toml:"requires-python"`
		Dependencies []string `toml:"dependencies"`
	}
	if err := decodeTOML(file, first, strings.Join(block, "\n"), &meta); err != nil {
		return needs, true, err
	}
	return requirements{from: file, python: meta.Python, packages: meta.Dependencies}, true, nil
}

// MetadataError is a mistake in what says the dependencies of a script.
type MetadataError struct {
	File         string
	Line, Column int // from 1; Column is 0 for the whole line
	Text         string
}

func (e *MetadataError) Error() string {
	if e.Column == 0 {
		return fmt.Sprintf("%s:%d: %s", e.File, e.Line, e.Text)
	}
	return fmt.Sprintf("%s:%d:%d: %s", e.File, e.Line, e.Column, e.Text)
}

func metadataError(file string, line, column int, text string) error {
	return errs.E(errs.Invalid, "%w", &MetadataError{file, line, column, text})
}

// CheckMetadata looks for a mistake in the inline script metadata of a script
// without making its environment.
func CheckMetadata(file, source string) error {
	_, _, err := inlineNeeds(file, source)
	return err
}

// project reads a pyproject.toml.
func (n *requirements) project(file, text string) error {
	var meta struct {
		Project struct {
			Python       string   `toml:"requires-python"`
			Dependencies []string `toml:"dependencies"`
		} `toml:"project"`
		Tool struct {
			Poetry struct {
				Dependencies map[string]any `toml:"dependencies"`
			} `toml:"poetry"`
		} `toml:"tool"`
	}
	if err := decodeTOML(file, 0, text, &meta); err != nil {
		return err
	}
	n.python, n.packages = meta.Project.Python, meta.Project.Dependencies
	if len(n.packages) == 0 {
		return n.poetry(file, meta.Tool.Poetry.Dependencies)
	}
	return nil
}

// decodeTOML decodes text, which starts after line before of file.
func decodeTOML(file string, before int, text string, into any) error {
	_, err := toml.Decode(text, into)
	var parse toml.ParseError
	if errors.As(err, &parse) {
		return metadataError(file, before+parse.Position.Line, parse.Position.Col, parse.Message)
	}
	if err != nil {
		return metadataError(file, max(before, 1), 0, err.Error())
	}
	return nil
}

// requirementLines gives the lines of a requirements file that say something,
// continued ones joined.
func requirementLines(text string) []string {
	text = strings.ReplaceAll(strings.ReplaceAll(text, "\r\n", "\n"), "\\\n", " ")
	var lines []string
	for line := range strings.Lines(text) {
		if i := strings.Index(" "+line, " #"); i >= 0 {
			line = (" " + line)[:i]
		}
		if line = strings.TrimSpace(line); line != "" {
			lines = append(lines, line)
		}
	}
	return lines
}

// satisfies reports whether a version as "3.11.7" meets a specifier of PEP 440 as
// ">=3.9,<4". What cannot be read counts as met: the installer has the last word.
func satisfies(version, specifier string) bool {
	constraint, err := semver.PyPI.ParseConstraint(strings.ReplaceAll(specifier, "===", "=="))
	if err != nil {
		return true
	}
	_, err = semver.PyPI.Parse(version)
	return err != nil || constraint.Match(version)
}
