package docker_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/moby/moby/client"
	"golang.org/x/sys/unix"

	"refline/internal/errs"
	"refline/internal/executor"
	"refline/internal/executor/docker"
	"refline/internal/executor/executortest"
)

// registry serves one image under any name, to who has the password.
type registry struct {
	host     string
	blobs    map[string][]byte // by digest
	manifest []byte
	password string // empty: for everybody
	asked    atomic.Int32
}

const manifestType = "application/vnd.docker.distribution.manifest.v2+json"

func digest(b []byte) string { return fmt.Sprintf("sha256:%x", sha256.Sum256(b)) }

// newRegistry starts a registry on the loopback address of the engine, which
// asks no TLS there.
func newRegistry(t *testing.T, password string) *registry {
	t.Helper()
	root, err := newBusybox()
	if err != nil {
		t.Fatal(err)
	}
	layer, err := io.ReadAll(root.tar())
	if err != nil {
		t.Fatal(err)
	}
	conf, err := json.Marshal(map[string]any{
		"architecture": runtime.GOARCH, "os": "linux", "config": map[string]any{"Env": []string{"PATH=/bin"}},
		"rootfs": map[string]any{"type": "layers", "diff_ids": []string{digest(layer)}},
	})
	if err != nil {
		t.Fatal(err)
	}
	piece := func(kind string, b []byte) map[string]any {
		return map[string]any{"mediaType": "application/vnd.docker." + kind, "size": len(b), "digest": digest(b)}
	}
	manifest, err := json.Marshal(map[string]any{
		"schemaVersion": 2, "mediaType": manifestType, "config": piece("container.image.v1+json", conf),
		"layers": []any{piece("image.rootfs.diff.tar", layer)},
	})
	if err != nil {
		t.Fatal(err)
	}
	r := &registry{blobs: map[string][]byte{digest(layer): layer, digest(conf): conf}, manifest: manifest, password: password}
	l := listenAtEngine(t)
	server := &httptest.Server{Listener: l, Config: &http.Server{Handler: r}}
	server.Start()
	t.Cleanup(server.Close)
	r.host = l.Addr().String()
	return r
}

func (r *registry) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if _, password, _ := req.BasicAuth(); r.password != "" && password != r.password {
		w.Header().Set("Www-Authenticate", `Basic realm="test"`)
		http.Error(w, `{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}`, http.StatusUnauthorized)
		return
	}
	path := req.URL.Path
	last := path[strings.LastIndexByte(path, '/')+1:]
	switch {
	case path == "/v2/":
	case strings.Contains(path, "/manifests/") && !strings.Contains(path, "absent"):
		r.asked.Add(1)
		w.Header().Set("Content-Type", manifestType)
		w.Header().Set("Docker-Content-Digest", digest(r.manifest))
		http.ServeContent(w, req, "", time.Time{}, bytes.NewReader(r.manifest))
	case strings.Contains(path, "/blobs/") && r.blobs[last] != nil:
		http.ServeContent(w, req, "", time.Time{}, bytes.NewReader(r.blobs[last]))
	default:
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprint(w, `{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}`)
	}
}

// listenAtEngine listens on the loopback address of the network namespace that
// the engine is in: its process is the other end of its socket.
func listenAtEngine(t *testing.T) net.Listener {
	t.Helper()
	socket, ok := strings.CutPrefix(os.Getenv(hostEnv), "unix://")
	if !ok {
		t.Skip("NOT TESTED: the engine has no socket here, so its network cannot be entered")
	}
	conn, err := net.Dial("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	raw, err := conn.(*net.UnixConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var peer *unix.Ucred
	var perr error
	if err := raw.Control(func(fd uintptr) { peer, perr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) }); err != nil || perr != nil {
		t.Fatal(err, perr)
	}
	type result struct {
		l   net.Listener
		err error
	}
	done := make(chan result)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends in the other namespace
		ns, err := os.Open(fmt.Sprintf("/proc/%d/ns/net", peer.Pid))
		if err == nil {
			defer ns.Close()
			err = unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET)
		}
		var l net.Listener
		if err == nil {
			l, err = net.Listen("tcp", "127.0.0.1:0")
		}
		done <- result{l, err}
	}()
	r := <-done
	if r.err != nil {
		t.Skip("NOT TESTED: the engine's network cannot be entered: ", r.err)
	}
	return r.l
}

// pullJob starts a job by a user whose Docker configuration is config.
func pullJob(t *testing.T, config string, spec executor.Spec) (string, error) {
	t.Helper()
	home := t.TempDir()
	if config != "" {
		if err := os.MkdirAll(filepath.Join(home, ".docker"), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(home, ".docker/config.json"), []byte(config), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	e := docker.New(docker.Options{Host: os.Getenv(hostEnv), Home: home, Getenv: func(string) string { return "" }})
	defer e.Close()
	log := &executortest.Buffer{}
	spec.RunID, spec.JobID, spec.Log = "pull", "job", log
	s, err := e.Start(t.Context(), spec)
	if err == nil {
		err = s.Close(t.Context())
	}
	return log.String(), err
}

func auths(host, password string) string {
	return fmt.Sprintf(`{"auths":{%q:{"auth":%q}}}`, host, base64.StdEncoding.EncodeToString([]byte("user:"+password)))
}

func TestPull(t *testing.T) {
	t.Parallel()
	api := engine(t)
	const secret = "pull-s3cr3t"
	private, public := newRegistry(t, secret), newRegistry(t, "")
	remove := func(name string) {
		_, _ = api.ImageRemove(t.Context(), name, client.ImageRemoveOptions{Force: true})
	}
	for _, c := range []struct {
		name, image string
		policy      []string
		user, job   string // configurations
		kind        errs.Kind
		ok          bool
		log         string
	}{
		{name: "public", image: public.host + "/group/public:1", ok: true, log: "pulling image"},
		{name: "platform", image: public.host + "/group/public:2", ok: true},
		{name: "absent", image: public.host + "/group/absent:1", kind: errs.NotFound},
		{name: "never", image: public.host + "/group/never:1", policy: []string{"never"}, kind: errs.NotFound},
		{name: "never, then always", image: public.host + "/group/public:3", policy: []string{"never", "always"}, ok: true, log: "trying the pull policy always"},
		{name: "no credentials", image: private.host + "/group/private:1", kind: errs.Denied},
		{name: "wrong credentials", image: private.host + "/group/private:2", user: auths(private.host, "wrong-s3cr3t"), kind: errs.Denied},
		{name: "the user's credentials", image: private.host + "/group/private:3", user: auths(private.host, secret), ok: true},
		{name: "DOCKER_AUTH_CONFIG", image: private.host + "/group/private:4", job: auths(private.host, secret), user: auths(private.host, "wrong"), ok: true},
		{name: "no registry", image: "127.0.0.1:1/group/app:1", kind: errs.Unavailable},
	} {
		t.Run(c.name, func(t *testing.T) {
			defer remove(c.image)
			log, err := pullJob(t, c.user, executor.Spec{Image: executor.Image{Name: c.image, PullPolicy: c.policy}, DockerAuthConfig: c.job})
			if c.ok != (err == nil) || err != nil && (errs.KindOf(err) != c.kind || !strings.Contains(err.Error(), c.image)) {
				t.Errorf("got %v (%v), want ok %v, kind %v with the image\n%s", err, errs.KindOf(err), c.ok, c.kind, log)
			}
			if !strings.Contains(log, c.log) {
				t.Errorf("the log does not say %q: %s", c.log, log)
			}
			if strings.Contains(fmt.Sprint(log, err), "s3cr3t") {
				t.Errorf("a secret is shown: %s %v", log, err)
			}
		})
	}
	t.Run("when it is there", func(t *testing.T) {
		image := public.host + "/group/public:again"
		defer remove(image)
		for _, step := range []struct {
			policy string
			asks   int32
		}{{"always", 1}, {"if-not-present", 0}, {"never", 0}, {"always", 1}} {
			before := public.asked.Load()
			if _, err := pullJob(t, "", executor.Spec{Image: executor.Image{Name: image, PullPolicy: []string{step.policy}}}); err != nil {
				t.Fatalf("%s: %v", step.policy, err)
			}
			if got := public.asked.Load() - before; min(got, 1) != step.asks {
				t.Errorf("%s: asked the registry %d times, want %d", step.policy, got, step.asks)
			}
		}
	})
}
