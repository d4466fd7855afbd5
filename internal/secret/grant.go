package secret

import "slices"

// Level is how far the one who started a run is trusted with secrets.
type Level int

// The levels. The zero value gets nothing.
const (
	LevelNone      Level = iota
	LevelRun             // may start runs: gets what is not protected
	LevelProtected       // may start runs of protected refs: gets what the flags say
)

// Trust is what a run keeps of who started it, and for which code. Runs that it
// starts have the same. The zero value gets nothing.
type Trust struct {
	Level Level `json:"level"`
	Fork  bool  `json:"fork,omitempty"` // the commit comes from another repository
}

// Visible returns the variables that a pipeline of this trust may be compiled with.
func (t Trust) Visible(list []Variable) []Variable {
	if t.Fork || t.Level <= LevelNone {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(list), func(v Variable) bool { return v.Protected && t.Level < LevelProtected })
}

// Request is what decides which secrets an attempt gets. It is asked anew for each
// attempt, so what was protected or removed in the meantime is not in a retry.
type Request struct {
	Event        string // CI_PIPELINE_SOURCE; one that is not known gets nothing
	Fork         bool   // the commit comes from another repository, or a parent's does
	ProtectedRef bool   // see [ProtectedRefs.Protects]
	Environment  string // of the job with its variables expanded, "" for none
	Level        Level
}

// knownEvents get secrets. The list is closed: a new event is a decision.
func knownEvents() []string {
	return []string{"push", "merge_request_event", "schedule", "web", "api", "trigger", "pipeline", "parent_pipeline"}
}

// Any reports whether the attempt may get secrets at all. Forks get none,
// even if a person approved the run.
func (r Request) Any() bool {
	return !r.Fork && r.Level > LevelNone && slices.Contains(knownEvents(), r.Event)
}

// job is the request as [Select] takes it.
func (r Request) job() Job {
	return Job{Environment: r.Environment, ProtectedRef: r.ProtectedRef && r.Level >= LevelProtected}
}

// Variables returns the variables that the attempt gets, one of each name: those of
// the project, and those of the whole server that the project has none for.
func (r Request) Variables(server, project []Variable) (fromServer, fromProject []Variable) {
	if !r.Any() {
		return nil, nil
	}
	fromProject = Select(project, r.job())
	fromServer = slices.DeleteFunc(Select(server, r.job()), func(v Variable) bool {
		return slices.ContainsFunc(fromProject, func(own Variable) bool { return own.Name == v.Name })
	})
	return fromServer, fromProject
}

// Allows reports whether the attempt gets the use of something with these flags,
// such as a deploy key.
func (r Request) Allows(protected bool, environment string) bool {
	job := r.job()
	return r.Any() && (!protected || job.ProtectedRef) && matchesScope(environment, job.Environment)
}

// Ref is what a run is made for. A bare commit has no names.
type Ref struct {
	Branch string // of a merge request: its source
	Tag    string
	Target string // of a merge request
}

// Protects reports whether runs of a ref are protected. A merge request is if both
// of its branches are, as in GitLab; a bare commit is not, because anyone who can
// push can make one.
func (p ProtectedRefs) Protects(r Ref) bool {
	if r.Tag != "" {
		return r.Branch == "" && p.Tag(r.Tag)
	}
	return r.Branch != "" && p.Branch(r.Branch) && (r.Target == "" || p.Branch(r.Target))
}
