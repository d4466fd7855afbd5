package credential

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestParseHost(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]Host{
		"git.example.com":                    {Name: "git.example.com"},
		"git.example.com:2222":               {Name: "git.example.com", Port: "2222"},
		"[::1]:2222":                         {Name: "::1", Port: "2222"},
		"::1":                                {Name: "::1"},
		"git@git.example.com:data/flows.git": {Name: "git.example.com", Path: "data/flows.git"},
		"ssh://git@git.example.com:2222/data/flows":   {Name: "git.example.com", Port: "2222", Path: "/data/flows"},
		"https://git.example.com:8443/data/flows.git": {Name: "git.example.com", Path: "/data/flows.git"},
		"ssh://[::1]:22/data":                         {Name: "::1", Port: "22", Path: "/data"},
	} {
		if got, err := ParseHost(text); err != nil || got != want {
			t.Errorf("%q: got %+v, %v; want %+v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "-oProxyCommand=x", "git@x", "a b", "host:port", "user@-x:path", "://", "a/b", "*.example.com", "x,y"} {
		if got, err := ParseHost(text); err == nil {
			t.Errorf("%q is taken as %+v", text, got)
		}
	}
}

func FuzzParseHost(f *testing.F) {
	for _, s := range []string{"git.example.com:22", "git@git.example.com:data/flows.git", "ssh://git@h:1/p", "[::1]:2", "-x", "a@b@c:d"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		h, err := ParseHost(text)
		if err == nil && (h.Name == "" || h.Name[0] == '-' || strings.ContainsAny(h.Name, " \n,*?")) {
			t.Errorf("%q is taken as the host %q", text, h.Name)
		}
	})
}

func TestKnowsHost(t *testing.T) {
	t.Parallel()
	const key = " ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJp4lF1D7VoZ0GEPUcTjnf4g7v5c2zTzUTHH8Li1Qtns\n"
	file := filepath.Join(t.TempDir(), "known_hosts")
	if err := os.WriteFile(file, []byte("hashed.example.com"+key+"[hashed.example.com]:2222"+key), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("ssh-keygen", "-H", "-f", file).CombinedOutput(); err != nil {
		t.Skipf("needs ssh-keygen of OpenSSH: %v %s", err, out)
	}
	hashed, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	text := string(hashed) + "# a comment\n\nplain.example.com,10.0.0.1" + key + "[plain.example.com]:99" + key + "*.wild.example.com" + key
	for host, want := range map[string]bool{
		"plain.example.com": true, "10.0.0.1": true, "plain.example.com:99": true, "plain.example.com:98": false,
		"hashed.example.com": true, "hashed.example.com:2222": true, "hashed.example.com:2223": false,
		"a.wild.example.com": true, "other.example.com": false, "example.com": false,
	} {
		h, err := ParseHost(host)
		if err != nil {
			t.Fatal(err)
		}
		if got := KnowsHost([]byte(text), h); got != want {
			t.Errorf("%s: got %v, want %v", host, got, want)
		}
	}
}
