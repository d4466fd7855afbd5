package pipelinetest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"path"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"

	"refline/internal/diag"
	"refline/internal/errs"
)

// Test is one test of a file: which pipeline is meant, and what is expected of
// it. docs/test.md describes the format for users.
type Test struct {
	Name      string            `yaml:"name"`
	Pipeline  string            `yaml:"pipeline"` // a file, default .gitlab-ci.yml
	Config    yaml.Node         `yaml:"config"`   // or the configuration itself
	Branch    string            `yaml:"branch"`
	Tag       string            `yaml:"tag"`
	Event     string            `yaml:"event"`
	Variables map[string]string `yaml:"variables"`
	Inputs    map[string]any    `yaml:"inputs"`
	Changed   []string          `yaml:"changed"`
	Expect    Created           `yaml:"expect"`

	Case `yaml:",inline"`
}

// file is a file of tests: one test at the top level, or several in tests:.
type file struct {
	Test  `yaml:",inline"`
	Tests []Test `yaml:"tests"`
}

// ReadFile reads the tests of a file. A test without a name gets that of the
// file. Errors are findings with their lines.
func ReadFile(name string, data []byte) ([]Test, error) {
	var tests []Test
	var broken diag.List
	dec := yaml.NewDecoder(bytes.NewReader(data))
	dec.KnownFields(true)
	for {
		var f file
		err := dec.Decode(&f)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			broken = append(broken, fileErrors(name, err)...)
			var inDocument *yaml.LoadErrors
			if errors.As(err, &inDocument) {
				continue // the next document can be read
			}
			break
		}
		if len(f.Tests) == 0 {
			f.Tests = []Test{f.Test}
		}
		for i, t := range f.Tests {
			if t.Name == "" {
				t.Name = strings.TrimSuffix(path.Base(name), path.Ext(name))
				if len(f.Tests) > 1 {
					t.Name = fmt.Sprintf("%s %d", t.Name, i+1)
				}
			}
			tests = append(tests, t)
		}
	}
	if len(broken) > 0 {
		return nil, broken.Err()
	}
	if len(tests) == 0 {
		return nil, errs.E(errs.Invalid, "%s has no tests; docs/test.md describes them", name)
	}
	return tests, nil
}

// fileErrors turns the errors of the YAML parser into findings, each at its line.
func fileErrors(file string, err error) diag.List {
	var list diag.List
	for line := range strings.SplitSeq(err.Error(), "\n") {
		line = strings.TrimSpace(strings.TrimPrefix(line, "yaml: "))
		f := diag.Finding{Place: diag.Place{File: file}, Level: diag.Error, Rule: "test-file", Hint: "docs/test.md describes test files"}
		if m := regexp.MustCompile(`line (\d+)(?::|, column (\d+):)? *(.*)`).FindStringSubmatch(line); m != nil {
			f.Line, _ = strconv.Atoi(m[1])
			f.Column, _ = strconv.Atoi(m[2])
			line = m[3]
		} else if strings.HasSuffix(line, ":") {
			continue // a heading of the parser's
		}
		if m := regexp.MustCompile(`field (\S+) (?:not found in type|already set in type)`).FindStringSubmatch(line); m != nil {
			line = fmt.Sprintf("%q is not a key of a test", m[1])
		} else if m := regexp.MustCompile(`cannot construct (\S+).* into (\S+)$`).FindStringSubmatch(line); m != nil {
			line = fmt.Sprintf("want %s here, not %s", typeInWords(m[2]), typeInWords(m[1]))
		}
		f.Message = line
		list = append(list, f)
	}
	return list
}

// typeInWords names a Go type or a YAML tag for people who write tests.
func typeInWords(name string) string {
	switch {
	case name == "!!seq" || strings.HasPrefix(name, "[]"):
		return "a list"
	case name == "!!str" || name == "string":
		return "a text"
	case name == "!!bool" || name == "bool":
		return "true or false"
	case name == "!!int" || name == "!!float" || name == "int":
		return "a number"
	case name == "!!null":
		return "null"
	}
	return "a map"
}
