package main

import (
	"context"
	"os"
	"path/filepath"
	"strconv"

	"github.com/rogpeppe/go-internal/testscript"
)

// scriptPlanDigest sets a variable to the digest of the only plan of a run:
// plandigest VARIABLE RUN.
func scriptPlanDigest(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: plandigest VARIABLE RUN")
	}
	id, err := strconv.ParseInt(args[1], 10, 64)
	ts.Check(err)
	list, err := scriptClient(ts).RunPlans(context.Background(), id)
	ts.Check(err)
	if len(list) != 1 {
		ts.Fatalf("run %d has %d plans, want 1: %+v", id, len(list), list)
	}
	ts.Setenv(args[0], list[0].Digest)
}

// scriptVariable gives variables of the script to a project of its server:
// servervar PROJECT NAME….
func scriptVariable(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: servervar PROJECT NAME…")
	}
	for _, name := range args[1:] {
		value := ts.MkAbs(name + ".value")
		ts.Check(os.WriteFile(value, []byte(ts.Getenv(name)), 0o600))
		ts.Check(ts.Exec("sh", "-c", `refline var set "$1" --server --project "$2" --visible <"$3"`, "sh", name, args[0], value))
		ts.Check(os.Remove(value))
	}
}

// scriptPush pushes a branch of the repository zone to zone.git and has the forge tell
// the server, by the webhook of the project: push BRANCH DELIVERY.
func scriptPush(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: push BRANCH DELIVERY")
	}
	work := ts.Getenv("WORK")
	ts.Check(ts.Exec("git", "-C", filepath.Join(work, "zone"), "push", "-q", filepath.Join(work, "zone.git"), args[0]))
	ts.Check(ts.Exec("git", "-C", filepath.Join(work, "zone"), "rev-parse", args[0]))
	fromStdout(ts, false, []string{"COMMIT"})
	ts.Setenv("BRANCH", args[0])
	deliver(ts, false, []string{"202", "push", args[1], "push.json"})
}
