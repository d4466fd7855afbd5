package diag

import (
	"encoding/json"
	"io"
	"slices"
	"strings"

	"refline/internal/errs"
)

// Format is a form in which findings are printed.
type Format string

// The formats.
const (
	Text        Format = "text"
	JSON        Format = "json"
	SARIF       Format = "sarif"       // 2.1.0
	JUnit       Format = "junit"       // errors are failures
	CodeQuality Format = "codequality" // GitLab's report
)

// Formats are the names that [Printer.Print] knows, for the help of a flag.
func Formats() []Format { return []Format{Text, JSON, SARIF, JUnit, CodeQuality} }

// Printer prints findings. The zero value prints text without source lines.
type Printer struct {
	Tool    string // name and version of the program, for SARIF and JUnit
	Version string
	// Source returns the bytes of a file of a finding, for the line under it.
	// It may be nil; an error leaves the line out.
	Source func(file string) ([]byte, error)
	// Rules adds [rule] and (subject) to each line of text.
	Rules  bool
	Colour bool
}

// Print writes l to w in the order it has.
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

// jsonFinding is a finding with its level as a word.
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

// uri names a file in a report: relative, with slashes.
func uri(file string) string {
	return strings.TrimPrefix(strings.ReplaceAll(file, `\`, "/"), "./")
}

// message is what a report says: the finding, its hint, and where it comes from.
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
