package definition

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"path"
	"regexp"
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
	prefect prefectUse
	typed   bool // inputs says what the script takes
	any     bool // it takes others too
	inputs  []pythoninputs.Input
	finding *diag.Finding // why nothing is known
}

// prefectUse is how a script without a function to call uses Prefect.
type prefectUse int

const (
	prefectNone   prefectUse = iota
	prefectCalled            // it calls flows of Prefect by itself
	prefectBlock             // it defines one by "with Flow(…)", as Prefect 1 does
)

// usesPrefect looks at imports and blocks as text: another file may be seen as one that
// uses Prefect, and then runs as it is.
func usesPrefect(source []byte) prefectUse {
	switch {
	case !regexp.MustCompile(`(?m)^[ \t]*(from|import)[ \t]+prefect\b`).Match(source):
		return prefectNone
	case regexp.MustCompile(`(?m)^with[ \t]+(prefect\.)?Flow\(|^\w+[ \t]*=[ \t]*(prefect\.)?Flow\(`).Match(source):
		return prefectBlock
	}
	return prefectCalled
}

// readPython reads the inputs of a script. A file with a flow that does not call it by
// itself is started through the package refline, which calls the flow.
func readPython(ctx context.Context, file string, source []byte) (pythonScript, error) {
	out, err := readInputs(ctx, file, source)
	if err == nil && out.flow == "" {
		out.prefect = usesPrefect(source)
	}
	return out, err
}

func readInputs(ctx context.Context, file string, source []byte) (pythonScript, error) {
	var out pythonScript
	if !bytes.Contains(source, []byte("flow")) && !bytes.Contains(source, []byte("argparse")) {
		return out, nil // nothing that could be known
	}
	unknown := func(line int, format string, args ...any) pythonScript {
		return pythonScript{finding: &diag.Finding{
			Place: diag.Place{File: file, Line: max(line, 1)}, Level: diag.Warning, Rule: "untyped-inputs",
			Message: fmt.Sprintf(format, args...) + "; its inputs are given as text and not checked, and it runs as a plain script",
		}}
	}
	s, err := pythoninputs.Read(ctx, source)
	if errs.Is(err, errs.Unavailable) {
		return unknown(0, "the inputs of %s are not read: %v", path.Base(file), err), nil
	}
	if err != nil {
		return out, err
	}
	if s.Error != "" {
		return unknown(s.Line, "the inputs of %s cannot be read: %s", path.Base(file), s.Error), nil
	}
	if s.Options != nil {
		return pythonScript{typed: true, inputs: s.Options}, nil
	}
	if f, ok := s.Find(""); ok && !s.Called {
		return pythonScript{flow: f.Function, typed: true, any: f.Any, inputs: f.Inputs}, nil
	}
	return out, nil
}

// command is what starts the script, from what would start it as it is: through the
// package refline if that calls its flow, or shows the flows of Prefect that it calls.
func (p pythonScript) command(file string, plain []string) []string {
	python, target := plain[:len(plain)-1:len(plain)-1], plain[len(plain)-1]
	switch {
	case p.flow != "":
		return append(python, "-m", "refline", quote(file+":"+p.flow))
	case p.prefect == prefectBlock:
		return append(python, "-m", "refline", target)
	case p.prefect == prefectCalled:
		return append(python, "-m", "refline", "--script", target)
	}
	return plain
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

// arguments are the words that give the inputs to the script.
func (p pythonScript) arguments(given map[string]string, args []string) []string {
	var out []string
	for i, name := range slices.Sorted(maps.Keys(given)) { // as args are sorted
		at := slices.IndexFunc(p.inputs, func(in pythoninputs.Input) bool { return in.Name == name })
		if at < 0 || !p.inputs[at].Switch {
			out = append(out, args[i])
		} else if given[name] == "true" {
			out = append(out, quote("--"+name))
		}
	}
	return out
}
