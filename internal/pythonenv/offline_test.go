package pythonenv

import (
	"bytes"
	"strings"
	"testing"

	"refline/internal/errs"
)

func TestOffline(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ output, want string }{
		"pip": {"WARNING: Retrying (Retry(total=4)) after connection broken by 'NewConnectionError('<pip._vendor.urllib3.connection.HTTPSConnection object at 0x7f>: Failed to establish a new connection: [Errno -3] Temporary failure in name resolution')': /simple/six/\nERROR: Could not find a version that satisfies the requirement six (from versions: none)\nERROR: No matching distribution found for six\n",
			"install it: the package index cannot be reached"},
		"uv":                  {"error: Failed to fetch: `https://user:secret@pypi.example.com/simple/six/`\n  Caused by: error sending request for url\n  Caused by: dns error\n", "the package index pypi.example.com cannot be reached"},
		"pip's long message":  {"HTTPSConnectionPool(host='pypi.org', port=443): Max retries exceeded with url: /simple/six/\n", "the package index pypi.org cannot"},
		"another mistake":     {"ERROR: No matching distribution found for six==99\n", ""},
		"a build that failed": {"error: command 'gcc' failed\n", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := offline("install it", c.output)
			if c.want == "" {
				if err != nil {
					t.Errorf("got %v", err)
				}
				return
			}
			if !errs.Is(err, errs.Unavailable) || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "secret") {
				t.Errorf("got %v, want %s", err, c.want)
			}
		})
	}
}

// With an index that does not answer, the error says so instead of pip's last line; a
// set that is there needs no index.
func TestMakeWithoutNetwork(t *testing.T) {
	t.Parallel()
	needPython(t)
	env := append(pipEnv(t), "PIP_NO_INDEX=0", "PIP_INDEX_URL=http://127.0.0.1:1/simple", "PIP_RETRIES=1", "PIP_TIMEOUT=5", "NO_PROXY=*")
	root := plant(t, files{"f.py": "", "requirements.txt": "no-such-package-here"})
	var log bytes.Buffer
	_, err := Make(t.Context(), t.TempDir(), root, "f.py", &log, env)
	if !errs.Is(err, errs.Unavailable) || !strings.Contains(err.Error(), "cannot be reached") || !strings.Contains(err.Error(), "PIP_INDEX_URL") {
		t.Errorf("got %v\n%s", err, log.String())
	}

	cache := t.TempDir()
	root = plant(t, files{"f.py": "", "requirements.txt": "./here-1.0-py3-none-any.whl"})
	wheel(t, root, "here", "1")
	if _, err := Make(t.Context(), cache, root, "f.py", &log, env); err != nil {
		t.Fatalf("%v\n%s", err, log.String())
	}
	log.Reset()
	bin, err := Make(t.Context(), cache, root, "f.py", &log, append(env, "PIP_REQUIRE_VIRTUALENV=1"))
	if err != nil || log.Len() > 0 {
		t.Errorf("the second time: %v\n%s", err, log.String())
	}
	same(t, ask(t, bin, "here"), "1")
}
