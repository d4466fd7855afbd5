package variable

import (
	"bufio"
	"bytes"
	"encoding/json"
	"strings"

	"refline/internal/errs"
	"refline/internal/inputfile"
	"refline/internal/secret"
)

// ValidName reports whether s can name a variable of a shell: letters, digits
// and _, no digit first.
func ValidName(s string) bool {
	for i, c := range []byte(s) {
		digit := c >= '0' && c <= '9'
		if c != '_' && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (!digit || i == 0) {
			return false
		}
	}
	return s != ""
}

// Assignment is a line NAME=VALUE.
type Assignment struct{ Name, Value string }

// maxFile bounds what is read of a file of assignments or an export.
const maxFile = 64 << 20

// ReadFile reads the assignments in a file, which must be a regular one. shown
// names it in messages.
func ReadFile(path, shown string) ([]Assignment, error) {
	data, err := inputfile.Read(path, shown, maxFile)
	if err != nil {
		return nil, err
	}
	return Parse(data, shown)
}

// Parse reads lines NAME=VALUE. Blank lines and those that start with # are
// comments; quotes around a whole value are taken off.
func Parse(data []byte, shown string) ([]Assignment, error) {
	var out []Assignment
	lines := bufio.NewScanner(bytes.NewReader(data))
	lines.Buffer(nil, 1<<20)
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		name, value, ok := strings.Cut(strings.TrimPrefix(line, "export "), "=")
		name, value = strings.TrimSpace(name), strings.TrimSpace(value)
		if !ok || !ValidName(name) {
			return nil, errs.E(errs.Invalid, "%s:%d: want NAME=VALUE with a name of letters, digits and _", shown, n)
		}
		if len(value) > 1 && (value[0] == '"' || value[0] == '\'') && value[len(value)-1] == value[0] {
			value = value[1 : len(value)-1]
		}
		out = append(out, Assignment{name, value})
	}
	if err := lines.Err(); err != nil {
		return nil, errs.E(errs.Invalid, "%s: %w", shown, err)
	}
	return out, nil
}

// Imported is a variable of an export.
type Imported struct {
	secret.Variable
	Hidden bool // the export does not have the value
	Line   bool // from a line NAME=VALUE, which says nothing but the value
}

// ReadExport is [ParseExport] for a file, which must be a regular one.
func ReadExport(path, shown string) ([]Imported, error) {
	data, err := inputfile.Read(path, shown, maxFile)
	if err != nil {
		return nil, err
	}
	return ParseExport(data, shown)
}

// ParseExport reads what GitLab's API returns as JSON, or lines NAME=VALUE.
func ParseExport(data []byte, shown string) ([]Imported, error) {
	if start := strings.TrimSpace(string(data[:min(len(data), 64)])); strings.HasPrefix(start, "[") {
		return parseJSON(data, shown)
	}
	lines, err := Parse(data, shown)
	if err != nil {
		return nil, err
	}
	list := make([]Imported, len(lines))
	for i, v := range lines {
		list[i] = Imported{Variable: secret.Variable{Name: v.Name, Value: secret.NewString(v.Value)}, Line: true}
	}
	return list, nil
}

func parseJSON(data []byte, shown string) ([]Imported, error) {
	var entries []struct {
		Key         string  `json:"key"`
		Value       *string `json:"value"` // null when it is hidden
		Type        string  `json:"variable_type"`
		Protected   bool    `json:"protected"`
		Masked      bool    `json:"masked"`
		Raw         bool    `json:"raw"`
		Scope       string  `json:"environment_scope"`
		Description string  `json:"description"`
	}
	if err := json.Unmarshal(data, &entries); err != nil {
		return nil, errs.E(errs.Invalid, "%s: this is not the JSON of variables that GitLab's API returns", shown)
	}
	list := make([]Imported, len(entries))
	for i, in := range entries {
		list[i].Variable = secret.Variable{
			Name: in.Key, Environment: in.Scope, Protected: in.Protected,
			Masked: in.Masked, Raw: in.Raw, File: in.Type == "file", Description: in.Description,
		}
		if in.Value == nil {
			list[i].Hidden = true
		} else {
			list[i].Value = secret.NewString(*in.Value)
		}
	}
	return list, nil
}
