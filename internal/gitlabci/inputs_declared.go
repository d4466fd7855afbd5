package gitlabci

import (
	"encoding/json"

	"refline/internal/diag"
)

// DeclaredInput is an input that a file declares in its header.
type DeclaredInput struct {
	Name        string
	Place       diag.Place
	Type        string // string, number, boolean or array
	Description string
	Options     []string // as text; with rules those of all rules
	Regex       string   // of RE2, not anchored
	HasDefault  bool
	Default     string // as text: a string itself, other types as JSON
	Ruled       bool   // other inputs decide on the options and the default
}

// declaredInputs describes inputs for those who give their values.
func declaredInputs(list []inputSpec) []DeclaredInput {
	out := make([]DeclaredInput, 0, len(list))
	for i := range list {
		s := &list[i]
		d := DeclaredInput{Name: s.name, Place: s.at, Type: string(s.kind), Description: s.about, Ruled: s.rules != nil}
		if s.regex != nil {
			d.Regex = s.regex.String()
		}
		seen := map[string]bool{}
		add := func(options []*node) {
			for _, o := range options {
				if text := declaredText(s.kind, o); !seen[text] && len(d.Options) < maxOptions {
					seen[text] = true
					d.Options = append(d.Options, text)
				}
			}
		}
		add(s.options)
		for _, rule := range s.rules {
			add(rule.options)
			d.HasDefault = d.HasDefault || rule.fallback != nil
		}
		if s.fallback != nil {
			d.HasDefault, d.Default = true, declaredText(s.kind, s.fallback)
		}
		out = append(out, d)
	}
	return out
}

// declaredText is the text that gives an input this value.
func declaredText(k inputType, n *node) string {
	switch {
	case n.kind == nullNode:
		return ""
	case n.kind == stringNode || n.kind == intNode || n.kind == floatNode || n.kind == boolNode:
		return n.text
	case k == stringInput:
		return rubyText(n)
	}
	text, err := json.Marshal(plain(n))
	if err != nil {
		return n.text
	}
	return string(text)
}
