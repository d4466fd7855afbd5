package main

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// systemImage makes an image of programs of this computer with the libraries
// that they need, since nothing can be pulled. Names in links are those of other
// programs: githttp → refline.
func systemImage(t *testing.T, host, name string, links map[string]string, programs ...string) {
	t.Helper()
	var buf bytes.Buffer
	tw := tar.NewWriter(&buf)
	seen := map[string]bool{}
	add := func(h tar.Header, body []byte) {
		h.Size = int64(len(body))
		if err := tw.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if _, err := tw.Write(body); err != nil {
			t.Fatal(err)
		}
	}
	file := func(path, as string) {
		if seen[as] {
			return
		}
		seen[as] = true
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		add(tar.Header{Name: strings.TrimPrefix(as, "/"), Mode: 0o755}, data)
	}
	for _, dir := range []string{"tmp", "root", "run", "run/sshd", "bin", "etc", "dev"} {
		add(tar.Header{Name: dir + "/", Typeflag: tar.TypeDir, Mode: 0o755}, nil)
	}
	for _, p := range programs {
		path, err := exec.LookPath(p)
		if err != nil {
			t.Skipf("needs %s: scripts/setup installs it", p)
		}
		as := path
		if !filepath.IsAbs(p) {
			as = "/bin/" + filepath.Base(p)
		}
		file(path, as)
		libraries, err := exec.Command("ldd", path).Output()
		if err != nil {
			continue // it needs none
		}
		for _, word := range strings.Fields(string(libraries)) {
			if filepath.IsAbs(word) {
				file(word, word)
			}
		}
	}
	for link, target := range links {
		add(tar.Header{Name: "bin/" + link, Typeflag: tar.TypeSymlink, Linkname: target, Mode: 0o777}, nil)
	}
	add(tar.Header{Name: "etc/passwd", Mode: 0o644}, []byte("root:x:0:0::/root:/bin/sh\nsshd:x:100:65534::/run/sshd:/bin/false\nnobody:x:65534:65534::/tmp:/bin/sh\n"))
	if err := tw.Close(); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("docker", "-H", host, "import", "-c", "ENV PATH=/bin", "-", name)
	cmd.Stdin = io.Reader(&buf)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("docker import: %v\n%s", err, out)
	}
}

// TestLoginsInContainers has jobs in containers push with a token and with a
// deploy key that they do not hold: neither is in a variable, an argument, a file
// or the container's configuration.
func TestLoginsInContainers(t *testing.T) {
	t.Parallel()
	host := dockerHost(t)
	backend := gitBackend()
	if backend == "" {
		t.Skip("needs git-http-backend, which comes with git on most systems")
	}
	const image = "refline-test/logins:1"
	links := map[string]string{"githttp": "refline", "git-upload-pack": "git", "git-receive-pack": "git"}
	for _, applet := range strings.Fields("cat id ls echo sleep mkdir test touch grep env printf true false chmod cp rm tail find sed dirname basename kill head tr mktemp") {
		links[applet] = "busybox"
	}
	core := filepath.Dir(backend)
	systemImage(t, host, image, links, "sh", "busybox", "refline", "git", "ssh", "ssh-add", "ssh-keygen", "/usr/sbin/sshd",
		backend, filepath.Join(core, "git-remote-http"), filepath.Join(core, "git"))

	const token = "glpat-hunter2-of-a-project"
	dir := t.TempDir()
	for _, name := range []string{"key", "host"} {
		command(t, dir, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", name)
	}
	read := func(name string) string {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	key := strings.TrimSpace(read("key"))
	known := filepath.Join(dir, "known_hosts")
	if err := os.WriteFile(known, []byte("[127.0.0.1]:2222 "+read("host.pub")), 0o644); err != nil {
		t.Fatal(err)
	}
	v := newVictim(t, fmt.Sprintf(`publish:
  image: %[1]s
  script:
    - export HOME=/root GIT_AUTHOR_NAME=job GIT_AUTHOR_EMAIL=job@example.com GIT_COMMITTER_NAME=job GIT_COMMITTER_EMAIL=job@example.com
    - git init -q --bare /srv/wiki.git
    - githttp 127.0.0.1:8080 /srv deploy %[2]s > /tmp/http &
    - until test -s /tmp/http; do sleep 0.05; done
    - cp host /tmp/host && chmod 600 /tmp/host
    - printf 'ListenAddress 127.0.0.1:2222\nHostKey /tmp/host\nAuthorizedKeysFile %%s\nStrictModes no\nUsePAM no\nPidFile /tmp/sshd.pid\n' "$PWD/key.pub" > /tmp/sshd
    - /usr/sbin/sshd -f /tmp/sshd
    - git clone -q http://127.0.0.1:8080/wiki.git over-http
    - (cd over-http; git commit -q --allow-empty -m "by token"; git push -q origin HEAD:main)
    - git clone -q -b main ssh://root@127.0.0.1:2222/srv/wiki.git over-ssh
    - (cd over-ssh; git commit -q --allow-empty -m "by key"; git push -q origin HEAD:main)
    - git -C /srv/wiki.git log --format=%%s main
    - 'printf "protocol=https\nhost=elsewhere.example.com\n\n" | git -c core.askPass= credential fill || echo "no token for others"'
    - mkdir seen; env > seen/env
    - cat over-*/.git/config "$(dirname "$SSH_AUTH_SOCK")/known_hosts" > seen/files; ls -l "$(dirname "$SSH_AUTH_SOCK")"
    - (cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline > seen/processes || true) 2> /dev/null
    - touch started; until test -e seen/inspected; do sleep 0.05; done
`, image, digestOf(token)))
	for _, name := range []string{"key.pub", "host"} {
		command(t, v.dir, "cp", filepath.Join(dir, name), ".")
	}
	cmd, out := v.command("run", "--log", "--git-token", "deploy@127.0.0.1:8080=GIT_TOKEN", "--deploy-key", "DEPLOY_KEY",
		"--host", "127.0.0.1:2222", "--known-hosts", known)
	cmd.Env = append(cmd.Env, "DOCKER_HOST="+host, "GIT_TOKEN="+token, "DEPLOY_KEY="+oneLine(key))
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { _ = cmd.Wait(); close(done) }()
	work, ended := v.awaitOrEnd("started", done)
	if !ended {
		inspected, err := exec.Command("sh", "-c", "docker -H '"+host+"' inspect $(docker -H '"+host+"' ps -q --filter ancestor="+image+")").Output()
		if err != nil || !bytes.Contains(inspected, []byte("refline.job")) {
			t.Errorf("docker inspect: %v\n%s", err, inspected)
		}
		seen := filepath.Join(work, "seen")
		if err := os.WriteFile(filepath.Join(seen, "inspected"), inspected, 0o644); err != nil {
			t.Error(err)
		}
		kept := t.TempDir()
		command(t, kept, "cp", "-r", seen, ".")
		noKeyIn(t, kept, key)
		noTextIn(t, kept, token)
	}
	<-done
	if code := cmd.ProcessState.ExitCode(); code != 0 {
		t.Fatalf("exit code %d\n%s", code, out)
	}
	for _, want := range []string{"by token", "by key", "no token for others"} {
		if !strings.Contains(out.String(), "│ "+want+"\n") {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	if strings.Contains(out.String(), token) || len(keyPieces(out.String(), key)) > 0 {
		t.Errorf("the output holds a secret")
	}
}
