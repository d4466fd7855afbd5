package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"refline/internal/stack/stacktest"
)

// TestMoto tells the stories in testdata/moto to an emulator that others wrote
// after the same service.
func TestMoto(t *testing.T) {
	t.Parallel()
	moto := os.Getenv("REFLINE_TEST_MOTO")
	if moto == "" {
		t.Skip("REFLINE_TEST_MOTO is not set: run the tests by scripts/with-moto, which installs and starts moto")
	}
	examples, err := filepath.Abs(filepath.Join("..", "..", "examples"))
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("testdata", "moto"),
		UpdateScripts:       *update,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			front := stacktest.NewFront(moto)
			env.Defer(front.Close)
			for _, name := range []string{"staging-dev", "staging-prod"} {
				if err := front.CreateBucket(name); err != nil {
					return err
				}
			}
			env.Vars = append(env.Vars, "EXAMPLES="+examples, "HOME="+env.WorkDir, "GIT_CONFIG_NOSYSTEM=1",
				"REFLINE_STATE_DIR="+filepath.Join(env.WorkDir, "state"), "REFLINE_CACHE_DIR="+filepath.Join(env.WorkDir, "cache"),
				"AWS_ENDPOINT_URL="+front.URL(), "AWS_REGION="+stacktest.Region, "AWS_ACCESS_KEY_ID=testing", "AWS_SECRET_ACCESS_KEY=testing",
				"AWS_CONFIG_FILE=/nonexistent", "AWS_SHARED_CREDENTIALS_FILE=/nonexistent", "AWS_MAX_ATTEMPTS=1")
			return nil
		},
	})
}
