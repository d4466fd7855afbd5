package main

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

// watchEvery is how often files are looked at.
const watchEvery = 300 * time.Millisecond

// watchRender renders and checks whenever one of the files that were looked
// for is another, until it is stopped. Errors are told and waited for to go
// away.
func watchRender(ctx context.Context, e *env, o *renderOptions, in jsonnet.Input) error {
	ctx, cancel := e.orderly(ctx)
	defer cancel()
	for {
		w := &fileWatch{e: e, read: in.Read, seen: map[string]fileStamp{}}
		in.Read = w.Read
		err := o.again(ctx, e, in)
		if ctx.Err() != nil {
			return nil
		}
		report(e, err)
		if err != nil {
			e.notef("%s %s is not rendered", e.now().Format(time.TimeOnly), in.File)
		}
		for !w.changed() {
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(watchEvery):
			}
		}
		in.Read = w.read
	}
}

// again renders and checks once, and says what came of it.
func (o *renderOptions) again(ctx context.Context, e *env, in jsonnet.Input) error {
	res, err := o.render(ctx, in)
	if err != nil {
		return err
	}
	if err := o.write(e, res); err != nil {
		return err
	}
	done := e.now().Format(time.TimeOnly) + " " + cmp.Or(o.output, in.File)
	found, is, err := o.lint(ctx, in)
	if err != nil {
		return err
	}
	if err := e.printRuled(found); err != nil {
		return err
	}
	if is && len(found) == 0 {
		done += ": no errors, no warnings"
	}
	e.notef("%s", done)
	return nil
}

// lint checks what was rendered when it is a template of CloudFormation.
func (o *renderOptions) lint(ctx context.Context, in jsonnet.Input) (found diag.List, is bool, err error) {
	if in.Output != jsonnet.JSON {
		return nil, false, nil
	}
	t, err := cfn.Load(ctx, in)
	if err != nil {
		return nil, false, err
	}
	if r := t.Root.Get("Resources"); r == nil || r.Kind != cfn.Map {
		return nil, false, nil
	}
	found, err = lint.Lint(ctx, t, lint.Options{})
	return found, true, err
}

// fileWatch remembers how each file was before it was first read, those that
// were looked for in vain too.
type fileWatch struct {
	e    *env
	read jsonnet.Read

	mu   sync.Mutex
	seen map[string]fileStamp
}

// fileStamp tells versions of a file apart; the zero value is no file.
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
	info, err := os.Stat(w.e.path(path))
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
