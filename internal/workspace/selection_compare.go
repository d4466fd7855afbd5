package workspace

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"time"
)

// Seen are the files of a tree as [Tree.Restore] put them into a workspace. Those
// that did not change since need not be read again.
type Seen struct {
	Files map[string]Identity
	Until time.Time // files changed later than this may have changed unseen
}

// clockTick is the coarsest clock of a file system that is expected: a change
// within it may leave the same time.
const clockTick = 20 * time.Millisecond

// SeenNow is for files that were just restored.
func SeenNow(files map[string]Identity) Seen {
	return Seen{Files: files, Until: time.Now().Add(-clockTick)}
}

// Compare finds the files that the tree old has too, with the same content,
// time and permissions. all means that there is nothing else on either side.
func (s *Selection) Compare(ctx context.Context, old *Tree, seen Seen) (same map[string]bool, all bool) {
	same = map[string]bool{}
	entries := 0
	for _, d := range old.dirs {
		p := s.at(d.path)
		if p == nil || p.kind != isDir {
			continue
		}
		entries++
		for i := range d.files {
			n := &d.files[i]
			q := p.inside[n.name]
			full := joinPath(d.path, n.name)
			if q == nil || ctx.Err() != nil || !s.equal(old, full, n, &q.fileNode, seen) {
				continue
			}
			same[full] = true
		}
	}
	all = len(same) == old.files && len(same) == s.files && entries == len(old.dirs) && entries == s.top.dirs()
	return same, all
}

func (s *Selection) equal(old *Tree, full string, n, q *fileNode, seen Seen) bool {
	if n.kind != q.kind || n.size != q.size || n.target != q.target {
		return false
	}
	if n.kind == isLink {
		return true
	}
	if n.mode != q.mode || n.mtime != q.mtime {
		return false
	}
	if id := seen.Files[full]; id != (Identity{}) && id == q.id && q.id.ctime < seen.Until.UnixNano() {
		return true
	}
	return sameContent(filepath.Join(old.dir, filepath.FromSlash(full)), s.root, full)
}

// at gives the pick at a path, nil when it is not selected.
func (s *Selection) at(dir string) *pick {
	if dir == "." {
		return &s.top
	}
	above := s.at(filepath.ToSlash(filepath.Dir(dir)))
	if above == nil {
		return nil
	}
	return above.inside[filepath.Base(dir)]
}

// dirs counts the directories of a pick, itself included.
func (p *pick) dirs() int {
	n := 1
	for _, q := range p.inside {
		if q.kind == isDir {
			n += q.dirs()
		}
	}
	return n
}

// sameContent reports whether two files have the same bytes.
func sameContent(a string, root *os.Root, b string) bool {
	x, err := os.Open(a)
	if err != nil {
		return false
	}
	defer x.Close()
	y, err := root.Open(b)
	if err != nil {
		return false
	}
	defer y.Close()
	p, q := make([]byte, 64<<10), make([]byte, 64<<10)
	for {
		n, err := io.ReadFull(x, p)
		m, err2 := io.ReadFull(y, q)
		if n != m || !bytes.Equal(p[:n], q[:m]) {
			return false
		}
		if err != nil || err2 != nil {
			return isEnd(err) && isEnd(err2)
		}
	}
}

func isEnd(err error) bool { return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) }
