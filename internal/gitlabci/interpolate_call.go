package gitlabci

import (
	"cmp"
	"regexp"
	"strconv"
	"strings"
	"sync"

	"refline/internal/pipeline"
)

// call applies one function of a block, such as truncate(0,8).
func (x *interpolation) call(call string, v *node) (*node, *blockError) {
	name, args, hasArgs := strings.Cut(call, "(")
	functions := []string{"expand_vars", "posix_escape", "split", "truncate"}
	var apply func(string) (*node, *blockError)
	text := func(s string) *node { return (&node{kind: stringNode, text: s, at: v.at}).seal() }
	switch {
	case name == "expand_vars" && !hasArgs:
		apply = func(s string) (*node, *blockError) {
			s, masked := expandKnown(s, x.variables)
			if masked != "" {
				return nil, &blockError{"expand_vars cannot expand the masked variable " + masked, "use the variable itself in the job"}
			}
			return text(s), nil
		}
	case name == "posix_escape" && !hasArgs:
		apply = func(s string) (*node, *blockError) { return text(shellEscape(s)), nil }
	case name == "truncate" && hasArgs:
		offset, length, ok := truncateArgs(args)
		if !ok {
			return nil, &blockError{call + " is not a call of truncate", "write truncate(OFFSET,LENGTH)"}
		}
		apply = func(s string) (*node, *blockError) { return text(substring(s, offset, length)), nil }
	case name == "split" && hasArgs:
		separator, ok := splitArg(args)
		if !ok {
			return nil, &blockError{call + " is not a call of split", "write split('SEPARATOR')"}
		}
		apply = func(s string) (*node, *blockError) {
			list := &node{kind: seqNode, at: v.at}
			for _, part := range splitText(s, separator) {
				list.items = append(list.items, text(part))
			}
			x.b.take(v.at, len(list.items))
			return list.seal(), nil
		}
	default:
		return nil, &blockError{"there is no function " + call, cmp.Or(x.b.suggest(name, functions), "there are "+strings.Join(functions, ", "))}
	}
	if v.kind != stringNode {
		return nil, &blockError{name + " takes a string, and this is " + whatIs(v), "apply it to an input of type string"}
	}
	return apply(v.text)
}

func truncateArgs(args string) (offset, length int, ok bool) {
	first, second, found := strings.Cut(strings.TrimSuffix(args, ")"), ",")
	offset, err := strconv.Atoi(strings.TrimSpace(first))
	length, err2 := strconv.Atoi(strings.TrimSpace(second))
	return offset, length, found && err == nil && err2 == nil && offset >= 0 && length >= 0
}

// substring counts in characters. An offset past the end returns "".
func substring(s string, offset, length int) string {
	r := []rune(s)
	if offset >= len(r) {
		return ""
	}
	r = r[offset:]
	return string(r[:min(length, len(r))])
}

func splitArg(args string) (string, bool) {
	s, ok := strings.CutPrefix(args, "'")
	s, ok2 := strings.CutSuffix(s, "')")
	return s, ok && ok2 && s != "" && !strings.Contains(s, "'")
}

// splitText removes empty parts, and the white space around the others.
func splitText(s, separator string) []string {
	var parts []string
	for _, p := range strings.Split(s, separator) {
		if p = strings.Trim(p, " \t\r\n\v\f\x00"); p != "" {
			parts = append(parts, p)
		}
	}
	return parts
}

// shellEscape escapes as Ruby's Shellwords does.
func shellEscape(s string) string {
	if s == "" {
		return "''"
	}
	var b strings.Builder
	for _, r := range s {
		switch {
		case r == '\n':
			b.WriteString("'\n'")
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', strings.ContainsRune("_-.,:+/@", r):
			b.WriteRune(r)
		default:
			b.WriteByte('\\')
			b.WriteRune(r)
		}
	}
	return b.String()
}

var variablePattern = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`\$([a-zA-Z_][a-zA-Z0-9_]*)|\$\{([a-zA-Z_][a-zA-Z0-9_]*)\}|%([a-zA-Z_][a-zA-Z0-9_]*)%`)
})

// expandKnown replaces known variables, once, and leaves the others. masked names a
// variable that may not be shown.
func expandKnown(s string, variables map[string]pipeline.Variable) (expanded, masked string) {
	expanded = replaceVariables(s, func(name, written string) string {
		v, ok := variables[name]
		switch {
		case !ok:
			return written
		case v.Masked:
			masked = name
		}
		return v.Value
	})
	return expanded, masked
}

func replaceVariables(s string, value func(name, written string) string) string {
	if !strings.ContainsAny(s, "$%") {
		return s
	}
	p := variablePattern()
	return p.ReplaceAllStringFunc(s, func(written string) string {
		return value(strings.Trim(written, "${}%"), written)
	})
}
