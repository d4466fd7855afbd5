package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"refline/internal/cli"
	"refline/internal/cli/serve"
)

var update = flag.Bool("update", false, "rewrite the expected output in scripts")

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"refline":        func() { os.Exit(run(os.Args[1:], cli.ProcessEnv())) },
		"refline-server": func() { os.Exit(serve.Main(os.Args[1:], cli.ProcessEnv())) },
		"githttp":        gitServer,
	})
}

func scriptCmds() map[string]func(*testscript.TestScript, bool, []string) {
	cmds := serverCmds()
	cmds["cloud"] = cloudOrder
	hookCmds(cmds)
	return cmds
}

// TestScripts drives the real main by the scripts in testdata. Each has a home
// of its own, and a commit identity for git.
func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("testdata", "script"),
		UpdateScripts:       *update,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Condition: func(cond string) (bool, error) {
			if cond == "conformance" {
				return os.Getenv("REFLINE_CONFORMANCE") != "", nil
			}
			if cond == "moto" {
				return os.Getenv("REFLINE_TEST_MOTO") != "", nil
			}
			if cond == "ministack" {
				return os.Getenv("REFLINE_TEST_MINISTACK") != "", nil
			}
			return false, fmt.Errorf("unknown condition %q", cond)
		},
		Cmds: scriptCmds(),
		Setup: func(env *testscript.Env) error {
			if err := startCloud(env); err != nil {
				return err
			}
			home, err := os.MkdirTemp("", "refline-home-")
			if err != nil {
				return err
			}
			env.Defer(func() { os.RemoveAll(home) })
			config := "[user]\n\tname = A. Committer\n\temail = committer@example.com\n[init]\n\tdefaultBranch = main\n[commit]\n\tgpgsign = false\n"
			if err := os.WriteFile(filepath.Join(home, ".gitconfig"), []byte(config), 0o600); err != nil {
				return err
			}
			sdk, err := filepath.Abs(filepath.Join("..", "..", "sdk", "python", "src"))
			if err != nil {
				return err
			}
			env.Vars = append(env.Vars, "HOME="+home, "GIT_CONFIG_NOSYSTEM=1", "SDK_PYTHON="+sdk,
				"REFLINE_STATE_DIR="+filepath.Join(home, "state"), "REFLINE_CACHE_DIR="+filepath.Join(home, "cache"), "REFLINE_DATA="+filepath.Join(home, "data"),
				"GIT_AUTHOR_DATE=2026-01-02T03:04:05Z", "GIT_COMMITTER_DATE=2026-01-02T03:04:05Z",
				"REFLINE_CONFORMANCE="+os.Getenv("REFLINE_CONFORMANCE"), "DOCKER_HOST=unix:///nowhere/docker.sock")
			return nil
		},
	})
}
