package engine

import (
	"context"

	"refline/internal/errs"
	"refline/internal/executor"
)

// copyFromImage copies a folder of the image into the workspace. What is there
// already, of caches and artifacts, is above it, as with a checkout. It needs a
// shell, ls, cp and mktemp.
const copyFromImage = `set -e
[ -d "$1" ] || { echo "the image has no folder $1; it was not made by refline image build" >&2; exit 1; }
if [ -z "$(ls -A "$2")" ]; then
  cp -RP "$1/." "$2/"
else
  both=$(mktemp -d)
  cp -RP "$1/." "$both/"
  cp -RP "$2/." "$both/"
  cp -RP "$both/." "$2/"
  rm -rf "$both"
fi
`

// sourcesOfImage makes the job's files of those in its image.
func (a *attempt) sourcesOfImage(ctx context.Context) error {
	strategy := a.lookup["GIT_STRATEGY"]
	if a.ImageSource == "" || strategy == "none" || strategy == "empty" {
		return nil
	}
	env := a.env
	if !a.Executor.Isolated() { // in a pod, whose containers share the job's folders
		env = append(hostEnvironment(a.Environ), env...)
	}
	return a.section("get_sources", "Copying the files of the image", func() error {
		code, err := a.sandbox.Exec(ctx, executor.Command{
			Args: []string{a.sandbox.Shell(), "-c", copyFromImage, "sh", a.ImageSource, a.paths.project},
			Dir:  a.paths.project, Env: env, Stdout: a.log, Stderr: a.log,
		})
		if err == nil && code != 0 {
			err = errs.E(errs.Invalid, "job %q: copying %s of its image ended with exit code %d", a.Job.Name, a.ImageSource, code)
		}
		return err
	})
}
