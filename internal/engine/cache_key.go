package engine

import (
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"path"
	"slices"
	"strings"
	"unicode"

	"github.com/bmatcuk/doublestar/v4"

	"refline/internal/errs"
	"refline/internal/pipeline"
)

// CacheKeyInput is what a cache's key depends on besides its definition.
type CacheKeyInput struct {
	Base   *Tree               // where key:files are looked for
	Expand func(string) string // of variables; nil: none
	// LastCommit gives the commit that last changed a path, "" when none did;
	// nil where git is not asked (key:files_commits then falls to "default").
	LastCommit func(path string) string
	Protected  bool   // the ref is a protected one
	Fallback   string // the value of CACHE_FALLBACK_KEY
}

// CacheKeys are the names under which a cache is looked for, the first being
// the one it is saved under. They are computed before the job runs: it may
// change the files.
type CacheKeys struct {
	Key      string
	Fallback []string
	Warnings []string
}

// ResolveCacheKey computes the keys of a cache as GitLab does: the text, or
// prefix and SHA-1 over the sorted blob ids of key:files, then variables, then
// what may not be in a key; those of protected refs apart from the others. An
// error (Invalid) means that nothing is left of the key.
func ResolveCacheKey(c pipeline.Cache, in CacheKeyInput) (CacheKeys, error) {
	var keys CacheKeys
	suffix := "-non_protected"
	if in.Protected && !c.Unprotect {
		suffix = "-protected"
	}
	text, err := in.text(c.Key)
	if err != nil {
		return keys, err
	}
	if keys.Key, err = in.clean(text+suffix, suffix, &keys); err != nil {
		return keys, err
	}
	for _, fallback := range c.FallbackKeys {
		key, err := in.clean(fallback+suffix, suffix, &keys)
		if err != nil {
			keys.Warnings = append(keys.Warnings, err.Error())
			continue
		}
		keys.Fallback = append(keys.Fallback, key)
	}
	if in.Fallback == "" {
		return keys, nil
	}
	key, err := in.clean(in.Fallback, "", &keys)
	switch {
	case err != nil:
		keys.Warnings = append(keys.Warnings, err.Error())
	case strings.HasSuffix(key, "-protected"):
		keys.Warnings = append(keys.Warnings, `CACHE_FALLBACK_KEY may not end in "-protected"`)
	default:
		keys.Fallback = append(keys.Fallback, key)
	}
	return keys, nil
}

// text gives the key as written or computed, before variables.
func (in *CacheKeyInput) text(k pipeline.CacheKey) (string, error) {
	if len(k.Files) == 0 {
		if k.Text == "" {
			return "default", nil
		}
		return k.Text, nil
	}
	var ids []string
	for _, pattern := range k.Files {
		found, err := in.ids(pattern, k.FilesCommit)
		if err != nil {
			return "", fmt.Errorf("cache key: %w", err)
		}
		ids = append(ids, found...)
	}
	digest := "default"
	if len(ids) > 0 {
		slices.Sort(ids)
		sum := sha1.Sum([]byte(strings.Join(slices.Compact(ids), "-")))
		digest = hex.EncodeToString(sum[:])
	}
	if k.Prefix == "" {
		return digest, nil
	}
	return k.Prefix + "-" + digest, nil
}

func (in *CacheKeyInput) ids(pattern string, commits bool) ([]string, error) {
	if commits {
		if in.LastCommit != nil {
			if id := in.LastCommit(pattern); id != "" {
				return []string{id}, nil
			}
		}
		return nil, nil
	}
	if in.Base == nil {
		return nil, nil
	}
	paths, err := in.Base.match(path.Clean(pattern))
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, p := range paths {
		id, err := in.Base.blobID(p)
		if err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	return ids, nil
}

// clean expands variables and takes out of a key what would make it a path
// outside: it is read as a path below a root (encoded and Windows separators
// too), and cut back to its last name that is not blank.
func (in *CacheKeyInput) clean(text, suffix string, keys *CacheKeys) (string, error) {
	if in.Expand != nil {
		text = in.Expand(text)
	}
	if strings.TrimSpace(strings.TrimSuffix(text, suffix)) == "" {
		return "", errs.E(errs.Invalid, "the cache key is empty")
	}
	slashed := strings.NewReplacer("%2f", "/", "%2F", "/", `\`, "/").Replace(
		strings.NewReplacer("%2e", ".", "%2E", ".").Replace(text))
	key := path.Clean("/" + slashed)
	for key != "/" && strings.TrimRightFunc(path.Base(key), unicode.IsSpace) == "" {
		key = path.Dir(key)
	}
	key = strings.TrimRightFunc(strings.TrimPrefix(key, "/"), unicode.IsSpace)
	if key == "" {
		return "", errs.E(errs.Invalid, "nothing is left of the cache key %q without dots and slashes", text)
	}
	if key != text {
		keys.Warnings = append(keys.Warnings, fmt.Sprintf("the cache key %q is used as %q", text, key))
	}
	return key, nil
}

// match gives the tree's paths that match a pattern.
func (t *Tree) match(pattern string) ([]string, error) {
	if err := t.load(); err != nil {
		return nil, err
	}
	if !strings.ContainsAny(pattern, `*?[{\`) {
		if t.paths()[pattern] {
			return []string{pattern}, nil
		}
		return nil, nil
	}
	if !doublestar.ValidatePattern(pattern) {
		return nil, errs.E(errs.Invalid, "%q is not a pattern", pattern)
	}
	var found []string
	for p := range t.paths() {
		if doublestar.MatchUnvalidated(pattern, p) {
			found = append(found, p)
		}
	}
	return found, nil
}

// blobID gives the id that git gives to the content of the file at path, in a
// repository of the usual kind (SHA-1).
func (t *Tree) blobID(file string) (string, error) {
	content, err := t.content(file)
	if err != nil {
		return "", err
	}
	h := sha1.New()
	fmt.Fprintf(h, "blob %d\x00", len(content))
	h.Write(content)
	return hex.EncodeToString(h.Sum(nil)), nil
}

// content gives the content of a file of the tree, or where a link points.
func (t *Tree) content(file string) ([]byte, error) {
	if err := t.load(); err != nil {
		return nil, err
	}
	i := slices.IndexFunc(t.dirs, func(d treeDir) bool { return d.path == path.Dir(file) })
	if i < 0 {
		return nil, errs.E(errs.NotFound, "no file %q", file)
	}
	d := &t.dirs[i]
	j := slices.IndexFunc(d.files, func(n fileNode) bool { return n.name == path.Base(file) })
	if j < 0 {
		return nil, errs.E(errs.NotFound, "no file %q", file)
	}
	n := &d.files[j]
	switch {
	case n.kind == isLink:
		return []byte(n.target), nil
	case t.dir == "":
		return n.data, nil
	}
	root, err := openFolder(t.dir)
	if err != nil {
		return nil, err
	}
	defer root.close()
	f, err := root.sub(d.path)
	if err != nil {
		return nil, err
	}
	defer f.close()
	return f.read(n.name, n.size)
}
