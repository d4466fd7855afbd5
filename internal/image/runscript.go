package image

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

func (m *Manifest) encode() ([]byte, error) {
	data, err := json.MarshalIndent(m, "", "  ")
	return append(data, '\n'), err
}

// runHead is the beginning of /refline/run. The files are copied, since a flow may
// write beside itself and the image may belong to another user.
const runHead = `#!/bin/sh
# Runs a flow of this image: run [FLOW] [--INPUT=VALUE…]. Without FLOW the first one.
set -eu
flow=
case ${1-} in
''|-*) ;;
*) flow=$1; shift ;;
esac
for argument do
  case $argument in
  --*=*)
    name=${argument%%=*}
    export "REFLINE_INPUT_$(printf %s "${name#--}" | tr - _)=${argument#*=}"
    export "REFLINE_INPUT_$(printf %s "${name#--}" | tr a-z- A-Z_)=${argument#*=}" ;;
  esac
done
`

const runCopy = `if work=$(mktemp -d 2>/dev/null); then
  cp -RP /refline/src/. "$work"
else
  work=/refline/src # nothing can be written in this container
fi
cd "$work"
export CI_PROJECT_DIR="$work"
`

// runScript is /refline/run: it needs a shell, cp and what the flow itself needs.
func runScript(m *Manifest) []byte {
	var b strings.Builder
	b.WriteString(runHead)
	fmt.Fprintf(&b, "[ -n \"$flow\" ] || flow=%s\n", shellQuote(m.Flows[0].Name))
	var names []string
	for _, f := range m.Flows {
		names = append(names, f.Name)
	}
	b.WriteString("case $flow in\n")
	for _, f := range m.Flows {
		patterns := shellQuote(f.Name)
		if f.Path != f.Name {
			patterns += "|" + shellQuote(f.Path)
		}
		if f.Command == "" {
			fmt.Fprintf(&b, "%s) echo %s >&2; exit 2 ;;\n", patterns, shellQuote(f.Path+" is a pipeline, which needs Refline: refline flow register --image IMAGE --path "+f.Path))
			continue
		}
		fmt.Fprintf(&b, "%s) flow=%s ;;\n", patterns, shellQuote(f.Name))
	}
	fmt.Fprintf(&b, "*) echo \"no flow $flow in this image; it has: %s\" >&2; exit 2 ;;\nesac\n", strings.NewReplacer(`\`, `\\`, `"`, `\"`, "$", `\$`, "`", "\\`").Replace(strings.Join(names, ", ")))
	b.WriteString(runCopy)
	fmt.Fprintf(&b, "export CI_COMMIT_SHA=%s CI_COMMIT_REF_NAME=%s REFLINE_FLOW=\"$flow\"\n", shellQuote(m.Source.Commit), shellQuote(m.Source.Ref))
	b.WriteString("case $flow in\n")
	for _, f := range m.Flows {
		if f.Command == "" {
			continue
		}
		fmt.Fprintf(&b, "%s)\n", shellQuote(f.Name))
		for _, name := range slices.Sorted(maps.Keys(f.Env)) {
			fmt.Fprintf(&b, "  export %s=\"%s\"\n", name, f.Env[name])
		}
		// Inputs that the image was built with come first, so that those of the
		// command line are above them.
		arguments := ""
		for _, name := range slices.Sorted(maps.Keys(f.Inputs)) {
			variable := strings.ReplaceAll(name, "-", "_")
			for _, v := range slices.Compact([]string{variable, strings.ToUpper(variable)}) {
				fmt.Fprintf(&b, "  export REFLINE_INPUT_%s=\"${REFLINE_INPUT_%s-%s}\"\n", v, v, doubleQuoted(f.Inputs[name]))
			}
			arguments += " " + shellQuote("--"+name+"="+f.Inputs[name])
		}
		fmt.Fprintf(&b, "  exec %s%s \"$@\" ;;\n", f.Command, arguments)
	}
	b.WriteString("esac\n")
	return []byte(b.String())
}

// shellQuote makes text one word of a POSIX shell.
func shellQuote(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }

// doubleQuoted makes text a part of a word in double quotes.
func doubleQuoted(text string) string {
	return strings.NewReplacer(`\`, `\\`, `"`, `\"`, "$", `\$`, "`", "\\`", "}", `\}`).Replace(text)
}
