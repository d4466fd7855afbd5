package pythonenv

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"refline/internal/errs"
)

// maxLockFile bounds a lock file.
const maxLockFile = 32 << 20

// locked takes the versions of the lock file beside a pyproject.toml as constraints:
// what is installed has the version that the lock says, and the markers of the
// requirements decide what that is.
func (n *requirements) locked(root, dir string) error {
	if len(n.packages) == 0 {
		return nil
	}
	for _, name := range []string{"uv.lock", "poetry.lock"} {
		at := path.Join(dir, name)
		file := filepath.Join(root, filepath.FromSlash(at))
		info, err := os.Stat(file)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err == nil && info.Size() > maxLockFile {
			return errs.E(errs.Invalid, "%s is larger than %d MiB", at, maxLockFile>>20)
		}
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		n.constraints, err = lockedVersions(at, string(text))
		n.from += " and " + name
		return err
	}
	return nil
}

// lockedVersions reads the packages of a lock file, of uv or of Poetry. One with several
// versions, each for other computers, is left to the installer, as is one that is not
// from an index.
func lockedVersions(file, text string) ([]string, error) {
	var lock struct {
		Package []struct {
			Name, Version string
			Source        map[string]any
		}
	}
	if err := decodeTOML(file, 0, text, &lock); err != nil {
		return nil, err
	}
	versions := map[string]string{}
	for _, p := range lock.Package {
		kind, poetry := p.Source["type"]
		_, index := p.Source["registry"]
		if len(p.Source) > 0 && !index && (!poetry || kind != "legacy") {
			continue
		}
		if !plainWord(p.Name) || !plainWord(p.Version) {
			return nil, metadataError(file, 1, 0, fmt.Sprintf("%q %q is not the name and version of a package", p.Name, p.Version))
		}
		if other, twice := versions[p.Name]; twice && other != p.Version {
			versions[p.Name] = ""
			continue
		}
		versions[p.Name] = p.Version
	}
	var out []string
	for _, name := range slices.Sorted(maps.Keys(versions)) {
		if versions[name] != "" {
			out = append(out, name+"=="+versions[name])
		}
	}
	return out, nil
}

// plainWord reports whether a word can be part of a requirement: nothing of a file
// becomes an option of the installer.
func plainWord(word string) bool {
	for _, c := range word {
		if !strings.ContainsRune("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._+!-", c) {
			return false
		}
	}
	return word != "" && word[0] != '-'
}

// poetryDependency is one of [tool.poetry.dependencies], as a table.
type poetryDependency struct {
	Version, Markers, Python string
	Git, Branch, Tag, Rev    string
	Path, URL                string
	Optional                 bool
	Extras                   []string
}

// poetry takes the dependencies of [tool.poetry.dependencies], which projects have that
// are older than project.dependencies.
func (n *requirements) poetry(file string, list map[string]any) error {
	for _, name := range slices.Sorted(maps.Keys(list)) {
		dependency, err := readPoetry(list[name])
		if err != nil || !plainWord(name) {
			return metadataError(file, 1, 0, fmt.Sprintf("tool.poetry.dependencies.%s cannot be read; project.dependencies can say the same", name))
		}
		if name == "python" {
			n.python = cmp.Or(n.python, poetryVersion(dependency.Version))
			continue
		}
		if !dependency.Optional {
			n.packages = append(n.packages, dependency.requirement(name))
		}
	}
	return nil
}

func readPoetry(value any) (d poetryDependency, err error) {
	texts := map[string]*string{
		"version": &d.Version, "markers": &d.Markers, "python": &d.Python, "git": &d.Git, "branch": &d.Branch, "tag": &d.Tag, "rev": &d.Rev, "path": &d.Path, "url": &d.URL,
	}
	table, ok := value.(map[string]any)
	if text, plain := value.(string); plain {
		table, ok = map[string]any{"version": text}, true
	}
	if !ok {
		return d, errs.E(errs.Invalid, "neither a version nor a table")
	}
	for key, v := range table {
		text, isText := v.(string)
		to := texts[key]
		switch {
		case to != nil && (!isText || strings.ContainsAny(text, "\r\n")):
			return d, errs.E(errs.Invalid, "%s is not a text", key)
		case to != nil:
			*to = text
		case key == "optional":
			d.Optional, _ = v.(bool)
		case key == "extras":
			items, _ := v.([]any)
			for _, item := range items {
				if extra, ok := item.(string); ok && plainWord(extra) {
					d.Extras = append(d.Extras, extra)
				}
			}
		}
	}
	return d, nil
}

// requirement is the dependency as a line of a requirements file.
func (d *poetryDependency) requirement(name string) string {
	if len(d.Extras) > 0 {
		name += "[" + strings.Join(d.Extras, ",") + "]"
	}
	switch {
	case d.Git != "":
		name += " @ git+" + d.Git
		if rev := cmp.Or(d.Rev, d.Tag, d.Branch); rev != "" {
			name += "@" + rev
		}
	case d.URL != "":
		name += " @ " + d.URL
	case d.Path != "":
		return d.Path
	default:
		name += poetryVersion(d.Version)
	}
	markers := d.Markers
	if python := poetryVersion(d.Python); python != "" {
		for part := range strings.SplitSeq(python, ",") {
			operator := part[:len(part)-len(strings.TrimLeft(part, "<>=!~"))]
			marker := fmt.Sprintf("python_full_version %s '%s'", operator, part[len(operator):])
			if markers != "" {
				markers = "(" + markers + ") and "
			}
			markers += marker
		}
	}
	if markers != "" {
		name += " ; " + markers
	}
	return name
}

// poetryVersion turns ^1.2 and ~1.2 into specifiers of PEP 440, and * into any.
func poetryVersion(version string) string {
	var out []string
	for part := range strings.SplitSeq(version, ",") {
		part = strings.ReplaceAll(strings.TrimSpace(part), " ", "")
		switch {
		case part == "" || part == "*":
		case strings.HasPrefix(part, "^") || strings.HasPrefix(part, "~") && !strings.HasPrefix(part, "~="):
			out = append(out, ">="+part[1:], "<"+nextVersion(part[1:], part[0] == '^'))
		case strings.ContainsRune("<>=!~", rune(part[0])):
			out = append(out, part)
		default:
			out = append(out, "=="+part)
		}
	}
	return strings.Join(out, ",")
}

// nextVersion is where ^ and ~ end: the caret at the first number that is not 0, the
// tilde at the second.
func nextVersion(version string, caret bool) string {
	numbers := strings.Split(version, ".")
	at := min(1, len(numbers)-1)
	if caret {
		at = slices.IndexFunc(numbers, func(n string) bool { return strings.Trim(n, "0") != "" })
		if at < 0 {
			at = len(numbers) - 1
		}
	}
	n := 0
	for _, c := range numbers[at] {
		if c < '0' || c > '9' || n > 1e9 {
			break
		}
		n = n*10 + int(c-'0')
	}
	return strings.Join(append(slices.Clone(numbers[:at]), fmt.Sprint(n+1)), ".")
}
