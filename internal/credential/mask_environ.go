package credential

import (
	"errors"
	"path"
	"strings"

	"refline/internal/errs"
	"refline/internal/mask"
	"refline/internal/sshagent"
)

// MaskEnvironment masks what jobs on the host inherit: values that are private
// keys, and the variables that REFLINE_MASK names.
func MaskEnvironment(getenv func(string) string, environ []string, set *mask.Set) error {
	named := strings.FieldsFunc(getenv("REFLINE_MASK"), func(r rune) bool { return r == ',' || r == ' ' })
	var refused []error
	for _, kv := range environ {
		name, value, _ := strings.Cut(kv, "=")
		switch {
		case value == "" || name == "REFLINE_MASK":
		case matchesAny(named, name):
			if err := set.Add(name, []byte(value)); err != nil {
				refused = append(refused, errs.E(errs.Invalid, "REFLINE_MASK names %s: %w", name, err))
			}
		case looksLikeKey(value):
			_ = set.Add(name, []byte(value)) // refused if nothing in it is secret
		case strings.HasSuffix(name, "_1") && strings.HasPrefix(value, "b3BlbnNzaC1rZXk"): // a key that "key split" has split
			if key, err := JoinLines(getenv, strings.TrimSuffix(name, "_1")); err == nil {
				_ = set.Add(strings.TrimSuffix(name, "_1"), key)
			}
		}
	}
	return errors.Join(refused...)
}

func matchesAny(patterns []string, name string) bool {
	for _, p := range patterns {
		if ok, err := path.Match(p, name); ok && err == nil {
			return true
		}
	}
	return false
}

// looksLikeKey reports whether a value is a private key, whole, in one line or
// in base64.
func looksLikeKey(value string) bool {
	if strings.Contains(value, "PRIVATE KEY-----") {
		return true
	}
	for _, start := range []string{"b3BlbnNzaC1rZXk", "MI", "MH", "MC", "LS0tLS1CRUdJ"} {
		if strings.HasPrefix(strings.TrimSpace(value), start) && len(value) > 60 {
			_, err := sshagent.ReadKeyFile([]byte(value))
			return err == nil
		}
	}
	return false
}
