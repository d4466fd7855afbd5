package cache

import (
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"path"
	"slices"
	"strings"
	"unicode"

	"refline/internal/errs"
	"refline/internal/pipeline"
	"refline/internal/workspace"
)

// KeyInput is what a cache's key depends on besides its definition.
type KeyInput struct {
	Base   *workspace.Tree     // where key:files are looked for
	Expand func(string) string // of variables; nil: none
	// LastCommit gives the commit that last changed a path, "" when none did;
	// nil without git (key:files_commits then falls to "default").
	LastCommit func(path string) string
	Protected  bool   // the ref is a protected one
	Fallback   string // the value of CACHE_FALLBACK_KEY
}

// Keys are the names under which a cache is looked for, the first being
// the one it is saved under. They are computed before the job runs: it may
// change the files.
type Keys struct {
	Key      string
	Fallback []string
	Warnings []string
}

// ResolveKeys computes the keys of a cache as GitLab does. A key is its text, or a
// prefix and the SHA-1 of the sorted blob ids of key:files. Then variables are
// expanded and characters removed that may not be in a key. Keys of protected refs
// differ from all others. The error is Invalid if nothing is left of a key.
func ResolveKeys(c pipeline.Cache, in KeyInput) (Keys, error) {
	var keys Keys
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
func (in *KeyInput) text(k pipeline.CacheKey) (string, error) {
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

func (in *KeyInput) ids(pattern string, commits bool) ([]string, error) {
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
	paths, err := in.Base.Match(path.Clean(pattern))
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, p := range paths {
		id, err := in.Base.BlobID(p)
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
func (in *KeyInput) clean(text, suffix string, keys *Keys) (string, error) {
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
