package docker

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/moby/moby/client"

	"refline/internal/errs"
)

// address is where an engine should be.
type address struct {
	host   string   // as in DOCKER_HOST
	source string   // where the address is from, for errors
	ssh    []string // command that reaches it; nil without SSH
	certs  string   // folder with ca.pem, cert.pem and key.pem; empty: no TLS
}

func (a address) options() []client.Opt {
	if a.ssh != nil {
		// The host is only a name in requests, the same as the docker command's.
		return []client.Opt{client.WithHost("http://docker.example.com"), client.WithDialContext(dialSSH(a.ssh)), client.WithUserAgent("refline")}
	}
	opts := []client.Opt{client.WithHost(a.host), client.WithUserAgent("refline")}
	if a.certs != "" {
		file := func(name string) string {
			path := filepath.Join(a.certs, name)
			if _, err := os.Stat(path); err != nil {
				return ""
			}
			return path
		}
		opts = append(opts, client.WithTLSClientConfig(file("ca.pem"), file("cert.pem"), file("key.pem")))
	}
	return opts
}

const howToGet = "install Docker (https://docs.docker.com/engine/install) or Podman with its socket " +
	"(systemctl --user enable --now podman.socket), start it, or set DOCKER_HOST"

func (a address) unreachable(err error) error {
	if a.ssh != nil {
		return errs.E(errs.Unavailable, "no engine answers at %s (%s): %w; `ssh` must log in there without asking, and find docker or podman", a.host, a.source, err)
	}
	if errors.Is(err, fs.ErrPermission) || strings.Contains(err.Error(), "permission denied") {
		return errs.E(errs.Denied, "the engine at %s (%s) may not be used: permission denied; add the user to the group that owns the socket", a.host, a.source)
	}
	return errs.E(errs.Unavailable, "no engine answers at %s (%s): %w; %s", a.host, a.source, err, howToGet)
}

// findEngine returns the address of the engine. A configured address is not tried
// here; the usual sockets are.
func (o Options) findEngine(ctx context.Context) (address, error) {
	if o.Host != "" {
		return o.named(o.Host, "as configured")
	}
	if host := o.Getenv("DOCKER_HOST"); host != "" {
		return o.named(host, "by DOCKER_HOST")
	}
	name := o.Getenv("DOCKER_CONTEXT")
	source := "by DOCKER_CONTEXT"
	if name == "" {
		conf, err := readConfig(o.configDir())
		if err != nil {
			return address{}, err
		}
		name, source = conf.CurrentContext, "by the Docker context "+conf.CurrentContext
	}
	if name != "" && name != "default" {
		return o.context(name, source)
	}
	return o.usual(ctx)
}

func (o Options) configDir() string {
	if dir := o.Getenv("DOCKER_CONFIG"); dir != "" {
		return dir
	}
	return filepath.Join(o.Home, ".docker")
}

// named checks a configured address.
func (o Options) named(host, source string) (address, error) {
	a := address{host: host, source: source}
	if strings.HasPrefix(host, "ssh://") {
		var err error
		if a.ssh, err = sshCommand(host); err != nil {
			return a, fmt.Errorf("%s: %w", source, err)
		}
		return a, nil
	}
	if o.Getenv("DOCKER_TLS_VERIFY") != "" && strings.HasPrefix(host, "tcp://") {
		a.certs = o.Getenv("DOCKER_CERT_PATH")
		if a.certs == "" {
			a.certs = o.configDir()
		}
	}
	return a, nil
}

// context reads a context of the docker command. The folder's name is the hash of
// the context's.
func (o Options) context(name, source string) (address, error) {
	id := contextID(name)
	dir := filepath.Join(o.configDir(), "contexts")
	path := filepath.Join(dir, "meta", id, "meta.json")
	b, err := os.ReadFile(path)
	if err != nil {
		return address{}, errs.E(errs.NotFound, "Docker context %q (%s): %w; `docker context ls` lists all contexts", name, source, err)
	}
	var meta struct {
		Endpoints map[string]struct{ Host string }
	}
	if err := json.Unmarshal(b, &meta); err != nil {
		return address{}, errs.E(errs.Invalid, "Docker context %q: %s: %w", name, path, err)
	}
	end := meta.Endpoints["docker"]
	if end.Host == "" {
		return address{}, errs.E(errs.Invalid, "Docker context %q: %s has no host", name, path)
	}
	a, err := o.named(end.Host, source)
	if certs := filepath.Join(dir, "tls", id, "docker"); err == nil && isDir(certs) {
		a.certs = certs
	}
	return a, err
}

func contextID(name string) string {
	sum := sha256.Sum256([]byte(name))
	return hex.EncodeToString(sum[:])
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// ErrNoEngine means that no engine is configured, and none was found.
var ErrNoEngine = errors.New("no Docker or Podman engine answers")

// usual tries the default sockets of engines, Docker's first.
func (o Options) usual(ctx context.Context) (address, error) {
	if runtime.GOOS == "windows" {
		return address{host: client.DefaultDockerHost, source: "the default socket"}, nil
	}
	var denied error
	sockets := o.usualSockets()
	for _, socket := range sockets {
		a := address{host: "unix://" + socket, source: "the default socket"}
		conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "unix", socket)
		if err == nil {
			return a, conn.Close()
		}
		if errors.Is(err, fs.ErrPermission) && denied == nil {
			denied = a.unreachable(err)
		}
	}
	if denied != nil {
		return address{}, denied
	}
	return address{}, errs.E(errs.Unavailable, "%w (tried %s); %s", ErrNoEngine, strings.Join(sockets, ", "), howToGet)
}

func (o Options) usualSockets() []string {
	sockets := []string{"/var/run/docker.sock"}
	if dir := o.Getenv("XDG_RUNTIME_DIR"); dir != "" {
		sockets = append(sockets, dir+"/docker.sock", dir+"/podman/podman.sock")
	}
	if o.Home != "" {
		sockets = append(sockets, filepath.Join(o.Home, ".docker/run/docker.sock"))
	}
	return append(sockets, "/run/podman/podman.sock")
}
