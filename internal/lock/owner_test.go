package lock_test

import (
	"os/exec"
	"testing"

	"refline/internal/lock"
)

func TestOwnerDead(t *testing.T) {
	t.Parallel()
	self, err := lock.Self()
	if err != nil {
		t.Fatal(err)
	}
	if self.Dead(self) {
		t.Error("this process counts as dead")
	}
	cmd := exec.Command("go", "version")
	if err := cmd.Run(); err != nil {
		t.Skip("no program to run and lose:", err)
	}
	gone := self
	gone.PID = cmd.Process.Pid
	if !gone.Dead(self) {
		t.Error("a process that ended does not count as dead")
	}
	reused := self
	reused.Start = "1"
	if !reused.Dead(self) {
		t.Error("an earlier process with this pid does not count as dead")
	}
	elsewhere := gone
	elsewhere.Host = "another"
	if elsewhere.Dead(self) {
		t.Error("a process of another host counts as dead, though nothing is known of it")
	}
}

func TestOwnerText(t *testing.T) {
	t.Parallel()
	self, err := lock.Self()
	if err != nil {
		t.Fatal(err)
	}
	if got, ok := lock.ParseOwner(self.String()); !ok || got != self {
		t.Errorf("ParseOwner(%q) = %v, %v", self, got, ok)
	}
	for _, text := range []string{"", "a", "a/b/c", "a/0/c", "a/-1/c", "/1/c", "a/1/", "a/1/c/d"} {
		if o, ok := lock.ParseOwner(text); ok {
			t.Errorf("ParseOwner(%q) = %v, want refusal", text, o)
		}
	}
}
