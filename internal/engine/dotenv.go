package engine

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"refline/internal/errs"
	"refline/internal/pipeline"
)

// Limits of artifacts:reports:dotenv, as on GitLab. That of the variables depends
// on the server, so that more are a note and no failure.
const (
	dotenvBytes     = 5 << 10
	dotenvVariables = 20
	dotenvKey       = 255
)

// ParseDotenv reads the variables of a dotenv report: a line is KEY=value,
// cut at its first "=", both sides stripped of white space and otherwise
// literal (quotes too). Blank lines and comments are errors, as is anything
// else; all of them are named, by line. The last of several equal keys wins.
func ParseDotenv(r io.Reader) ([]pipeline.Variable, error) {
	text, err := io.ReadAll(io.LimitReader(r, dotenvBytes+1))
	if err != nil {
		return nil, fmt.Errorf("dotenv report: %w", err)
	}
	if len(text) >= dotenvBytes {
		return nil, errs.E(errs.Invalid, "dotenv report: larger than %d bytes", dotenvBytes-1)
	}
	var (
		vars  []pipeline.Variable
		at    = map[string]int{}
		wrong []error
		line  int
	)
	for raw := range strings.Lines(string(text)) {
		line++
		key, value, err := dotenvLine(strings.TrimSuffix(raw, "\n"))
		if err != nil {
			wrong = append(wrong, errs.E(errs.Invalid, "dotenv report: line %d: %w", line, err))
			continue
		}
		if i, ok := at[key]; ok {
			vars[i].Value = value
			continue
		}
		at[key] = len(vars)
		vars = append(vars, pipeline.Variable{Name: key, Value: value})
	}
	if len(wrong) > 0 {
		return nil, errors.Join(wrong...)
	}
	return vars, nil
}

func dotenvLine(line string) (key, value string, err error) {
	key, value, ok := strings.Cut(line, "=")
	key, value = strings.TrimSpace(key), strings.TrimSpace(value)
	switch {
	case strings.TrimSpace(line) == "":
		return "", "", errors.New("blank lines are not allowed")
	case strings.HasPrefix(strings.TrimSpace(line), "#"):
		return "", "", errors.New("comments are not allowed")
	case !ok:
		return "", "", errors.New(`want KEY=value`)
	case key == "":
		return "", "", errors.New(`no name before "="`)
	case len(key) > dotenvKey:
		return "", "", fmt.Errorf("the name has more than %d characters", dotenvKey)
	case strings.Trim(key, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_") != "":
		return "", "", errors.New("the name has other characters than letters, digits and _")
	case strings.ContainsRune(value, 0):
		return "", "", errors.New("the value has a zero byte")
	}
	return key, value, nil
}
