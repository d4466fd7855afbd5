package podsandbox

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// memory is what the container's control group counts.
type memory struct {
	Killed int64 `json:"killed,omitempty"` // processes that the kernel killed for memory
	Peak   int64 `json:"peak,omitempty"`   // bytes
	Limit  int64 `json:"limit,omitempty"`  // bytes; 0: none
}

// readMemory reads the files of either version of control groups. What is not there
// is 0.
func readMemory() memory {
	const two, one = "/sys/fs/cgroup/", "/sys/fs/cgroup/memory/"
	if events, err := os.ReadFile(two + "memory.events"); err == nil {
		return memory{counter(events, "oom_kill"), number(two + "memory.peak"), number(two + "memory.max")}
	}
	events, err := os.ReadFile(one + "memory.oom_control")
	if err != nil {
		return memory{}
	}
	return memory{counter(events, "oom_kill"), number(one + "memory.max_usage_in_bytes"), number(one + "memory.limit_in_bytes")}
}

func counter(text []byte, name string) int64 {
	for line := range bytes.Lines(text) {
		if value, ok := bytes.CutPrefix(line, []byte(name+" ")); ok {
			n, _ := strconv.ParseInt(string(bytes.TrimSpace(value)), 10, 64)
			return n
		}
	}
	return 0
}

// unlimited is more than any computer has: what control groups of version 1 say
// without a limit.
const unlimited = 1 << 60

func number(path string) int64 {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64) // "max" is no limit
	if err != nil || n >= unlimited {
		return 0
	}
	return n
}

// since leaves what happened after an earlier reading.
func (m memory) since(before memory) memory {
	m.Killed -= before.Killed
	if m.Killed <= 0 {
		return memory{}
	}
	return m
}

// String says what the kernel killed; "" if nothing.
func (m memory) String() string {
	if m.Killed <= 0 {
		return ""
	}
	text := "out of memory: the kernel killed a process of the job"
	if m.Limit > 0 {
		text += fmt.Sprintf(" at the limit of %s", size(m.Limit))
	}
	if m.Peak > 0 {
		text += fmt.Sprintf(" (peak %s)", size(m.Peak))
	}
	return text + "; raise the runtime's memory limit, or use less"
}

func size(n int64) string { return strconv.FormatInt((n+1<<19)>>20, 10) + " MiB" }
