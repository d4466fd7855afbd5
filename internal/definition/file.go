package definition

import (
	"context"

	"refline/internal/errs"
	"refline/internal/source"
)

// DefaultFile finds the configuration of a project that names none. The kind is
// NotFound if there is none.
func DefaultFile(ctx context.Context, from source.Project) (string, error) {
	for _, name := range []string{".gitlab-ci.yml", ".gitlab-ci.jsonnet"} {
		if found, err := from.Exists(ctx, name); found || err != nil {
			return name, err
		}
	}
	near := ".gitlab-ci.yaml"
	if found, err := from.Exists(ctx, near); err != nil {
		return "", err
	} else if found {
		return "", errs.E(errs.NotFound, "no .gitlab-ci.yml in %s, but %s, which GitLab does not look at: rename it, or name it: -f %s", place(from), near, near)
	}
	return "", errs.E(errs.NotFound, "no .gitlab-ci.yml in %s; name the pipeline or script: -f FILE", place(from))
}

// place is where files are looked for: the working tree, or a commit of a
// repository.
func place(from source.Project) string {
	if _, ok := from.(*source.WorkingTree); ok {
		return from.Name()
	}
	return from.At()
}
