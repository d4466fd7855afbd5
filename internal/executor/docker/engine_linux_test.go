package docker_test

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/moby/moby/client"

	"refline/internal/errs"
	"refline/internal/executor"
	"refline/internal/executor/docker"
	"refline/internal/executor/executortest"
)

// wire is a way to the engine that can be cut.
type wire struct {
	listener net.Listener
	mu       sync.Mutex
	conns    []net.Conn
	cut      bool
	group    sync.WaitGroup
}

func newWire(t *testing.T) *wire {
	t.Helper()
	engine, ok := strings.CutPrefix(os.Getenv(hostEnv), "unix://")
	if !ok {
		t.Skip("NOT TESTED: the engine has no socket here")
	}
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "wire.sock"))
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{listener: l}
	w.group.Go(func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("unix", engine)
			if err != nil || !w.keep(near, far) {
				near.Close()
				continue
			}
			w.group.Go(func() { join(far, near) })
			w.group.Go(func() { join(near, far) })
		}
	})
	t.Cleanup(w.close)
	return w
}

func join(to, from net.Conn) {
	_, _ = io.Copy(to, from)
	_ = to.(*net.UnixConn).CloseWrite()
}

func (w *wire) keep(conns ...net.Conn) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.conns = append(w.conns, conns...)
	return !w.cut
}

// close cuts all connections and accepts no new ones.
func (w *wire) close() {
	w.mu.Lock()
	w.cut = true
	_ = w.listener.Close()
	for _, c := range w.conns {
		_ = c.Close()
	}
	w.mu.Unlock()
	w.group.Wait()
}

func TestEngineThatGoesAway(t *testing.T) {
	t.Parallel()
	api := engine(t)
	w := newWire(t)
	e := docker.New(docker.Options{Host: "unix://" + w.listener.Addr().String(), Home: t.TempDir(), Getenv: func(string) string { return "" }})
	defer e.Close()
	image := box()
	image.PullPolicy = []string{"never"}
	spec := executor.Spec{RunID: runOf(t), JobID: "job", Image: image, Log: &executortest.Buffer{},
		Mounts: []executor.Mount{{Source: t.TempDir(), Target: "/job"}}}
	s, err := e.Start(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	var out executortest.Buffer
	go func() {
		out.Await(t.Context(), "ready")
		w.close()
	}()
	_, err = s.Exec(t.Context(), executor.Command{Args: []string{"sh", "-c", "echo ready; sleep 1000"}, Stdout: &out, Stderr: &out})
	if !errs.Is(err, errs.Unavailable) || !strings.Contains(err.Error(), "no longer answers") {
		t.Errorf("got %v, want that the engine is gone", err)
	}
	err = s.Close(t.Context())
	if err == nil || !strings.Contains(err.Error(), "a later run removes") || strings.Contains(err.Error(), "\n") {
		t.Errorf("close: got %v, want one line that says what becomes of the container", err)
	}
	list, err := api.ContainerList(t.Context(), client.ContainerListOptions{All: true, Filters: client.Filters{}.Add("label", "refline.run="+spec.RunID)})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range list.Items {
		if _, err := api.ContainerRemove(context.Background(), c.ID, client.ContainerRemoveOptions{Force: true}); err != nil {
			t.Error(err)
		}
	}
}

// A registry that takes a request and says nothing must not keep a job from
// being stopped.
func TestStopWhilePulling(t *testing.T) {
	t.Parallel()
	engine(t)
	l := listenAtEngine(t)
	asked := make(chan struct{})
	var once sync.Once
	var group sync.WaitGroup
	var mu sync.Mutex
	var conns []net.Conn
	group.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			conns = append(conns, c)
			mu.Unlock()
			once.Do(func() { close(asked) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		group.Wait()
		for _, c := range conns {
			_ = c.Close()
		}
	})
	ctx, cancel := context.WithCancelCause(t.Context())
	stop := errors.New("stop, says the test")
	go func() {
		<-asked
		cancel(stop)
	}()
	_, err := newExecutor(t).Start(ctx, executor.Spec{
		RunID: runOf(t), JobID: "job", Image: executor.Image{Name: l.Addr().String() + "/app:1"}, Log: &executortest.Buffer{},
	})
	if !errors.Is(err, stop) {
		t.Errorf("got %v, want the cause", err)
	}
}
