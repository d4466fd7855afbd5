package git

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path"
	"strconv"
	"strings"
	"sync"
	"time"

	"refline/internal/errs"
)

// Reader reads commits, files and trees out of a repository without a checkout.
// Single objects come through one git process that is started by the first
// question and ends with Close or with the context. Safe for concurrent use.
type Reader struct {
	ctx    context.Context
	gitDir string
	dir    string
	env    []string
	mend   func(commit string, why error) error // repairs a damaged mirror; nil for other repositories

	wholeMu sync.Mutex
	whole   map[string]map[string]bool // the paths of a commit, listed at the first miss

	mu     sync.Mutex
	cmd    *exec.Cmd
	in     io.WriteCloser
	out    *bufio.Reader
	stderr *tail
	stop   context.CancelFunc
}

// MaxFile is the size in bytes above which ReadFile refuses.
const MaxFile = 64 << 20

// Entry is one file of a tree.
type Entry struct {
	Path string // from the top of the repository, with slashes
	Mode string // 100644, 100755, 120000 (symbolic link) or 160000 (submodule)
	ID   string // blob, or the commit of a submodule
}

const modeSubmodule = "160000"

// IsSubmodule reports whether the entry is a commit of another repository.
func (e Entry) IsSubmodule() bool { return e.Mode == modeSubmodule }

func newReader(ctx context.Context, gitDir, dir string, env []string) *Reader {
	return &Reader{ctx: ctx, gitDir: gitDir, dir: dir, env: env}
}

// ReadFile returns the file at path in commit, a symbolic link as its target.
// Kinds: NotFound when the commit or the file is not there, Invalid for a path
// that leaves the repository or names a folder.
func (r *Reader) ReadFile(commit, name string) ([]byte, error) {
	clean, err := cleanPath(name)
	if err != nil {
		return nil, err
	}
	kind, _, body, err := r.object(commit + ":" + clean)
	if err == nil && kind == "" && r.mend != nil {
		if err = r.lacks(commit, clean); err != nil && !r.mendable(err, commit) {
			return nil, err
		}
	}
	if r.mendable(err, commit) {
		if err := r.mended(commit, err); err != nil {
			return nil, err
		}
		kind, _, body, err = r.object(commit + ":" + clean)
	}
	if err != nil {
		return nil, err
	}
	switch kind {
	case "":
		return nil, errs.E(errs.NotFound, "%s is not in commit %.8s", clean, commit)
	case "blob":
		return body, nil
	default:
		return nil, errs.E(errs.Invalid, "%s in commit %.8s is a folder or a submodule, not a file", clean, commit)
	}
}

// Commit returns the commit that rev names: an object name, or a full ref
// such as refs/heads/main. Annotated tags are peeled.
func (r *Reader) Commit(rev string) (Commit, error) {
	if strings.HasPrefix(rev, "-") || strings.ContainsAny(rev, "\n\x00") {
		return Commit{}, errs.E(errs.Invalid, "%q is not a revision", rev)
	}
	kind, id, body, err := r.object(rev + "^{commit}")
	if err == nil && kind == "" {
		err = &damage{fmt.Sprintf("commit %.8s cannot be read", rev)}
		if !r.mendable(err, rev) {
			return Commit{}, errs.E(errs.NotFound, "there is no commit %s", rev)
		}
	}
	if r.mendable(err, rev) {
		if err := r.mended(rev, err); err != nil {
			return Commit{}, err
		}
		kind, id, body, err = r.object(rev + "^{commit}")
	}
	if err != nil {
		return Commit{}, err
	}
	if kind != "commit" {
		return Commit{}, errs.E(errs.NotFound, "there is no commit %s", rev)
	}
	return parseCommit(id, body)
}

// List returns all files of a commit, in git's order.
func (r *Reader) List(commit string) ([]Entry, error) {
	p := process{
		args: []string{"--git-dir=" + r.gitDir, "ls-tree", "-r", "-z", "--full-tree", "--end-of-options", commit},
		dir:  r.dir, env: r.env, config: hardened(), strict: true,
	}
	out, err := p.output(r.ctx)
	if f, failed := errors.AsType[*failure](err); failed && r.mendable(&damage{}, commit) {
		if err := r.mended(commit, &damage{lastLine(f.stderr)}); err != nil {
			return nil, err
		}
		out, err = p.output(r.ctx)
	}
	if err != nil {
		return nil, errs.E(errs.NotFound, "the files of commit %.8s: %w", commit, err)
	}
	var entries []Entry
	for record := range strings.SplitSeq(string(out), "\x00") {
		meta, name, ok := strings.Cut(record, "\t")
		f := strings.Fields(meta)
		if ok && len(f) == 3 {
			entries = append(entries, Entry{name, f[0], f[2]})
		}
	}
	return entries, nil
}

// damage is the error of a repository that lacks or cannot read its own objects.
type damage struct{ what string }

func (d *damage) Error() string { return d.what }

// mendable reports whether err is damage and there is somewhere to get the commit
// from again.
func (r *Reader) mendable(err error, commit string) bool {
	_, is := errors.AsType[*damage](err)
	return is && r.mend != nil && isObjectID(commit) && r.ctx.Err() == nil
}

// lacks returns damage if a commit has something at a path that was not found, and
// the error of a commit that cannot be listed.
func (r *Reader) lacks(commit, path string) error {
	r.wholeMu.Lock()
	defer r.wholeMu.Unlock()
	known, ok := r.whole[commit]
	if !ok {
		entries, err := r.List(commit)
		if err != nil {
			return err // and it could not be mended
		}
		known = map[string]bool{}
		for _, p := range withFolders(entries) {
			known[p] = true
		}
		for _, e := range entries {
			known[e.Path] = e.Mode != modeSubmodule // its commit is in another repository
		}
		if r.whole == nil {
			r.whole = map[string]map[string]bool{}
		}
		r.whole[commit] = known
	}
	if known[path] {
		return &damage{path + " cannot be read"}
	}
	return nil
}

// mended repairs the mirror. It ends the process, which may hold old files open.
func (r *Reader) mended(commit string, why error) error {
	r.Close()
	err := r.mend(commit, why)
	if errs.Is(err, errs.NotFound) { // not of the file that the caller looks for
		return errs.E(errs.Conflict, "the mirror's copy of commit %.8s is damaged and cannot be fetched again: %w", commit, err)
	}
	return err
}

func cleanPath(name string) (string, error) {
	clean := path.Clean(strings.TrimPrefix(name, "/"))
	if name == "" || clean == "." || clean == ".." || strings.HasPrefix(clean, "../") || strings.ContainsAny(name, "\n\x00") {
		return "", errs.E(errs.Invalid, "%q is not a path inside the repository", name)
	}
	return clean, nil
}

// object asks for one object. kind is "" when there is none.
func (r *Reader) object(spec string) (kind, id string, body []byte, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.cmd == nil {
		if err := r.start(); err != nil {
			return "", "", nil, err
		}
	}
	if _, err := io.WriteString(r.in, spec+"\n"); err != nil {
		return "", "", nil, r.broken(err)
	}
	line, err := r.out.ReadString('\n')
	if err != nil {
		return "", "", nil, r.broken(err)
	}
	f := strings.Split(strings.TrimSuffix(line, "\n"), " ")
	if len(f) != 3 || !isObjectID(f[0]) {
		return "", "", nil, nil // "<what was asked> missing", or ambiguous
	}
	id, kind = f[0], f[1]
	size, err := strconv.ParseInt(f[2], 10, 64)
	if err != nil {
		return "", "", nil, r.broken(err)
	}
	if size > MaxFile {
		_, err := io.CopyN(io.Discard, r.out, size+1)
		if err != nil {
			return "", "", nil, r.broken(err)
		}
		return "", "", nil, errs.E(errs.Invalid, "%s has %d bytes; more than %d are not read", spec, size, MaxFile)
	}
	body = make([]byte, size)
	if _, err := io.ReadFull(r.out, body); err != nil {
		return "", "", nil, r.broken(err)
	}
	if _, err := r.out.Discard(1); err != nil {
		return "", "", nil, r.broken(err)
	}
	return kind, id, body, nil
}

func (r *Reader) start() error {
	ctx, stop := context.WithCancel(r.ctx)
	cmd := exec.CommandContext(ctx, "git", refusedByOld, "--git-dir="+r.gitDir, "cat-file", "--batch")
	cmd.Dir = r.dir
	cmd.Env = withSettings(r.env, hardened())
	r.stderr = &tail{limit: 4 << 10}
	cmd.Stderr = r.stderr
	in, err := cmd.StdinPipe()
	if err == nil {
		var out io.ReadCloser
		out, err = cmd.StdoutPipe()
		r.out = bufio.NewReaderSize(out, 64<<10)
	}
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		stop()
		return process{args: []string{"cat-file"}}.explain(err, "")
	}
	r.cmd, r.in, r.stop = cmd, in, stop
	return nil
}

// broken ends a process that does not answer as it should. If git gave up by
// itself, the repository is damaged.
func (r *Reader) broken(err error) error {
	cmd := r.cmd
	_ = r.in.Close()
	late := time.AfterFunc(time.Second, r.stop)
	_ = cmd.Wait() // the status is looked at below
	late.Stop()
	r.close()
	switch {
	case r.ctx.Err() != nil:
		return context.Cause(r.ctx)
	case cmd.ProcessState.ExitCode() > 0:
		return fmt.Errorf("git cat-file in %s: %w", r.gitDir, &damage{or(lastLine(r.stderr.String()), err.Error())})
	default: // killed, or it talks nonsense
		return fmt.Errorf("git cat-file in %s: %w", r.gitDir, err)
	}
}

// Close ends the process, if one runs. The reader may be used again.
func (r *Reader) Close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.close()
}

func (r *Reader) close() {
	if r.cmd == nil {
		return
	}
	_ = r.in.Close()
	r.stop()
	_ = r.cmd.Wait() // its end was asked for, so its status says nothing
	r.cmd = nil
}
