package source

import (
	"context"
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"sync"

	"refline/internal/errs"
	"refline/internal/gitlabci"
)

// Frozen is a project without its repository: the facts of one commit and the files
// that its pipelines are compiled from, as a [Recorder] kept them. What was not kept
// cannot be read any more.
type Frozen struct {
	Commit gitlabci.Facts `json:"facts"`
	Paths  []string       `json:"paths"` // of all files of the commit, sorted
	Files  []FrozenFile   `json:"files"`
}

// FrozenFile is a file as it was read: of the project, or of another one.
type FrozenFile struct {
	Asked   gitlabci.Source `json:"asked"`
	Found   gitlabci.Source `json:"found"`
	Content []byte          `json:"content"`
}

var (
	_ Project = (*Frozen)(nil)
	_ Project = (*Recorder)(nil)
)

// ParseFrozen reads what [Recorder.Freeze] returned. It may come from anywhere.
func ParseFrozen(data []byte) (*Frozen, error) {
	f := &Frozen{}
	if err := json.Unmarshal(data, f); err != nil {
		return nil, errs.E(errs.Invalid, "the kept files cannot be read: %w", err)
	}
	if f.Commit.SHA == "" {
		return nil, errs.E(errs.Invalid, "the kept files do not say of which commit they are")
	}
	slices.Sort(f.Paths)
	return f, nil
}

// Loader implements [Files].
func (f *Frozen) Loader(gitlabci.Facts) gitlabci.Loader { return frozenLoader{f} }

type frozenLoader struct{ f *Frozen }

// Read implements [gitlabci.Loader].
func (l frozenLoader) Read(_ context.Context, src gitlabci.Source) ([]byte, gitlabci.Source, error) {
	for _, k := range l.f.Files {
		if k.Asked == src {
			return k.Content, k.Found, nil
		}
	}
	if src.Kind != gitlabci.SourceLocal || src.Project != "" {
		return nil, src, errs.E(errs.Unavailable, "%s was not kept when the image was built, and an image reads no other places; build it so that the include is needed there", src.Path)
	}
	name, err := localPath(src.Path)
	if err != nil {
		return nil, src, err
	}
	for _, k := range l.f.Files {
		if k.Asked.Kind == gitlabci.SourceLocal && k.Asked.Project == "" && path.Clean(k.Asked.Path) == path.Clean(name) {
			return k.Content, k.Found, nil
		}
	}
	if l.f.has(name) {
		return nil, src, errs.E(errs.Unavailable, "%s is in the commit, but was not kept for compiling when the image was built", name)
	}
	return nil, src, errs.E(errs.NotFound, "no file %s in %s", name, l.f.At())
}

// List implements [gitlabci.Loader].
func (l frozenLoader) List(_ context.Context, src gitlabci.Source) ([]string, error) {
	if src.Kind != gitlabci.SourceLocal || src.Project != "" {
		return nil, errs.E(errs.Unavailable, "the files of %s were not kept when the image was built", src.Project)
	}
	return l.f.Paths, nil
}

func (f *Frozen) has(name string) bool {
	_, found := slices.BinarySearch(f.Paths, path.Clean(name))
	return found
}

// Exists implements [Files].
func (f *Frozen) Exists(_ context.Context, name string) (bool, error) { return f.has(name), nil }

// Facts implements [History].
func (f *Frozen) Facts(context.Context) (gitlabci.Facts, error) { return f.Commit, nil }

// Changed implements [History]: without the repository it is not known.
func (f *Frozen) Changed(context.Context, gitlabci.Facts) gitlabci.Changed { return gitlabci.Changed{} }

// MergeBase implements [History].
func (f *Frozen) MergeBase(_ context.Context, branch string) (string, error) {
	return "", errs.E(errs.NotFound, "no branch %s without the repository", branch)
}

// LastCommit implements [History].
func (f *Frozen) LastCommit(context.Context, string) (string, error) { return "", nil }

// Name implements [Labels].
func (f *Frozen) Name() string { return f.Commit.Remote }

// At implements [Labels].
func (f *Frozen) At() string { return fmt.Sprintf("the image of commit %s", short(f.Commit.SHA)) }

// Bounds of what a [Recorder] keeps beside what was read.
const (
	maxFrozenFile  = 256 << 10
	maxFrozenExtra = 8 << 20
	maxFrozen      = 12 << 20
)

// Recorder is a project that remembers what is read of it.
type Recorder struct {
	Project
	mu    sync.Mutex
	files []FrozenFile
}

// NewRecorder records reads of a project.
func NewRecorder(p Project) *Recorder { return &Recorder{Project: p} }

// Loader implements [Files].
func (r *Recorder) Loader(self gitlabci.Facts) gitlabci.Loader {
	return recordingLoader{r.Project.Loader(self), r}
}

type recordingLoader struct {
	gitlabci.Loader
	r *Recorder
}

// Read implements [gitlabci.Loader].
func (l recordingLoader) Read(ctx context.Context, src gitlabci.Source) ([]byte, gitlabci.Source, error) {
	data, found, err := l.Loader.Read(ctx, src)
	if err == nil {
		l.r.keep(FrozenFile{src, found, data})
	}
	return data, found, err
}

func (r *Recorder) keep(f FrozenFile) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !slices.ContainsFunc(r.files, func(k FrozenFile) bool { return k.Asked == f.Asked }) {
		r.files = append(r.files, f)
	}
}

// Freeze returns what was read, as text. With definitions it keeps the commit's
// pipeline files and libraries too, since rules may include others at each run.
// What a ref protects is not kept: who has the text could have written it.
func (r *Recorder) Freeze(ctx context.Context, definitions bool) ([]byte, error) {
	facts, err := r.Facts(ctx)
	if err != nil {
		return nil, err
	}
	facts.Protected, facts.BeforeSHA = false, ""
	loader := r.Loader(facts)
	local := gitlabci.Source{Kind: gitlabci.SourceLocal}
	paths, err := loader.List(ctx, local)
	if err != nil {
		return nil, err
	}
	extra := 0
	for _, name := range paths {
		if !definitions || !isDefinition(name) || extra > maxFrozenExtra {
			continue
		}
		local.Path = name
		data, found, err := r.Project.Loader(facts).Read(ctx, local)
		if err != nil || len(data) > maxFrozenFile { // a link, or data that only ends like one
			continue
		}
		extra += len(data)
		r.keep(FrozenFile{local, found, data})
	}
	slices.SortFunc(r.files, func(a, b FrozenFile) int {
		return slices.Compare([]string{string(a.Asked.Kind), a.Asked.Project, a.Asked.Path, a.Asked.Ref}, []string{string(b.Asked.Kind), b.Asked.Project, b.Asked.Path, b.Asked.Ref})
	})
	text, err := json.Marshal(Frozen{Commit: facts, Paths: paths, Files: r.files})
	if err == nil && len(text) > maxFrozen {
		err = errs.E(errs.Invalid, "the files that the flows are compiled from have more than %d MiB", maxFrozen>>20)
	}
	return text, err
}

// isDefinition reports whether a file may be a part of a pipeline's definition.
func isDefinition(name string) bool {
	return slices.Contains([]string{".yml", ".yaml", ".jsonnet", ".libsonnet"}, path.Ext(name))
}
