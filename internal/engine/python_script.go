package engine

import (
	"bytes"
	"path"
	"strings"
)

// shebang reads the first line; both are empty when there is none.
func shebang(head []byte) (interpreter, argument string) {
	line, ok := bytes.CutPrefix(head, []byte("#!"))
	if !ok {
		return "", ""
	}
	line, _, _ = bytes.Cut(line, []byte("\n"))
	words := strings.TrimSpace(string(line))
	if i := strings.IndexAny(words, " \t"); i >= 0 {
		return words[:i], strings.TrimSpace(words[i:])
	}
	return words, ""
}

// isPython reports whether Python runs the script.
func isPython(file string, head []byte) bool {
	interpreter, argument := shebang(head)
	if interpreter == "" {
		return strings.EqualFold(path.Ext(file), ".py")
	}
	if path.Base(interpreter) == "env" {
		interpreter = argument
	}
	return strings.HasPrefix(path.Base(interpreter), "python")
}
