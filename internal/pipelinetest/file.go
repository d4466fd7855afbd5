package pipelinetest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"path"
	"regexp"
	"slices"
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
	for {
		var document yaml.Node
		err := dec.Decode(&document)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			broken = append(broken, fileErrors(name, err)...)
			break
		}
		f, faults := readDocument(name, &document)
		if len(faults) > 0 {
			broken = append(broken, faults...)
			continue
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

// readDocument decodes one document. The library stops at the first key that it does
// not know, so such keys are taken out until it finds no other.
func readDocument(name string, document *yaml.Node) (f file, faults diag.List) {
	for {
		f = file{}
		err := document.Load(&f, yaml.WithKnownFields())
		if err == nil {
			return f, faults
		}
		found := fileErrors(name, err)
		again := false
		for _, x := range found {
			if !slices.ContainsFunc(faults, func(y diag.Finding) bool { return y.Place == x.Place && y.Message == x.Message }) {
				faults = append(faults, x)
			}
			again = removeKey(document, unknownKey(x.Message), x.Line) || again
		}
		if !again {
			return f, faults
		}
	}
}

// removeKey takes a key at a line out of the mappings of a node.
func removeKey(n *yaml.Node, key string, line int) bool {
	if n.Kind == yaml.MappingNode {
		for i := 0; i+1 < len(n.Content); i += 2 {
			if k := n.Content[i]; k.Value == key && k.Line == line {
				n.Content = slices.Delete(n.Content, i, i+2)
				return true
			}
		}
	}
	return slices.ContainsFunc(n.Content, func(child *yaml.Node) bool { return removeKey(child, key, line) })
}

const notAKey = " is not a key of a test"

// unknownKey returns the key that a message of [fileErrors] is about, or "".
func unknownKey(message string) string {
	quoted, ok := strings.CutSuffix(message, notAKey)
	if !ok {
		return ""
	}
	key, _ := strconv.Unquote(quoted)
	return key
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
			line = strconv.Quote(m[1]) + notAKey
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
