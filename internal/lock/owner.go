package lock

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// Owner identifies one process of this program among all that ever ran on a
// computer. What an executor makes carries its owner's text, so that a sweep
// finds what ended processes left and spares what others still use.
type Owner struct {
	Host  string // name of the computer and, where there are such, the process namespace
	PID   int
	Start string // when the process started, as the system counts it; a pid alone comes again
}

// Self returns the owner that this process is.
func Self() (Owner, error) {
	pid := os.Getpid()
	start, err := startTime(pid)
	if err != nil {
		return Owner{}, fmt.Errorf("start time of this process: %w", err)
	}
	host, err := hostScope()
	if err != nil {
		return Owner{}, err
	}
	return Owner{Host: host, PID: pid, Start: start}, nil
}

// String is the text that ParseOwner reads: host/pid/start.
func (o Owner) String() string { return fmt.Sprintf("%s/%d/%s", o.Host, o.PID, o.Start) }

// ParseOwner reads what String wrote; ok is false for any other text.
func ParseOwner(text string) (o Owner, ok bool) {
	parts := strings.Split(text, "/")
	if len(parts) != 3 || parts[0] == "" || parts[2] == "" {
		return Owner{}, false
	}
	pid, err := strconv.Atoi(parts[1])
	if err != nil || pid <= 0 {
		return Owner{}, false
	}
	return Owner{Host: parts[0], PID: pid, Start: parts[2]}, true
}

// Dead reports whether o is a process of the same host as self that no longer
// lives. Of another host's processes nothing can be known: they are not dead.
func (o Owner) Dead(self Owner) bool {
	if o.Host != self.Host {
		return false
	}
	start, err := startTime(o.PID)
	if err != nil {
		return os.IsNotExist(err)
	}
	return start != o.Start
}
