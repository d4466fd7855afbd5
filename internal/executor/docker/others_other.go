//go:build !unix

package docker

import "time"

// othersFiles is empty: engines here mount with this user's rights.
func othersFiles(string, time.Time) []string { return nil }
