package git

import (
	"bytes"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// LFSPointers counts the files among paths below dir that are pointers of git-lfs
// instead of the files that they point to. It reads small files only, and none unless
// some .gitattributes names the filter.
func LFSPointers(dir string, paths []string) int {
	tracked := slices.ContainsFunc(paths, func(p string) bool {
		if path.Base(p) != ".gitattributes" {
			return false
		}
		text, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(p)))
		return err == nil && bytes.Contains(text, []byte("filter=lfs"))
	})
	n := 0
	for _, p := range paths {
		if tracked && pointerOID(filepath.Join(dir, filepath.FromSlash(p))) != "" {
			n++
		}
	}
	return n
}

// HasAttributes reports whether a checkout may have a .gitattributes file; false
// is certain. It spares a process where there is none.
func HasAttributes(dir string) bool {
	return namesAttributes(filepath.Join(dir, ".git", "index"))
}

// pointerOID is the name of the object that a pointer file of git-lfs names, ""
// for any other file. The form is that of git-lfs's specification.
func pointerOID(file string) string {
	oid, _ := parsePointer(file)
	return oid
}

// parsePointer is pointerOID with the object's size.
func parsePointer(file string) (oid string, size int64) {
	const most = 1024 // bytes, by the specification
	st, err := os.Lstat(file)
	if err != nil || !st.Mode().IsRegular() || st.Size() == 0 || st.Size() >= most {
		return "", 0
	}
	text, err := os.ReadFile(file)
	if err != nil || !bytes.HasPrefix(text, []byte("version https://git-lfs.github.com/spec/v1\n")) {
		return "", 0
	}
	_, after, _ := bytes.Cut(text, []byte("\noid sha256:"))
	name, rest, _ := strings.Cut(string(after), "\n")
	if len(name) != 64 || !isHex(name) {
		return "", 0
	}
	number, _, _ := strings.Cut(strings.TrimPrefix(rest, "size "), "\n")
	if size, err = strconv.ParseInt(number, 10, 64); err != nil || size < 0 {
		return "", 0
	}
	return strings.ToLower(name), size
}
