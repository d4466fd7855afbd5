package git

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"

	"refline/internal/errs"
)

// Remote is a repository by URL, with its mirror and its pool of checkouts in a
// cache on this computer. Its methods may be called by several goroutines and
// by several processes on one cache at the same time.
//
//	CACHE/NAME-HASH/
//	  lock         held while the mirror changes
//	  repo.git     bare mirror; have/DEPTH/COMMIT says which commits it holds whole
//	  pool         checkouts that no job has touched
//	  pool.lock    held while the pool changes
//	  tmp          what is being made or removed
type Remote struct {
	addr   address
	access Access
	dir    string
}

// NewRemote checks the URL and names the mirror's place below cache. It neither
// touches the disk nor the network.
//
// URLs are https, ssh (also user@host:path), http to this computer or where
// access allows it, git:// for Trust User, and folders or file:// where access
// allows them; all else is Invalid or Denied. A user name and a token in an
// https URL are taken out of it at once and only ever reach git's credential
// protocol.
func NewRemote(rawURL, cache string, access Access) (*Remote, error) {
	addr, err := parseAddress(rawURL, access)
	if err != nil {
		return nil, err
	}
	cache, err = filepath.Abs(cache)
	if err != nil {
		return nil, errs.E(errs.Invalid, "%w", err)
	}
	return &Remote{addr, access, filepath.Join(cache, folderName(addr))}, nil
}

func folderName(addr address) string {
	sum := sha256.Sum256([]byte(strings.TrimRight(addr.text, "/")))
	name := strings.Map(func(c rune) rune {
		if c < 0x80 && (isAlnum(byte(c)) || c == '-' || c == '_' || c == '.') {
			return c
		}
		return '_'
	}, addr.name())
	name = strings.TrimLeft(name[:min(len(name), 40)], ".-")
	return name + "-" + hex.EncodeToString(sum[:8])
}

// URL is the repository's URL without credentials, fit to be shown and stored.
func (r *Remote) URL() string { return or(r.access.Shown, r.addr.text) }

// hide takes a URL that is a secret out of an error.
func (r *Remote) hide(err error) error {
	if err == nil || r.access.Shown == "" {
		return err
	}
	before := err.Error()
	text := strings.ReplaceAll(before, r.addr.text, r.access.Shown)
	if host := r.addr.hostname(); host != "" && !strings.Contains(r.access.Shown, host) {
		text = strings.ReplaceAll(text, host, "[secret]")
	}
	if path := strings.Trim(r.addr.path, "/"); path != "" && !strings.Contains(r.access.Shown, path) {
		text = strings.ReplaceAll(text, path, "[secret]")
	}
	if text == before {
		return err
	}
	return errs.E(errs.KindOf(err), "%s", text)
}

// Dir is the folder of this repository in the cache.
func (r *Remote) Dir() string { return r.dir }

func (r *Remote) mirror() string { return filepath.Join(r.dir, "repo.git") }

func (r *Remote) objects() string { return filepath.Join(r.mirror(), "objects") }

// Borrowed are the object folders that checkouts of this repository need, to be
// mounted read-only where a job runs elsewhere.
func (r *Remote) Borrowed() []string { return []string{r.objects()} }

// home is a folder that does not exist, so that nothing is read from it.
func (r *Remote) home() string { return filepath.Join(r.dir, "no-home") }

// own prepares a command that works on the mirror or on a checkout and makes no
// connection.
func (r *Remote) own(args ...string) process {
	env := append(r.fenced(ownEnvironment(r.access.Environ, r.home())), "GIT_ALLOW_PROTOCOL=")
	return process{args: args, dir: r.dir, env: env, config: hardenedFiles()}
}

// fenced keeps git from finding a repository around the cache, or around the
// current folder, and from using its configuration.
func (r *Remote) fenced(env []string) []string {
	return append(env, "GIT_CEILING_DIRECTORIES="+filepath.Dir(r.dir))
}

// ask runs a git command that connects to the remote, again after a fault that may
// pass.
func (r *Remote) ask(ctx context.Context, p process) (out []byte, err error) {
	defer func() { err = r.hide(err) }()
	t, err := r.access.talk(ctx, r.addr, r.home())
	if err != nil {
		return nil, err
	}
	if p.dir == "" {
		p.dir = r.dir
	}
	if err := os.MkdirAll(r.dir, 0o700); err != nil {
		return nil, onDisk(err, "the cache folder")
	}
	p.env, p.config = append(r.fenced(t.env), p.env...), append(t.settings, p.config...)
	err = r.attempts().retry(ctx, r.URL(), func() error {
		var err error
		out, err = p.output(ctx)
		return translate(err, r.addr, t.secrets)
	})
	if err != nil && r.addr.scheme == "file" && ctx.Err() == nil {
		// git does not say what is wrong with a folder; Open does.
		if _, why := Open(ctx, r.addr.path, r.access.Environ); why != nil && !isGitDir(r.addr.path) {
			return out, why
		}
	}
	return out, err
}

// attempts is the access with its attempts; a folder that fails fails again.
func (r *Remote) attempts() Access {
	a := r.access
	if r.addr.scheme == "file" {
		a.Attempts = 1
	}
	return a
}

// Reader reads the mirror's objects, of commits that Fetch has brought. Where
// it finds the mirror damaged, it fetches the commit again.
func (r *Remote) Reader(ctx context.Context) *Reader {
	reader := newReader(ctx, r.mirror(), r.dir, r.own().env)
	before, _ := os.Stat(r.mirror())
	reader.mend = func(commit string, why error) error {
		c, depth := Resolved{Kind: KindCommit, Commit: commit}, 0
		if _, ok := r.record(c, 0); !ok {
			depth = 1
		}
		return r.heal(ctx, c, depth, before, why)
	}
	return reader
}
