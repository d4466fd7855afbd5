//go:build unix

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"refline/internal/api"
)

// process is a server or a runner, which is ended and started again.
type process struct {
	name string
	args []string
	env  []string
	log  string

	mu     sync.Mutex
	cmd    *exec.Cmd
	exited chan struct{}
}

func (p *process) start() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	out, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer out.Close()
	fmt.Fprintf(out, "--- started %s\n", time.Now().Format(time.TimeOnly))
	p.cmd = exec.Command(p.args[0], p.args[1:]...)
	p.cmd.Env, p.cmd.Stdout, p.cmd.Stderr = p.env, out, out
	if err := p.cmd.Start(); err != nil {
		return err
	}
	cmd, exited := p.cmd, make(chan struct{})
	p.exited = exited
	go func() { _ = cmd.Wait(); close(exited) }()
	return nil
}

// runs reports whether the process has not ended by itself.
func (p *process) runs() bool {
	select {
	case <-p.exited:
		return false
	default:
		return true
	}
}

func (p *process) signal(s syscall.Signal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.runs() {
		_ = p.cmd.Process.Signal(s)
	}
}

// kill ends the process at once and waits for that.
func (p *process) kill() {
	p.signal(syscall.SIGKILL)
	<-p.exited
}

// server is a server with the proxy that its runners use.
type server struct {
	process
	data   string
	url    string
	proxy  *proxy
	behind string // URL of the proxy
	client *api.Client
}

// startServer starts server number i and waits until it answers.
func (s *soak) startServer(i int) (*server, error) {
	data := filepath.Join(s.disk, fmt.Sprintf("server%d", i))
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	address := listener.Addr().String()
	_ = listener.Close() // the server listens there each time it starts
	v := &server{data: data, url: "http://" + address}
	v.name, v.log = fmt.Sprintf("server %d", i), filepath.Join(s.dir, fmt.Sprintf("server%d.log", i))
	v.args = []string{s.program, "server", "--listen", address, "--data", data, "-j", "2", "--min-free", "0"}
	v.env = append(s.environ(), "REFLINE_DATABASE="+s.database)
	if i > 0 {
		v.args = append(v.args, "--key-file", filepath.Join(s.disk, "server0", "secret-keys"))
	}
	if err := v.start(); err != nil {
		return nil, err
	}
	if v.proxy, err = newProxy(v.url); err != nil {
		return nil, err
	}
	front, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	v.behind = "http://" + front.Addr().String()
	go func() { _ = (&http.Server{Handler: v.proxy, ReadHeaderTimeout: time.Minute}).Serve(front) }()
	return v, v.connect()
}

// connect waits until the server answers to its owner.
func (v *server) connect() error {
	var err error
	for began := time.Now(); time.Since(began) < time.Minute; time.Sleep(50 * time.Millisecond) {
		var at struct{ URL string }
		text, readErr := os.ReadFile(filepath.Join(v.data, "server.json"))
		token, tokenErr := os.ReadFile(filepath.Join(v.data, "owner-token"))
		if readErr != nil || tokenErr != nil || json.Unmarshal(text, &at) != nil {
			continue
		}
		if v.client, err = api.NewClient(v.url, strings.TrimSpace(string(token)), nil); err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		_, err = v.client.Projects(ctx)
		cancel()
		if err == nil {
			return nil
		}
	}
	return fmt.Errorf("%s does not answer within a minute: %w; its log is %s", v.name, err, v.log)
}

// startRunner starts a runner that reaches a server through its proxy.
func (s *soak) startRunner(i int) (*process, error) {
	to := s.servers[i%len(s.servers)]
	token, err := s.servers[0].client.AddToken(context.Background(), api.TokenInput{Name: fmt.Sprintf("runner%d", i), Runner: true, Tags: []string{"*"}})
	if err != nil {
		return nil, err
	}
	p := &process{name: fmt.Sprintf("runner %d", i), log: filepath.Join(s.dir, fmt.Sprintf("runner%d.log", i)),
		args: []string{s.program, "runner", "--url", to.behind, "--name", fmt.Sprintf("runner%d", i), "--dir", filepath.Join(s.disk, fmt.Sprintf("runner%d", i)), "--executor", "process", "-j", "3"}}
	p.env = append(s.environ(), "REFLINE_RUNNER_TOKEN="+token.Text)
	return p, p.start()
}

func (s *soak) environ() []string {
	return []string{"PATH=" + os.Getenv("PATH"), "HOME=" + filepath.Join(s.dir, "home"), "TMPDIR=" + filepath.Join(s.dir, "tmp")}
}
