package scheduler

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"refline/internal/definition"
	"refline/internal/diag"
	"refline/internal/errs"
	"refline/internal/git"
	"refline/internal/pipeline"
	"refline/internal/secret"
	"refline/internal/source"
	"refline/internal/store"
)

// Launcher makes runs: it turns a ref into a commit, compiles the pipeline there
// and hands it to the scheduler. All of that is outside of a turn.
type Launcher struct {
	Scheduler *Scheduler
	Store     *store.Store
	Now       func() time.Time
	// Remote opens the repository of a project with the project's credentials; end
	// gives them back.
	Remote func(context.Context, store.Project) (remote *git.Remote, end func(), err error)
	// Variables are those of the project and of the server, for compiling: masked
	// ones need not have their value.
	Variables func(context.Context, store.Project) (definition.Variables, error)
	// Includes says where files of other projects come from.
	Includes func(context.Context, store.Project) source.Includes
	// Image opens the image of a flow at where its name is now. With a Ref that is a
	// digest no registry need be asked again. nil: there are no flows in images.
	Image func(ctx context.Context, p store.Project, f store.Flow) (FlowImage, error)
	// Artifact opens a file of the artifacts of a run's job; nil: there are none.
	Artifact func(ctx context.Context, run store.Run, job, path string) (io.ReadCloser, error)
	// Dotenv gives the variables that a trigger job gets from the jobs before it; may
	// be nil.
	Dotenv func(ctx context.Context, run store.Run, pos int) ([]pipeline.Variable, error)
}

// Launch says which run is wanted.
type Launch struct {
	Project store.Project
	Flow    *store.Flow // nil: the project's pipeline file
	File    string      // "" for that of the flow or the project
	Ref     git.Ref     // the zero value for that of the flow, else the default branch
	// Commit, when set, is taken instead of where the ref is now.
	Commit    string
	Before    string // the commit that the push replaced; "" if there was none
	Trigger   pipeline.Trigger
	Target    string // branch of a merge request
	Inputs    map[string]any
	Variables []pipeline.Variable
	Actor     string
	// Trust decides which variables and secrets the run gets; the zero value: none.
	Trust    secret.Trust
	Priority int
	// Register says that the flow is only looked at: inputs without a value may
	// come with each run.
	Register bool
	Skip     bool   // the run is made as skipped: the push has the option ci.skip
	Key      string // for NewRun.Key

	parent                   int64 // the run whose trigger job starts this one
	parentPos, parentAttempt int
}

// Resolved is a launch whose commit and pipeline are known.
type Resolved struct {
	Commit     git.Resolved
	Definition *definition.Definition
	Image      *FlowImage // nil: the files are in the repository
}

// Resolve finds the commit and compiles the pipeline there, and makes no run. id
// is the run's, 0 if there will be none. Errors: those of git, Conflict for a tag
// that moved, and a [diag.Failure] with the findings of the configuration.
func (l *Launcher) Resolve(ctx context.Context, n Launch, id int64) (*Resolved, error) {
	r, err := l.Compile(ctx, n, id)
	if err != nil {
		return nil, err
	}
	if err := n.problems(r.Definition).Err(); err != nil {
		return nil, err
	}
	return r, nil
}

// Compile is [Launcher.Resolve] that leaves findings of the configuration in the
// definition.
func (l *Launcher) Compile(ctx context.Context, n Launch, id int64) (*Resolved, error) {
	if n.ofImage() {
		return l.compileImage(ctx, n, id)
	}
	remote, end, err := l.Remote(ctx, n.Project)
	if err != nil {
		return nil, err
	}
	defer end()
	commit, err := n.resolve(ctx, remote)
	if err != nil {
		return nil, err
	}
	variables, err := l.Variables(ctx, n.Project)
	if err != nil {
		return nil, err
	}
	variables.Project = n.Trust.Visible(variables.Project)
	variables.Pipeline = n.Variables
	variables.Protected = ProtectedRefs(n.Project)
	const zeros = "0000000000000000000000000000000000000000"
	code := source.NewCommit(ctx, remote, commit, source.Options{Includes: l.Includes(ctx, n.Project), Before: cmp.Or(n.Before, zeros), Origin: n.Project.URL})
	defer code.Close()
	if err := n.hasFile(ctx, code); err != nil {
		return nil, err
	}
	d, err := definition.Compile(ctx, definition.Request{
		Source: code, File: n.file(), Trigger: n.Trigger, Target: n.Target, PipelineID: id, Created: l.Now(),
		Inputs: n.inputs(), Variables: variables,
	})
	if err != nil {
		return nil, err
	}
	return &Resolved{Commit: commit, Definition: d}, nil
}

// problems are the findings that count: of a flow that is only registered, inputs
// without a value may come with each run.
func (n Launch) problems(d *definition.Definition) diag.List {
	if !n.Register {
		return d.Findings
	}
	return slices.DeleteFunc(slices.Clone(d.Findings), func(f diag.Finding) bool { return f.Rule == "missing-input" })
}

// ProtectedRefs are those that a project names, without any its default branch.
func ProtectedRefs(p store.Project) secret.ProtectedRefs {
	return secret.ProtectedRefs{Branches: p.ProtectedBranches, Tags: p.ProtectedTags, Only: len(p.ProtectedBranches)+len(p.ProtectedTags) > 0}
}

// NothingToRun is in the error, of kind NotFound, of a launch that makes no run
// because rules let no job in, or because what a push changed has no pipeline file.
type NothingToRun struct{ Why string }

func (e *NothingToRun) Error() string { return e.Why }

// hasFile reports a push or merge request to a project without a pipeline file as
// [NothingToRun]: not every project has one.
func (n Launch) hasFile(ctx context.Context, code *source.Commit) error {
	if n.Flow != nil || !n.pushed() {
		return nil
	}
	file, _ := definition.SplitFlow(n.file())
	var err error
	if file == "" {
		_, err = definition.DefaultFile(ctx, code)
	} else if found, failed := code.Exists(ctx, file); failed != nil {
		return failed
	} else if !found {
		err = errs.E(errs.NotFound, "no %s in %s", file, code.At())
	}
	if errs.Is(err, errs.NotFound) {
		return errs.E(errs.NotFound, "%w", &NothingToRun{fmt.Sprintf("no run of %s: %v", n.name(), err)})
	}
	return err
}

// pushed reports whether a look made the launch.
func (n Launch) pushed() bool {
	return n.Trigger == pipeline.TriggerPush || n.Trigger == pipeline.TriggerMergeRequest
}

// skipNote says why the run is made as skipped, "" if it is not.
func (n Launch) skipNote(message string) string {
	switch {
	case n.Skip:
		return "skipped: the push has the option ci.skip"
	case n.pushed() && SkipsCI(message):
		return "skipped: the message of the commit has [ci skip]"
	}
	return ""
}

// Launch makes a run. It is on disk when Launch returns. Beside the errors of
// [Launcher.Resolve]: NotFound with [NothingToRun].
func (l *Launcher) Launch(ctx context.Context, n Launch) (store.Run, error) {
	ids, err := l.Store.NewIDs(ctx, "run", 1)
	if err != nil {
		return store.Run{}, err
	}
	r, err := l.Resolve(ctx, n, ids[0])
	if err != nil {
		return store.Run{}, err
	}
	d := r.Definition
	if d.Pipeline == nil {
		return store.Run{}, errs.E(errs.NotFound, "%w", &NothingToRun{fmt.Sprintf("no run of %s: %s", n.name(), d.WhyNone())})
	}
	p, err := l.prepare(ctx, n, d)
	if err != nil {
		return store.Run{}, err
	}
	kept := d.RunFacts()
	kept.Trust = n.Trust
	ref := d.Ref()
	if r.Image != nil {
		kept.Image, ref = r.Image.Pinned, r.Image.Name
		p = definition.WithImage(p, kept.Image)
	}
	facts, err := json.Marshal(kept)
	if err != nil {
		return store.Run{}, err
	}
	run := NewRun{
		ID: ids[0], Project: n.Project.ID, Pipeline: p, Facts: facts, Source: n.Trigger,
		Ref: ref, SHA: r.Commit.Commit, Actor: n.Actor, Priority: n.Priority, Protected: d.Facts.Protected && !n.Trust.Fork,
		Parent: n.parent, ParentPos: n.parentPos, ParentAttempt: n.parentAttempt, Key: n.Key,
		Skip: n.skipNote(d.Facts.Message),
	}
	if n.Flow != nil {
		run.Flow, run.Priority = n.Flow.ID, cmp.Or(n.Priority, n.Flow.Priority)
		run.Concurrency, run.WhenBusy, run.Slots = n.Flow.Concurrency, WhenBusy(n.Flow.WhenBusy), n.Flow.Slots
	}
	return l.Scheduler.Create(ctx, run)
}

// prepare adds what is not in the configuration: names of resource groups and
// the tags of the flow's runtime, which lead to its runners.
func (l *Launcher) prepare(ctx context.Context, n Launch, d *definition.Definition) (*pipeline.Pipeline, error) {
	p, err := pipeline.WithGroupNames(d.Pipeline, func(j *pipeline.Job) []pipeline.Variable {
		below, above := d.JobVariables(j)
		return pipeline.Merge(below, j.Variables, above)
	})
	if err != nil || n.Flow == nil || n.Flow.Runtime == "" {
		return p, err
	}
	runtime, err := l.Store.Runtime(ctx, n.Flow.Runtime)
	if err != nil {
		return nil, err
	}
	return definition.WithTags(p, runtime.Tags), nil
}

// resolve turns the ref into a commit that the mirror has.
func (n Launch) resolve(ctx context.Context, remote *git.Remote) (git.Resolved, error) {
	ref, pinned, follow := n.Ref, n.Commit, false
	if f := n.Flow; f != nil && ref == (git.Ref{}) {
		ref = git.Ref{Kind: git.Kind(f.RefKind), Name: f.Ref}
		follow = f.FollowTag
		if ref.Kind == git.KindCommit {
			ref.Name = cmp.Or(f.Pinned, f.Ref)
		}
	}
	if pinned != "" {
		c, err := remote.Resolve(ctx, git.Ref{Kind: git.KindCommit, Name: pinned})
		if err != nil {
			return c, err
		}
		if ref.Kind == git.KindBranch || ref.Kind == git.KindTag {
			c.Kind, c.Name = ref.Kind, ref.Name
		}
		return c, remote.Fetch(ctx, c, 1)
	}
	// Two steps: Update would hold the mirror's lock while it is connected.
	c, err := remote.Resolve(ctx, ref)
	if err != nil {
		return c, n.moved(err)
	}
	if f := n.Flow; f != nil && c.Kind == git.KindTag && f.Ref == c.Name && !follow {
		if err := c.Expect(f.Pinned); err != nil {
			return c, errs.E(errs.Conflict, "%w: refline flow register %s --tag %s; or let it follow the tag: refline flow set %s --follow-tag", err, f.Path, f.Ref, f.Name)
		}
	}
	return c, remote.Fetch(ctx, c, 1)
}

// moved says at which commit a tag was that is gone.
func (n Launch) moved(err error) error {
	if f := n.Flow; f != nil && n.Ref == (git.Ref{}) && f.RefKind == string(git.KindTag) && f.Pinned != "" && errs.Is(err, errs.NotFound) {
		return errs.E(errs.Conflict, "tag %q of flow %s was at %.12s when it was registered and is deleted now: %w", f.Ref, f.Name, f.Pinned, err)
	}
	return err
}

func (n Launch) file() string {
	if n.Flow != nil {
		return cmp.Or(n.File, n.Flow.Path, n.Project.File)
	}
	return cmp.Or(n.File, n.Project.File)
}

// inputs are those of the flow with those of this run above.
func (n Launch) inputs() map[string]any {
	if n.Flow == nil {
		return n.Inputs
	}
	return MergeInputs(n.Flow.Inputs, n.Inputs)
}

// MergeInputs returns inputs with others above them.
func MergeInputs(below, above map[string]any) map[string]any {
	if len(below) == 0 {
		return above
	}
	all := maps.Clone(below)
	maps.Copy(all, above)
	return all
}

func (n Launch) name() string {
	if n.Flow != nil {
		return fmt.Sprintf("flow %s", n.Flow.Name)
	}
	return fmt.Sprintf("project %s", n.Project.Name)
}
