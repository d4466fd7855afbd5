package definition

import (
	"context"
	"regexp"
)

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

// readPython reads the inputs of a script, and how it uses Prefect. A file with a flow
// that does not call it by itself is started through the package refline, which calls
// the flow: the one of that name, if there is a name.
func readPython(ctx context.Context, file, flow string, source []byte) (pythonScript, error) {
	use := usesPrefect(source)
	if use == prefectBlock && flow != "" {
		return pythonScript{flow: flow, named: true}, nil // its name may be in a variable
	}
	out, err := readInputs(ctx, file, flow, source)
	if err == nil && out.flow == "" {
		out.prefect = use
	}
	return out, err
}

// command is what starts the script, from what would start it as it is: through the
// package refline if that calls its flow, or shows the flows of Prefect that it calls.
func (p pythonScript) command(file string, head []byte) []string {
	plain := scriptCommand(file, head)
	python, target := plain[:len(plain)-1:len(plain)-1], plain[len(plain)-1]
	switch {
	case p.flow != "":
		return flowCommand(file, p.flow, head)
	case p.prefect == prefectBlock:
		return append(python, "-m", "refline", target)
	case p.prefect == prefectCalled:
		return append(python, "-m", "refline", "--script", target)
	}
	return plain
}
