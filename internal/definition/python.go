package definition

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"refline/internal/diag"
	"refline/internal/errs"
	"refline/internal/pipeline"
	"refline/internal/pythoninputs"
)

// pythonScript is what the source of a Python script says of its inputs.
type pythonScript struct {
	flow    string // the function to call; "": the file runs as it is
	named   bool   // the request names it
	prefect prefectUse
	typed   bool // inputs says what the script takes
	any     bool // it takes others too
	inputs  []pythoninputs.Input
	finding *diag.Finding // why nothing is known, or why it cannot run
}

// SplitFlow splits FILE.py:FLOW, which names a flow of a Python file that may have
// several. flow is "" without one.
func SplitFlow(name string) (file, flow string) {
	i := strings.LastIndexByte(name, ':')
	if i < 0 || i == len(name)-1 || !strings.EqualFold(path.Ext(name[:i]), ".py") || strings.ContainsRune(name[i:], '/') {
		return name, ""
	}
	return name[:i], name[i+1:]
}

// JoinFlow is FILE:FLOW, the file alone if flow is "".
func JoinFlow(file, flow string) string {
	if flow == "" {
		return file
	}
	return file + ":" + flow
}

// PythonFlows names the flows of a Python file, each as FILE:FLOW, if it has several
// and does not say which one it means; else it is the file.
func PythonFlows(ctx context.Context, file string, source []byte) ([]string, error) {
	if !isPython(file, source) || !bytes.Contains(source, []byte("flow")) {
		return []string{file}, nil
	}
	s, err := pythoninputs.Read(ctx, source)
	if errs.Is(err, errs.NotFound) {
		return []string{file}, nil // compiling reports it
	}
	if err != nil {
		return nil, err
	}
	if len(s.Flows) < 2 || s.Attribute || s.Called {
		return []string{file}, nil
	}
	list := s.Names()
	for i, name := range list {
		list[i] = JoinFlow(file, name)
	}
	return list, nil
}

// readInputs reads what a script takes, and which flow of it is called.
func readInputs(ctx context.Context, file, flow string, source []byte) (pythonScript, error) {
	out := pythonScript{flow: flow, named: flow != ""}
	if flow == "" && !mayHaveInputs(source) {
		return out, nil
	}
	report := func(level diag.Level, line int, rule, format string, args ...any) pythonScript {
		return pythonScript{flow: flow, named: flow != "", finding: &diag.Finding{
			Place: diag.Place{File: file, Line: max(line, 1)}, Level: level, Rule: rule, Message: fmt.Sprintf(format, args...),
		}}
	}
	unknown := func(line int, format string, args ...any) pythonScript {
		plain := ", and it runs as a plain script"
		if flow != "" {
			plain = ""
		}
		return report(diag.Warning, line, "untyped-inputs", "%s; its inputs are given as text and not checked%s", fmt.Sprintf(format, args...), plain)
	}
	base := path.Base(file)
	s, err := pythoninputs.Read(ctx, source)
	if errs.Is(err, errs.NotFound) {
		return unknown(0, "the inputs of %s are not read: %v", base, err), nil
	}
	if err != nil {
		return out, err
	}
	if s.Error != "" {
		return unknown(s.Line, "the inputs of %s cannot be read: %s", base, s.Error), nil
	}
	f, found := s.Find(flow)
	switch {
	case flow != "" && !found && len(s.Flows) == 0:
		return report(diag.Error, 1, "no-flow", "%s has no function with @flow", base), nil
	case flow != "" && !found:
		return report(diag.Error, 1, "no-flow", "%s has no flow %q%s; it has %s", base, flow, diag.DidYouMean(flow, s.Names()), strings.Join(s.Names(), ", ")), nil
	case flow == "" && s.Options != nil:
		return pythonScript{typed: true, any: s.More, inputs: s.Options}, nil
	case flow == "" && s.Unread != "":
		return report(diag.Info, 1, "untyped-inputs", "the inputs of %s are not read: %s; they are given as text and not checked", base, s.Unread), nil
	case flow == "" && s.Called:
		return out, nil
	case found:
		return pythonScript{flow: f.Function, named: flow != "", typed: true, any: f.Any, inputs: f.Inputs}, nil
	case len(s.Flows) > 1:
		return report(diag.Error, s.Flows[0].Line, "several-flows", "%s has several flows; name one: %s:%s", base, file, strings.Join(s.Names(), ", "+file+":")), nil
	}
	return out, nil
}

// mayHaveInputs reports whether the source names something that inputs are read from.
func mayHaveInputs(source []byte) bool {
	return slices.ContainsFunc([]string{"flow", "argparse", "click", "typer"}, func(word string) bool { return bytes.Contains(source, []byte(word)) })
}

// check compares given inputs with what the script takes.
func (p pythonScript) check(file string, given map[string]string) diag.List {
	if !p.typed {
		return nil
	}
	var list diag.List
	report := func(line int, name, rule, format string, args ...any) {
		list = append(list, diag.Finding{Place: diag.Place{File: file, Line: max(line, 1)}, Level: diag.Error, Rule: rule, Subject: pipeline.InputSubject(name), Message: fmt.Sprintf(format, args...)})
	}
	var names []string
	for _, in := range p.inputs {
		names = append(names, in.Name)
		text, ok := given[in.Name]
		switch {
		case !ok && in.Needed():
			report(in.Line, in.Name, "missing-input", "%s needs the input %q", path.Base(file), in.Name)
		case ok:
			if wrong := in.Check(text); wrong != "" {
				report(in.Line, in.Name, "input", "input %q: %s", in.Name, wrong)
			}
		}
	}
	if name, wrong := pythoninputs.CheckPlaces(p.inputs, given); wrong != "" {
		report(1, name, "input", "%s", wrong)
	}
	for _, name := range slices.Sorted(maps.Keys(given)) {
		if !p.any && !slices.Contains(names, name) {
			takes := "it takes none"
			if len(names) > 0 {
				takes = "it takes " + strings.Join(names, ", ")
			}
			report(1, name, "input", "%s has no input %q%s; %s", path.Base(file), name, diag.DidYouMean(name, names), takes)
		}
	}
	return list
}

// arguments are the words that give the inputs to the script, quoted for a shell. args
// are those of a script whose inputs are not known, in the order of the names.
func (p pythonScript) arguments(given map[string]string, args []string) []string {
	var out []string
	for i, name := range slices.Sorted(maps.Keys(given)) {
		if !slices.ContainsFunc(p.inputs, func(in pythoninputs.Input) bool { return in.Name == name && in.Command() }) {
			out = append(out, args[i])
		}
	}
	for _, word := range pythoninputs.Words(p.inputs, given) {
		out = append(out, quote(word))
	}
	return out
}
