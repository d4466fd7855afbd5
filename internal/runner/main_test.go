//go:build unix

package runner_test

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if mode := os.Getenv(childMode); mode != "" {
		os.Exit(runChild(mode))
	}
	goleak.VerifyTestMain(m)
}

// soak makes tests longer: REFLINE_SOAK=1.
func soak(short, long int) int {
	if os.Getenv("REFLINE_SOAK") != "" {
		return long
	}
	return short
}
