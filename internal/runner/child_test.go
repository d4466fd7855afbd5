package runner_test

// childFolder is set in a runner that a test starts as a process of its own.
const childFolder = "REFLINE_TEST_RUNNER"

func runChild() int { return 0 }
