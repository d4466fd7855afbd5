package main

import (
	"errors"

	"refline/internal/errs"
	"refline/internal/mask"
	"refline/internal/secret"
)

// maskVariables masks the values of the project's masked variables.
func maskVariables(set *mask.Set, list []secret.Variable) error {
	var refused []error
	for _, x := range list {
		if x.Masked {
			if err := set.Add(x.Name, x.Value.Reveal()); err != nil {
				refused = append(refused, errs.E(errs.Invalid, "%w; to keep it unmasked: refline var set %s --visible", err, x.Name))
			}
		}
	}
	return errors.Join(refused...)
}
