package git

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"refline/internal/errs"
)

// HasLFS reports whether git-lfs is here.
func HasLFS() bool {
	_, err := exec.LookPath("git-lfs")
	return err == nil
}

// UsesLFS reports whether the .gitattributes file at the top of a checkout names LFS.
func UsesLFS(dir string) bool {
	text, err := os.ReadFile(filepath.Join(dir, ".gitattributes"))
	return err == nil && strings.Contains(string(text), "filter=lfs")
}

// pullLFS replaces the pointers in a checkout with their files, which are stored
// once for all checkouts of the repository. It sets the checkout up as "git lfs
// install --local" would, so that git status stays quiet.
func (r *Remote) pullLFS(ctx context.Context, c Resolved, dst string, standalone bool) error {
	if !HasAttributes(dst) {
		return nil // no file can be one of LFS
	}
	if !HasLFS() {
		return errs.E(errs.NotFound, "%s needs git-lfs, which is not on the PATH; install it, or run without LFS", c.describe())
	}
	storage := setting{"lfs.storage", filepath.ToSlash(filepath.Join(r.dir, "lfs"))}
	own := []setting{
		{"filter.lfs.clean", "git-lfs clean -- %f"},
		{"filter.lfs.smudge", "git-lfs smudge -- %f"},
		{"filter.lfs.process", "git-lfs filter-process"},
		{"filter.lfs.required", "true"},
		storage, // in the file: a setting by the environment would go for a remote folder too
	}
	if err := appendConfig(dst, own); err != nil {
		return err
	}
	r.seedLFS(ctx, c, dst)
	if r.access.Guard != nil && r.addr.scheme != "file" {
		// git-lfs connects wherever the server sends it. So the objects are
		// downloaded first, and git-lfs makes no connection.
		if err := r.downloadLFS(ctx, c, dst); err != nil {
			return fmt.Errorf("LFS files of %s: %w", c.describe(), err)
		}
		checkout := r.inTree(dst, "lfs", "checkout")
		checkout.config = append(checkout.config, setting{"lfs.url", "https://none.invalid"}, setting{"lfs.locksverify", "false"})
		if _, err := checkout.output(ctx); err != nil || !standalone {
			return r.explainTree(err, dst)
		}
		return withoutSetting(dst, storage)
	}
	// git-lfs works on the repository of its folder. GIT_DIR, which --git-dir would
	// set, would make it take that for the remote too if the remote is a folder.
	scratch, err := r.scratch("lfs")
	if err != nil {
		return err
	}
	defer os.RemoveAll(scratch)
	pull := process{args: []string{"lfs", "pull"}, dir: dst, env: []string{refusedVariable + "=" + filepath.Join(scratch, "refused")},
		config: []setting{{"lfs.locksverify", "false"}}}
	if url := r.lfsURL(); url != "" && r.access.Trust == Server {
		pull.config = append(pull.config, setting{"lfs.url", url}) // not what .lfsconfig says
	}
	if _, err := r.ask(ctx, pull); err != nil {
		return fmt.Errorf("LFS files of %s: %w", c.describe(), err)
	}
	if standalone {
		return withoutSetting(dst, storage)
	}
	return nil
}

// withoutSetting takes a setting of ours out of a checkout's configuration.
func withoutSetting(dst string, s setting) error {
	file := filepath.Join(dst, ".git", "config")
	text, err := os.ReadFile(file)
	if err == nil {
		err = writeWhole(file, strings.Replace(string(text), formatConfig([]setting{s}), "", 1))
	}
	if err != nil {
		return onDisk(err, "configure %s", dst)
	}
	return nil
}

// seedLFS takes the objects that a folder of this computer has itself: a clone
// may hold some that were never pushed. What it cannot take git-lfs asks for.
func (r *Remote) seedLFS(ctx context.Context, c Resolved, dst string) {
	w := r.folder(ctx)
	if w == nil {
		return
	}
	reader := r.Reader(ctx)
	defer reader.Close()
	entries, err := reader.List(c.Commit)
	if err != nil {
		return
	}
	from := filepath.Join(resolve(w.place.common, or(w.config["lfs.storage"], "lfs")), "objects")
	to := filepath.Join(r.dir, "lfs", "objects")
	for _, e := range entries {
		oid := pointerOID(filepath.Join(dst, filepath.FromSlash(e.Path)))
		if oid == "" {
			continue
		}
		name := filepath.Join(oid[:2], oid[2:4], oid)
		if os.MkdirAll(filepath.Dir(filepath.Join(to, name)), 0o700) != nil {
			return
		}
		if os.Link(filepath.Join(from, name), filepath.Join(to, name)) == nil {
			continue
		}
		if text, err := os.ReadFile(filepath.Join(from, name)); err == nil { // on another file system
			_ = writeWhole(filepath.Join(to, name), string(text))
		}
	}
}

// lfsURL is where the LFS server of an http repository is by convention.
func (r *Remote) lfsURL() string {
	if r.addr.scheme != "https" && r.addr.scheme != "http" {
		return ""
	}
	return strings.TrimSuffix(strings.TrimRight(r.addr.text, "/"), ".git") + ".git/info/lfs"
}
