package secretsource

import (
	"errors"
	"path/filepath"
	"strings"

	"refline/internal/errs"
	"refline/internal/inputfile"
	"refline/internal/mask"
	"refline/internal/pipeline"
	"refline/internal/secret"
	"refline/internal/variable"
)

// MaskSet masks the values of environment variables and the contents of files.
func (s *Source) MaskSet(names, files []string) (*mask.Set, error) {
	if len(names)+len(files) == 0 {
		return nil, errs.Usage("no secret is named: --env NAME or --file FILE")
	}
	set := &mask.Set{}
	var refused []error
	add := func(name string, value []byte, err error) {
		if err == nil {
			err = set.Add(name, value)
		}
		if err != nil {
			refused = append(refused, errs.E(errs.Invalid, "%w", err))
			return
		}
		s.WarnWeak(name, value)
	}
	for _, name := range names {
		value, err := s.FromEnv("--env", name)
		add(name, value, err)
	}
	for _, file := range files {
		value, err := inputfile.Read(s.path(file), "--file "+file, mask.MaxSecret)
		add(filepath.Base(file), value, err)
	}
	return set, errors.Join(refused...)
}

// JobSecrets reads NAME (from the environment) and NAME=@FILE as variables of jobs,
// and masks their values.
func (s *Source) JobSecrets(specs []string, masked *mask.Set) ([]pipeline.Variable, error) {
	var out []pipeline.Variable
	for _, spec := range specs {
		name, value, err := s.jobSecret(spec)
		if err != nil {
			return nil, err
		}
		if err := masked.Add(name, []byte(value)); err != nil {
			return nil, errs.E(errs.Invalid, "--secret %s: %w", name, err)
		}
		s.WarnWeak(name, []byte(value))
		out = append(out, pipeline.Variable{Name: name, Value: value, Masked: true, Raw: true})
	}
	return out, nil
}

func (s *Source) jobSecret(spec string) (name, value string, err error) {
	name, from, ok := strings.Cut(spec, "=")
	switch {
	case !variable.ValidName(name):
		return "", "", errs.Usage("--secret wants NAME or NAME=@FILE")
	case !ok:
		value = s.Getenv(name)
		if value == "" {
			return "", "", errs.E(errs.NotFound, "--secret %s: the environment has no such variable, or an empty one; give a file instead: --secret %s=@FILE", name, name)
		}
		return name, value, nil
	case strings.HasPrefix(from, "@"):
		data, err := inputfile.Read(s.path(from[1:]), "--secret "+name+": "+from[1:], mask.MaxSecret)
		return name, string(data), err
	}
	return "", "", errs.Usage("--secret %s=…: a value on the command line would show in process lists; give it as NAME from the environment, or NAME=@FILE", name)
}

// MaskVariables masks the values of the masked variables of a project.
func MaskVariables(set *mask.Set, list []secret.Variable) error {
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
