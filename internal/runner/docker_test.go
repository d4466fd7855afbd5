//go:build unix

package runner_test

import "refline/internal/executor"

func dockerKind() []executor.Kind { return nil }
