package executor

import (
	"context"
	"errors"
	"slices"
	"sync"

	"refline/internal/errs"
)

// Kind is one technology that jobs can run in, under the name that users write.
type Kind struct {
	Name    string
	Summary string // for a flag's help: what runs where
	// Isolated says that a job runs in its image there, as Executor.Isolated does.
	Isolated bool
	// Open makes the executor and finds what that needs, such as an engine that
	// answers.
	Open func(ctx context.Context) (Executor, error)
	// Launcher, if set, starts runners elsewhere instead: there is no Open then.
	Launcher func(ctx context.Context) (Launcher, error)
}

// Registry has the kinds of a program by name. It opens each when the first job
// wants it, and once. It is safe for concurrent use.
type Registry struct {
	kinds []Kind
	mu    sync.Mutex
	open  map[string]opened
}

type opened struct {
	executor Executor
	err      error
}

// NewRegistry takes the kinds in the order of preference.
func NewRegistry(kinds ...Kind) *Registry {
	return &Registry{kinds: kinds, open: map[string]opened{}}
}

// Kinds are all that were registered, in order.
func (r *Registry) Kinds() []Kind { return r.kinds }

// Names are the names of all kinds, in order.
func (r *Registry) Names() []string {
	names := make([]string, len(r.kinds))
	for i, k := range r.kinds {
		names[i] = k.Name
	}
	return names
}

// Open returns the executor of a kind. An error is remembered, unless ctx was
// done.
func (r *Registry) Open(ctx context.Context, name string) (Executor, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if o, ok := r.open[name]; ok {
		return o.executor, o.err
	}
	i := slices.IndexFunc(r.kinds, func(k Kind) bool { return k.Name == name })
	if i < 0 || r.kinds[i].Open == nil {
		return nil, errs.E(errs.Invalid, "no executor %q", name)
	}
	ex, err := r.kinds[i].Open(ctx)
	if err == nil || ctx.Err() == nil {
		r.open[name] = opened{ex, err}
	}
	return ex, err
}

// Close closes what was opened.
func (r *Registry) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	var all []error
	for _, o := range r.open {
		if o.executor != nil {
			all = append(all, o.executor.Close())
		}
	}
	r.open = map[string]opened{}
	return errors.Join(all...)
}
