package remote

import (
	"cmp"
	"time"

	"refline/internal/api"
	"refline/internal/cli"
	"refline/internal/flowfile"
	"refline/internal/git"
	"refline/internal/inputfile"
)

// maxFlowFile bounds a file of flows.
const maxFlowFile = 4 << 20

// fromFile are the flows of a file. What they do not say is as without a file.
func (o *flowRegisterOptions) fromFile(e *cli.Env, here *checkedOut, paths []string) ([]wantedFlow, error) {
	if len(paths) > 0 || o.name != "" || o.given() {
		return nil, cli.Usagef("-f registers the flows of a file as it describes them; leave paths, --name, --cron and --every out")
	}
	text, err := inputfile.Read(e.Path(o.file), o.file, maxFlowFile)
	if err != nil {
		return nil, err
	}
	file, err := flowfile.Parse(o.file, text, parseSpan)
	if err != nil {
		return nil, err
	}
	repository := here.repository
	if file.Repository != "" && o.repo == "" {
		repository = repositoryArgument(e, file.Repository)
		if here.tree != nil && file.Repository != here.tree.RemoteURL {
			here.tree = nil // the flows are of another repository than this one
		}
	}
	list := make([]wantedFlow, len(file.Flows))
	for i, f := range file.Flows {
		in := api.FlowInput{
			Project: cmp.Or(o.project, file.Project), Repository: repository, Name: f.Name, Path: f.Path, FollowTag: f.FollowTag, Runtime: cmp.Or(f.Runtime, o.runtime),
			Inputs: f.Inputs, Concurrency: f.Concurrency, WhenBusy: f.WhenBusy, Slots: f.Slots, Priority: f.Priority,
			RefKind: string(here.ref.Kind), Ref: here.ref.Name, PreferTag: here.buildTag,
		}
		for kind, name := range map[git.Kind]string{git.KindBranch: f.Branch, git.KindTag: f.Tag, git.KindCommit: f.Commit} {
			if name != "" {
				in.RefKind, in.Ref, in.PreferTag = string(kind), name, ""
			}
		}
		if f.Schedules != nil {
			schedules := make([]api.ScheduleInput, len(*f.Schedules))
			for k, n := range *f.Schedules {
				schedules[k] = api.ScheduleInput{Cron: n.Cron, Every: int64(n.Every / time.Second), Timezone: n.Timezone, CatchUp: n.CatchUp, Inputs: n.Inputs}
			}
			in.Schedules = &schedules
		}
		list[i] = wantedFlow{FlowInput: in, at: f.Place}
	}
	return list, nil
}
