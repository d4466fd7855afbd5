package gitlabci

import "strings"

// expandVariables replaces $NAME, ${NAME} and %NAME% by what lookup knows. $$
// and %% stay, as do names that lookup does not know.
func expandVariables(text string, lookup func(name string) (string, bool)) string {
	if !strings.ContainsAny(text, "$%") {
		return text
	}
	var b strings.Builder
	for i := 0; i < len(text); {
		name, width := variableAt(text[i:])
		if name == "" {
			width = max(width, 1)
			b.WriteString(text[i : i+width])
			i += width
			continue
		}
		if value, ok := lookup(name); ok {
			b.WriteString(value)
		} else {
			b.WriteString(text[i : i+width])
		}
		i += width
	}
	return b.String()
}

// variableAt reads a reference to a variable at the start of s. Width without a
// name is text to copy.
func variableAt(s string) (name string, width int) {
	switch {
	case strings.HasPrefix(s, "$$"), strings.HasPrefix(s, "%%"):
		return "", 2
	case strings.HasPrefix(s, "${"):
		n := nameLength(s[2:])
		if n > 0 && len(s) > n+2 && s[n+2] == '}' {
			return s[2 : n+2], n + 3
		}
	case s[0] == '$':
		n := nameLength(s[1:])
		return s[1 : n+1], n + 1
	case s[0] == '%':
		n := nameLength(s[1:])
		if n > 0 && len(s) > n+1 && s[n+1] == '%' {
			return s[1 : n+1], n + 2
		}
	}
	return "", 1
}

func nameLength(s string) int {
	for i := range len(s) {
		c := s[i]
		if c != '_' && (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') {
			return i
		}
	}
	return len(s)
}
