package credential

import (
	"fmt"
	"strings"

	"refline/internal/errs"
)

// KeyVariable is one variable of a key that was split.
type KeyVariable struct{ Name, Value string }

// Split returns the variables that hold the key: NAME with the body in one line,
// or one for each line. A key with a passphrase is errs.Invalid.
func (c *CheckedKey) Split(name string, oneLine bool) ([]KeyVariable, error) {
	if c.Passphrase {
		return nil, errs.E(errs.Invalid, "%s: it has a passphrase, which a job cannot type; make a key for this purpose without one", c.File)
	}
	if oneLine {
		return []KeyVariable{{name, c.Key.OneLine()}}, nil
	}
	out := make([]KeyVariable, len(c.Key.Lines))
	for i, line := range c.Key.Lines {
		out[i] = KeyVariable{LineVariable(name, i+1), line}
	}
	return out, nil
}

// JobAdvice shows how a job makes a key of the variables again, with refline and
// without.
func (c *CheckedKey) JobAdvice(name string, vars []KeyVariable) string {
	names := make([]string, len(vars))
	for i, v := range vars {
		names[i] = `"$` + v.Name + `"`
	}
	label := c.Key.Label()
	return fmt.Sprintf(`in the job, with refline (the job never holds the key):
  refline agent --key-env %s --host HOST -- git clone …
in the job, without refline:
  eval "$(ssh-agent -s)"
  printf '%%s\n' '-----BEGIN %s-----' %s '-----END %s-----' | ssh-add -`,
		name, label, strings.Join(names, " "), label)
}
