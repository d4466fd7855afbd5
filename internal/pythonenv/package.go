package pythonenv

import (
	"crypto/sha256"
	"encoding/hex"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"time"

	"refline/internal/errs"
	sdkpython "refline/sdk/python"
)

const packageName = "refline"

// Package returns a folder with the Python package, to be the last of PYTHONPATH. It
// is written once under cacheDir; its path has the version and a hash of the files, so
// that programs of several versions do not disturb each other. Files are read-only;
// Python may add its compiled ones.
func Package(cacheDir string) (dir string, err error) {
	files, name, err := packageFiles()
	if err != nil {
		return "", err
	}
	dir = filepath.Join(cacheDir, name)
	now := time.Now()
	if os.Chtimes(filepath.Join(dir, readyFile), now, now) == nil {
		return dir, nil
	}
	if err := os.MkdirAll(cacheDir, 0o777); err != nil {
		return "", err
	}
	temp, err := os.MkdirTemp(cacheDir, ".package-*")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(temp)
	if err := writePackage(temp, files); err != nil {
		return "", err
	}
	if err := os.Rename(temp, dir); err == nil {
		removeUnused(cacheDir)
		return dir, nil
	}
	if _, err := os.Stat(filepath.Join(dir, readyFile)); err == nil { // another process was faster
		return dir, nil
	}
	// What is there is not whole: a crash of the computer lost a part of it.
	if err := os.RemoveAll(dir); err != nil {
		return "", err
	}
	return dir, os.Rename(temp, dir)
}

func writePackage(dir string, files map[string][]byte) error {
	inner := filepath.Join(dir, packageName)
	if err := os.Mkdir(inner, 0o755); err != nil {
		return err
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(inner, name), text, 0o444); err != nil {
			return err
		}
	}
	if err := os.Chmod(dir, 0o755); err != nil { // another user may run it in a container
		return err
	}
	return os.WriteFile(filepath.Join(dir, readyFile), nil, 0o644)
}

// packageFiles are the files of the package, and the name of their folder.
func packageFiles() (files map[string][]byte, name string, err error) {
	const at = "src/" + packageName
	entries, err := fs.ReadDir(sdkpython.Files, at)
	if err != nil {
		return nil, "", err
	}
	files = map[string][]byte{}
	sum := sha256.New()
	for _, e := range entries {
		text, err := fs.ReadFile(sdkpython.Files, path.Join(at, e.Name()))
		if err != nil {
			return nil, "", err
		}
		if e.Name() == "__init__.py" {
			text = append([]byte(sdkpython.Bundled+"\n\n"), text...)
		}
		files[e.Name()] = text
		sum.Write([]byte(e.Name() + "\x00"))
		sum.Write(text)
	}
	version, err := packageVersion(files["_version.py"])
	return files, packageName + "-" + version + "-" + hex.EncodeToString(sum.Sum(nil)[:6]), err
}

func packageVersion(text []byte) (string, error) {
	m := regexp.MustCompile(`__version__ = "([0-9A-Za-z.+-]+)"`).FindSubmatch(text)
	if m == nil {
		return "", errs.E(errs.Internal, "the Python package has no version")
	}
	return string(m[1]), nil
}
