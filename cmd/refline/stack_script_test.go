package main

import (
	"path/filepath"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"

	"refline/internal/stack/stacktest"
)

// startCloud gives the scripts about stacks a cloud of their own, and the
// folder of examples.
func startCloud(env *testscript.Env) error {
	if !strings.HasPrefix(filepath.Base(env.WorkDir), "script-stack_") {
		return nil
	}
	examples, err := filepath.Abs(filepath.Join("..", "..", "examples"))
	if err != nil {
		return err
	}
	cloud := stacktest.New()
	env.Defer(cloud.Close)
	for _, name := range []string{"staging-dev", "staging-prod"} {
		cloud.CreateBucket(name, stacktest.Account)
	}
	env.Values["cloud"] = cloud
	env.Vars = append(append(env.Vars, "EXAMPLES="+examples), cloud.Env()...)
	return nil
}

// cloudOrder is the command "cloud": an order to the script's cloud, as
// stacktest.Server.Tell takes it.
func cloudOrder(ts *testscript.TestScript, neg bool, args []string) {
	cloud, ok := ts.Value("cloud").(*stacktest.Server)
	if !ok {
		ts.Fatalf("this script has no cloud; its name must begin with stack_")
	}
	if err := cloud.Tell(args...); (err != nil) != neg {
		ts.Fatalf("cloud %s: %v", strings.Join(args, " "), err)
	}
}
