package diag

import (
	"encoding/json"
	"io"
	"slices"
	"strings"

	"refline/internal/errs"
)

// Format is an output format of findings.
type Format string

// The formats.
const (
	Text        Format = "text"
	JSON        Format = "json"
	SARIF       Format = "sarif"       // 2.1.0
	JUnit       Format = "junit"       // errors are failures
	CodeQuality Format = "codequality" // GitLab's report
)

// Formats returns the formats that [Printer.Print] accepts, for the help of a flag.
func Formats() []Format { return []Format{Text, JSON, SARIF, JUnit, CodeQuality} }

// Printer prints findings. The zero value prints text without source lines.
type Printer struct {
	Tool    string // name and version of the program, for SARIF and JUnit
	Version string
	// Source returns the content of a file, to print the line of a finding. It may
	// be nil; after an error the line is not printed.
	Source func(file string) ([]byte, error)
	// Rules adds [rule] and (subject) to each finding in text.
	Rules  bool
	Colour bool
}

// Print writes l to w in its order.
func (p Printer) Print(w io.Writer, f Format, l List) error {
	switch f {
	case Text, "":
		return p.text(w, l)
	case JSON:
		return writeJSON(w, plain(l))
	case SARIF:
		return writeJSON(w, p.sarif(l))
	case JUnit:
		return p.junit(w, l)
	case CodeQuality:
		return writeJSON(w, codeQuality(l))
	}
	return errs.E(errs.Invalid, "format %q is not one of %s", string(f), formatNames())
}

func formatNames() string {
	names := make([]string, 0, 5)
	for _, f := range Formats() {
		names = append(names, string(f))
	}
	return strings.Join(names, ", ")
}

func writeJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

// jsonFinding is a finding with its level by name.
type jsonFinding struct {
	Level string `json:"level"`
	Finding
}

func plain(l List) []jsonFinding {
	out := make([]jsonFinding, 0, len(l))
	for _, f := range l {
		out = append(out, jsonFinding{f.Level.String(), f})
	}
	return out
}

// uri returns the name of a file in a report: relative, with slashes.
func uri(file string) string {
	return strings.TrimPrefix(strings.ReplaceAll(file, `\`, "/"), "./")
}

// message returns the text of a report: the finding and its hint.
func message(f Finding) string {
	var b strings.Builder
	b.WriteString(f.Message)
	if f.Hint != "" {
		b.WriteString("; " + f.Hint)
	}
	return b.String()
}

func rulesOf(l List) []string {
	var rules []string
	for _, f := range l {
		if f.Rule != "" {
			rules = append(rules, f.Rule)
		}
	}
	slices.Sort(rules)
	return slices.Compact(rules)
}
