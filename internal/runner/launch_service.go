package runner

import (
	"strings"

	"refline/internal/api"
	"refline/internal/errs"
	"refline/internal/executor"
)

// launchServices says which containers are beside the job's.
func launchServices(spec *api.LaunchSpec) ([]executor.LaunchService, error) {
	var out []executor.LaunchService
	for _, s := range spec.Services {
		one := executor.LaunchService{Service: executor.Service{
			Image:   executor.Image{Name: s.Name, Entrypoint: s.Entrypoint, PullPolicy: s.PullPolicy},
			Aliases: s.Aliases, Command: s.Command,
		}}
		for _, v := range s.Variables {
			one.Env = append(one.Env, v.Name+"="+v.Value)
		}
		switch {
		case strings.Trim(s.Name, ":/@") == "":
			return nil, errs.E(errs.Invalid, "job %q: a service has no image, or one of a variable that may not be in the pod's manifest", spec.Job)
		case len(s.Entrypoint) > 0 && s.Entrypoint[0] != "":
		case len(s.Entrypoint) > 0 && len(s.Command) > 0: // it is cleared: the command is all
			one.Entrypoint, one.Command = s.Command[:1], s.Command[1:]
		case s.OfImage != nil && len(s.OfImage.Entrypoint)+len(s.OfImage.Command) > 0:
			one.OfImage, one.Exposed = true, s.OfImage.Exposed
			one.Entrypoint, one.Command = s.OfImage.Entrypoint, s.OfImage.Command
			if len(one.Entrypoint) == 0 {
				one.Entrypoint, one.Command = one.Command[:1], one.Command[1:]
			}
		case len(s.Unshown) > 0:
			return nil, errs.E(errs.Invalid, "job %q: the service %s has the variable %s from a variable that may be secret or is not set, which the manifest of a pod must not show; write entrypoint: in the service, so that it gets its variables otherwise",
				spec.Job, s.Name, strings.Join(s.Unshown, ", "))
		}
		out = append(out, one)
	}
	return out, nil
}
