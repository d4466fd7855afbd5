package jsonnet

import (
	"errors"

	"github.com/google/go-jsonnet/formatter"

	"refline/internal/diag"
	"refline/internal/errs"
)

// Format returns src in the form that jsonnetfmt gives it. name stands for it
// in messages.
func Format(name, src string) (string, error) {
	if err := tooDeep(name, src); err != nil {
		return "", err
	}
	out, err := formatter.Format(name, src, formatter.DefaultOptions())
	var fixed static
	switch {
	case errors.As(err, &fixed):
		return "", diag.List{atStatic(fixed)}.Err()
	case err != nil:
		return "", errs.E(errs.Invalid, "format %s: %w", name, err)
	}
	return out, nil
}
