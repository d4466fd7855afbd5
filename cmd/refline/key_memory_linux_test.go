package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// nobody is a user without rights, whom root's processes are closed to.
const nobody = 65534

// unprivileged makes a person whose commands run as another user than root: root
// reads the memory of every process, so that nothing could be shown.
func unprivileged(t *testing.T) *person {
	t.Helper()
	p := newPerson(t)
	if os.Getuid() != 0 {
		return p
	}
	p.uid = nobody
	for _, dir := range []string{p.home, p.dir} {
		if err := os.Chown(dir, nobody, nobody); err != nil {
			t.Skipf("needs to become another user: %v", err)
		}
		p.reach(dir)
	}
	refline, err := exec.LookPath("refline")
	if err != nil {
		t.Fatal(err)
	}
	p.reach(refline)
	return p
}

// reach opens the folders above a path to the person.
func (p *person) reach(path string) {
	p.t.Helper()
	for dir := filepath.Dir(path); p.uid != 0 && len(dir) > 1; dir = filepath.Dir(dir) {
		info, err := os.Stat(dir)
		if err == nil && info.Mode()&0o001 == 0 {
			err = os.Chmod(dir, info.Mode()|0o011)
		}
		if err != nil {
			p.t.Fatal(err)
		}
	}
}

// folder makes a folder that the person may write to.
func (p *person) folder() string {
	p.t.Helper()
	dir := p.t.TempDir()
	if p.uid != 0 {
		if err := os.Chown(dir, p.uid, p.uid); err != nil {
			p.t.Fatal(err)
		}
		p.reach(dir)
	}
	return dir
}

// lookIntoMemory copies what a job can read of every process (its memory that can
// be written, variables and arguments) into the folder of $KEEP.
const lookIntoMemory = `
      set +e
      mkdir $KEEP/memory
      for p in /proc/[0-9]*; do
        n=${p#/proc/}
        cat $p/environ > $KEEP/memory/$n.environ
        cat $p/cmdline > $KEEP/memory/$n.cmdline
        grep ' rw' $p/maps | grep -v ' /dev\| \[vv' | tr - ' ' | while read from to rest; do
          dd if=$p/mem bs=4096 skip=$((0x$from / 4096)) count=$((0x$to / 4096 - 0x$from / 4096)) >> $KEEP/memory/$n.memory
        done
        if test -s $KEEP/memory/$n.memory; then cat $p/comm >> $KEEP/read; else cat $p/comm >> $KEEP/unread; fi
      done 2>/dev/null
      set -e
`

// TestKeyIsInNoMemory has a job look where it can: in the memory, variables and
// arguments of every process it may read, an ssh at work among them, and in core
// dumps, its own and one that it makes refline write.
func TestKeyIsInNoMemory(t *testing.T) {
	t.Parallel()
	s := startSSHD(t)
	key := strings.TrimSpace(s.file(t, "write"))
	url := s.repository(t, "flows.wiki.git", map[string]string{"home.md": "# Home\n"})
	host := []string{"--deploy-key", "DEPLOY_KEY", "--host", fmt.Sprintf("127.0.0.1:%d", s.port), "--known-hosts", s.knownHosts}

	t.Run("of other processes", func(t *testing.T) {
		t.Parallel()
		if scope, _ := os.ReadFile("/proc/sys/kernel/yama/ptrace_scope"); len(scope) > 0 && scope[0] != '0' {
			t.Skip("this system keeps the memory of all processes from each other; to see what refline keeps: sysctl kernel.yama.ptrace_scope=0")
		}
		p := unprivileged(t)
		p.reach(s.knownHosts)
		p.env = []string{"DEPLOY_KEY=" + oneLine(key)}
		keep := p.folder()
		p.write(".gitlab-ci.yml", fmt.Sprintf(`look:
  script:
    - git clone -q %[1]s wiki
    - mkfifo hold
    - sh -c "exec $GIT_SSH_COMMAND -p %[2]d %[3]s \"git-upload-pack '%[4]s'\"" < hold > answer & client=$!
    - exec 9> hold
    - while kill -0 $client && ! test -s answer; do sleep 0.05; done
    - |%[5]s
    - exec 9>&-
    - test -s answer
`, url, s.port, s.who, filepath.Join(s.repositories, "flows.wiki.git"), lookIntoMemory))
		out, code := p.refline(append([]string{"run", "--log", "--var", "KEEP=" + keep}, host...)...)
		if code != 0 {
			t.Fatalf("exit code %d\n%s", code, out)
		}
		noKeyIn(t, keep, key)
		seen, err := os.ReadFile(filepath.Join(keep, "read"))
		if err != nil || !bytes.Contains(seen, []byte("ssh\n")) || !bytes.Contains(seen, []byte("sh\n")) {
			t.Errorf("the job has not seen the memory of its own processes, so this shows nothing: %q, %v", seen, err)
		}
		if bytes.Contains(seen, []byte("refline")) {
			t.Error("the job has read refline's memory")
		}
	})
	t.Run("in core dumps", func(t *testing.T) {
		t.Parallel()
		p := unprivileged(t)
		p.reach(s.knownHosts)
		// Another key than that of the other case, whose job looks at this one's
		// processes too, from their start.
		key := strings.TrimSpace(s.file(t, "read"))
		p.env = []string{"DEPLOY_KEY=" + oneLine(key), "GOTRACEBACK=crash"}
		keep := p.folder()
		p.write(".gitlab-ci.yml", fmt.Sprintf(`crash:
  script:
    - ulimit -c unlimited || true
    - git clone -q %s wiki
    - (cd $KEEP; sh -c 'kill -ABRT $$') || true
    - refline=$PPID; while ! grep -q '^Name:.refline' /proc/$refline/status; do refline=$(sed -n 's/^PPid:.//p' /proc/$refline/status); done
    - kill -ABRT $refline; sleep 100
`, url))
		out, code := p.command("sh", append([]string{"-c", `ulimit -c unlimited; exec refline "$@"`, "sh", "run", "--log", "--var", "KEEP=" + keep}, host...)...)
		if code == 0 || !strings.Contains(out, "SIGABRT") {
			t.Fatalf("refline did not crash, so this shows nothing: exit code %d\n%s", code, out)
		}
		if len(keyPieces(out, key)) > 0 {
			t.Error("what a crash prints holds a piece of the key")
		}
		for _, dir := range []string{p.dir, p.home} {
			noKeyIn(t, dir, key)
			if cores, _ := filepath.Glob(filepath.Join(dir, "core*")); len(cores) > 0 {
				t.Errorf("refline wrote a core dump: %v", cores)
			}
		}
	})
}
