package browsertest

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
)

// axeVersion is the version of axe-core, which finds what keeps people from using a
// page. It is for tests only and is not part of the project.
const axeVersion = "4.14.1"

// axeScript returns axe-core, from a folder of this user or by npm. Without both the
// checks of access are left out, and the test says so.
func axeScript(t *testing.T) string {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = os.TempDir()
	}
	dir := filepath.Join(cache, "refline-test")
	file := filepath.Join(dir, "axe-core-"+axeVersion+".js")
	if text, err := os.ReadFile(file); err == nil && len(text) > 100_000 {
		return string(text)
	}
	text, err := fetchAxe(t.Context())
	if err != nil {
		t.Logf("LEFT OUT: the checks of access by axe-core %s: %v", axeVersion, err)
		return ""
	}
	if err := os.MkdirAll(dir, 0o700); err == nil {
		temp := fmt.Sprintf("%s.%d", file, os.Getpid())
		if os.WriteFile(temp, text, 0o600) == nil {
			_ = os.Rename(temp, file) // it is fetched again if this fails
		}
	}
	return string(text)
}

// fetchAxe gets the package by npm.
func fetchAxe(ctx context.Context) ([]byte, error) {
	npm, err := exec.LookPath("npm")
	if err != nil {
		return nil, errors.New("npm is not installed")
	}
	dir, err := os.MkdirTemp("", "refline-axe-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, npm, "pack", "--silent", "axe-core@"+axeVersion)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("npm pack: %w: %s", err, out)
	}
	packed, err := os.ReadFile(filepath.Join(dir, "axe-core-"+axeVersion+".tgz"))
	if err != nil {
		return nil, err
	}
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, err
	}
	for in := tar.NewReader(z); ; {
		h, err := in.Next()
		if err != nil {
			return nil, fmt.Errorf("axe.min.js is not in the package: %w", err)
		}
		if h.Name == "package/axe.min.js" {
			return io.ReadAll(in)
		}
	}
}

// checkAccess runs axe-core over the page.
func checkAccess(b *tab, axe, where string) {
	b.t.Helper()
	if !value[bool](b, `typeof axe === 'object'`) {
		value[int](b, axe+";0")
	}
	found := value[[]string](b, `axe.run(document, { resultTypes: ['violations'], runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] })
		.then(r => r.violations.map(v => v.id + ': ' + v.help + ': ' + v.nodes.slice(0, 3).map(n => n.html.slice(0, 140) + ' ' + (n.any[0]?.message || '')).join(' | ')))`, chromedp.EvalAwaitPromise)
	for _, text := range found {
		b.t.Errorf("%s: %s", where, text)
	}
}

// session is the cookie of the session, which scripts do not see.
func (b *tab) session() string {
	var list []string
	b.do("cookies", chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		cookies, err := cdp.Call(ctx, t, network.GetCookies, network.GetCookiesParams{})
		for _, c := range cookies.Cookies {
			if c.HTTPOnly {
				list = append(list, c.Name+"="+c.Value)
			}
		}
		return err
	}))
	return strings.Join(list, "; ")
}
