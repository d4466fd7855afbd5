package docker

import (
	"syscall"
	"time"
)

func changed(s *syscall.Stat_t) time.Time { return time.Unix(s.Ctimespec.Unix()) }

// makeWorldWritable has nothing to do: engines here mount with the user's rights.
func makeWorldWritable(string) error { return nil }
