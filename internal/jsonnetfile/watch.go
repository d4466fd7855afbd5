package jsonnetfile

import (
	"cmp"
	"context"
	"maps"
	"os"
	"sync"
	"time"

	"refline/internal/cfn"
	"refline/internal/cfn/lint"
	"refline/internal/diag"
	"refline/internal/jsonnet"
)

// Watcher is told what a watch finds.
type Watcher struct {
	Failed   func(error)           // it was not rendered
	Findings func(diag.List) error // of a CloudFormation template
	Note     func(text string)
	Now      func() time.Time
	Every    time.Duration // how often files are checked; 0 for the default
}

// Watch renders and checks whenever one of the files that were read, or were looked
// for in vain, changes. It reports errors and keeps watching until ctx is done.
func (r *Render) Watch(ctx context.Context, in jsonnet.Input, w Watcher) error {
	for {
		f := &fileWatch{path: r.path, read: in.Read, seen: map[string]fileStamp{}}
		in.Read = f.Read
		err := r.again(ctx, in, w)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			w.Failed(err)
			w.Note(w.Now().Format(time.TimeOnly) + " " + in.File + " is not rendered")
		}
		for !f.changed() {
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(cmp.Or(w.Every, 300*time.Millisecond)):
			}
		}
		in.Read = f.read
	}
}

// again renders and checks once.
func (r *Render) again(ctx context.Context, in jsonnet.Input, w Watcher) error {
	if err := r.Do(ctx, in); err != nil {
		return err
	}
	done := w.Now().Format(time.TimeOnly) + " " + cmp.Or(r.Output, in.File)
	found, is, err := lintTemplate(ctx, in)
	if err != nil {
		return err
	}
	if err := w.Findings(found); err != nil {
		return err
	}
	if is && len(found) == 0 {
		done += ": no errors, no warnings"
	}
	w.Note(done)
	return nil
}

// lintTemplate checks what was rendered if it is a template of CloudFormation.
func lintTemplate(ctx context.Context, in jsonnet.Input) (found diag.List, is bool, err error) {
	if in.Output != jsonnet.JSON {
		return nil, false, nil
	}
	t, err := cfn.Load(ctx, in)
	if err != nil {
		return nil, false, nil // it was rendered, so it is only not a template
	}
	if r := t.Root.Get("Resources"); r == nil || r.Kind != cfn.Map {
		return nil, false, nil
	}
	found, err = lint.Lint(ctx, t, lint.Options{})
	return found, true, err
}

// fileWatch remembers how each file was before it was first read, also those that
// were looked for in vain.
type fileWatch struct {
	path func(string) string
	read jsonnet.Read

	mu   sync.Mutex
	seen map[string]fileStamp
}

// fileStamp distinguishes versions of a file; the zero value is no file.
type fileStamp struct {
	size int64
	time time.Time
}

func (w *fileWatch) Read(path string) ([]byte, error) {
	w.mu.Lock()
	if _, known := w.seen[path]; !known {
		w.seen[path] = w.stamp(path)
	}
	w.mu.Unlock()
	return w.read(path)
}

func (w *fileWatch) stamp(path string) fileStamp {
	info, err := os.Stat(w.path(path))
	if err != nil {
		return fileStamp{}
	}
	return fileStamp{info.Size(), info.ModTime()}
}

func (w *fileWatch) changed() bool {
	w.mu.Lock()
	seen := maps.Clone(w.seen)
	w.mu.Unlock()
	for path, before := range seen {
		if w.stamp(path) != before {
			return true
		}
	}
	return false
}
