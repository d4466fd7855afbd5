package gitlabci

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"go.yaml.in/yaml/v4"

	"refline/internal/diag"
)

// reportYAML reports a syntax error in the terms of people who write YAML.
func reportYAML(file string, content []byte, err error, f *findings) {
	var syntax *yaml.LoadError
	if !errors.As(err, &syntax) {
		f.errorf(diag.Place{File: file}, "", "yaml", "not valid YAML: %v", err)
		return
	}
	at := diag.Place{File: file, Line: syntax.Mark.Line, Column: syntax.Mark.Column}
	text := string(lineOf(content, at.Line))
	here := ""
	if runes := []rune(text); at.Column > 0 && at.Column <= len(runes) {
		here = string(runes[at.Column-1:])
	}
	message, hint := syntax.Message, "check the indentation of this line and of the lines above it"
	switch {
	case strings.Contains(message, "did not find expected ','") && strings.Contains(text, blockOpen):
		message, hint = "$[[ … ]] needs quotes inside [ ] or { }", "put it in quotes"
	case strings.HasPrefix(here, "\t"):
		message, hint = "a tab cannot indent YAML", "indent with spaces"
	case strings.Contains(message, "cannot start any token") && here != "":
		message, hint = fmt.Sprintf("a plain text cannot start with %q", here[:1]), "put the text in quotes"
	case strings.HasPrefix(message, "mapping values are not allowed"):
		message, hint = "unexpected \": \"", "put a text that holds \": \" in quotes, or "+hint
	case strings.HasPrefix(message, "block sequence entries are not allowed"):
		message, hint = "unexpected \"- \"", "start a list on the line below its key"
	case strings.HasPrefix(message, "unknown anchor"):
		name := strings.Trim(strings.TrimSuffix(strings.TrimPrefix(message, "unknown anchor "), " referenced"), "'")
		message = fmt.Sprintf("*%s refers to an anchor that this file does not define above", name)
		hint = "anchors do not reach across files; use extends or !reference for that"
	case strings.Contains(message, "unexpected end of stream"):
		message, hint = "the text that starts here has no closing quote", "close it, or escape the quote inside"
		at.Line, at.Column = syntax.ContextMark.Line, syntax.ContextMark.Column
	case syntax.ContextMsg != "":
		message += " " + syntax.ContextMsg
		if syntax.ContextMark.Line > 0 {
			message += fmt.Sprintf(" that starts at line %d", syntax.ContextMark.Line)
		}
	}
	f.errorf(at, "", "yaml", "not valid YAML: %s", message)
	f.hint(hint)
}

func lineOf(content []byte, line int) []byte {
	for ; line > 1; line-- {
		_, after, found := bytes.Cut(content, []byte("\n"))
		if !found {
			return nil
		}
		content = after
	}
	text, _, _ := bytes.Cut(content, []byte("\n"))
	return text
}
