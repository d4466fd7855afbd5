package credential

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"refline/internal/errs"
)

// LineVariable names the variable that holds one line of a key that was split:
// NAME_1, NAME_2, …
func LineVariable(name string, line int) string { return fmt.Sprintf("%s_%d", name, line) }

// JoinLines returns the key whose lines are in the variables NAME_1, NAME_2, …;
// nil if there is no NAME_1. A line that is missing is errs.Invalid.
func JoinLines(getenv func(string) string, name string) ([]byte, error) {
	var lines []string
	for {
		line := getenv(LineVariable(name, len(lines)+1))
		if line == "" {
			break
		}
		lines = append(lines, strings.TrimSpace(line))
	}
	if len(lines) == 0 {
		return nil, nil
	}
	if next := LineVariable(name, len(lines)+2); getenv(next) != "" {
		return nil, errs.E(errs.Invalid, "%s is set but %s is not: a line of the key is missing", next, LineVariable(name, len(lines)+1))
	}
	return []byte(strings.Join(lines, "\n")), nil
}

// PassphraseVariable is the variable with the passphrase of the key NAME; that
// of any key is KeyPassphrase.
func PassphraseVariable(name string) string { return name + "_PASSPHRASE" }

// KeyPassphrase is the variable with the passphrase of a key without a name.
const KeyPassphrase = "REFLINE_KEY_PASSPHRASE"

// WithoutKey returns an environment without a key's variable, those of its lines
// and of its passphrase, and without what would lead ssh to another agent or ask for a
// password.
func WithoutKey(environ []string, name string) []string {
	return slices.DeleteFunc(slices.Clone(environ), func(kv string) bool {
		key, _, _ := strings.Cut(kv, "=")
		switch key {
		case "SSH_AUTH_SOCK", "SSH_AGENT_PID", "SSH_ASKPASS", "SSH_ASKPASS_REQUIRE", "GIT_SSH", "GIT_SSH_COMMAND", "GIT_SSH_VARIANT", KeyPassphrase:
			return true
		}
		return name != "" && (key == name || key == PassphraseVariable(name) || isLineVariable(key, name))
	})
}

func isLineVariable(key, name string) bool {
	line, ok := strings.CutPrefix(key, name+"_")
	n, err := strconv.Atoi(line)
	return ok && err == nil && key == LineVariable(name, n)
}
