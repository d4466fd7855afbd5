package git

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// refEntry is one ref; peeled is the object of an annotated tag, if it is known
// without asking git.
type refEntry struct{ name, id, peeled string }

// listRefs returns the refs under the prefixes (each ending in "/"), sorted by
// name, from packed-refs and from the loose files that override it.
func listRefs(common string, prefixes ...string) ([]refEntry, error) {
	byName := map[string]refEntry{}
	// Loose first, packed after: a ref that moves from one to the other while we
	// read is then seen at least once.
	for _, prefix := range prefixes {
		if err := looseRefs(common, prefix, byName); err != nil {
			return nil, err
		}
	}
	text, err := os.ReadFile(filepath.Join(common, "packed-refs"))
	if err != nil && !os.IsNotExist(err) {
		return nil, err
	}
	for _, r := range parsePackedRefs(string(text), prefixes) {
		if _, loose := byName[r.name]; !loose {
			byName[r.name] = r
		}
	}
	refs := make([]refEntry, 0, len(byName))
	for _, r := range byName {
		refs = append(refs, r)
	}
	slices.SortFunc(refs, func(a, b refEntry) int { return strings.Compare(a.name, b.name) })
	return refs, nil
}

func looseRefs(common, prefix string, into map[string]refEntry) error {
	top := filepath.Join(common, filepath.FromSlash(prefix))
	return filepath.WalkDir(top, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			if os.IsNotExist(err) {
				return nil
			}
			return err
		}
		if d.IsDir() || strings.HasSuffix(path, ".lock") {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return nil // deleted meanwhile
		}
		if id := strings.TrimSpace(string(text)); isObjectID(id) { // symbolic refs are left out
			rel, _ := filepath.Rel(common, path)
			name := filepath.ToSlash(rel)
			into[name] = refEntry{name: name, id: id}
		}
		return nil
	})
}

// parsePackedRefs reads the format of git-pack-refs(1).
func parsePackedRefs(text string, prefixes []string) []refEntry {
	var refs []refEntry
	last := false // whether the line before was kept
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\r\n")
		if peeled, ok := strings.CutPrefix(line, "^"); ok {
			if last && isObjectID(peeled) {
				refs[len(refs)-1].peeled = peeled
			}
			continue
		}
		id, name, ok := strings.Cut(line, " ")
		last = ok && isObjectID(id) && slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(name, p) })
		if last {
			refs = append(refs, refEntry{name: name, id: id})
		}
	}
	return refs
}

// writePackedRefs is the inverse of parsePackedRefs; refs are sorted by name.
func writePackedRefs(refs []refEntry) string {
	var b strings.Builder
	b.WriteString("# pack-refs with: sorted \n")
	for _, r := range refs {
		b.WriteString(r.id + " " + r.name + "\n")
		if r.peeled != "" {
			b.WriteString("^" + r.peeled + "\n")
		}
	}
	return b.String()
}

// askRefs is listRefs for a repository whose refs are not kept in files.
func askRefs(ctx context.Context, p place, env []string, prefixes ...string) ([]refEntry, error) {
	args := []string{"--git-dir=" + p.dir, "for-each-ref", "--format=%(objectname) %(refname) %(*objectname)"}
	for _, prefix := range prefixes {
		args = append(args, strings.TrimSuffix(prefix, "/"))
	}
	out, err := process{args: args, dir: p.root, env: env, config: hardened()}.output(ctx)
	if err != nil {
		return nil, err
	}
	var refs []refEntry
	for line := range strings.Lines(string(out)) {
		f := strings.Split(strings.TrimRight(line, "\n"), " ")
		if len(f) == 3 && isObjectID(f[0]) {
			refs = append(refs, refEntry{f[1], f[0], f[2]})
		}
	}
	return refs, nil
}

// readHEAD returns the full ref that HEAD names, or the commit when detached.
func readHEAD(dir string) (ref, id string, err error) {
	text, err := os.ReadFile(filepath.Join(dir, "HEAD"))
	if err != nil {
		return "", "", err
	}
	line := strings.TrimSpace(string(text))
	if ref, ok := strings.CutPrefix(line, "ref:"); ok {
		return strings.TrimSpace(ref), "", nil
	}
	return "", line, nil
}

// readRef returns the object a ref names, "" when there is no such ref.
func readRef(common, name string) (string, error) {
	if text, err := os.ReadFile(filepath.Join(common, filepath.FromSlash(name))); err == nil {
		if id := strings.TrimSpace(string(text)); isObjectID(id) {
			return id, nil
		}
	}
	text, err := os.ReadFile(filepath.Join(common, "packed-refs"))
	if err != nil && !os.IsNotExist(err) {
		return "", err
	}
	for _, r := range parsePackedRefs(string(text), []string{name}) {
		if r.name == name {
			return r.id, nil
		}
	}
	return "", nil
}
