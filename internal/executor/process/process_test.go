//go:build linux || darwin

package process_test

import (
	"runtime"
	"testing"

	"go.uber.org/goleak"

	"refline/internal/executor"
	"refline/internal/executor/executortest"
	"refline/internal/executor/process"
)

func TestMain(m *testing.M) {
	executortest.Victim(func() executor.Executor { return process.New() }, executor.Image{})
	goleak.VerifyTestMain(m)
}

func TestExecutor(t *testing.T) {
	executortest.Run(t, func(t *testing.T) executor.Executor {
		e := process.New()
		t.Cleanup(func() {
			if err := e.Close(); err != nil {
				t.Errorf("close: %v", err)
			}
		})
		return e
	}, executortest.Options{Escapes: runtime.GOOS == "linux"})
}
