package internal_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const ours = "refline/internal/"

// walls says which of our packages each package may import. A package that is
// not in the table fails the test: a new room or a new arrow is a decision,
// made here and with a line in docs/adr.
var walls = map[string]string{
	"errs":                  "",
	"diag":                  "errs",
	"mask":                  "",
	"secret":                "errs",
	"sshagent":              "errs",
	"credential":            "sshagent secret mask errs",
	"forge":                 "secret errs",
	"forge/forgetest":       "",
	"variable":              "secret forge errs",
	"pipeline":              "diag errs",
	"pipelinetest":          "pipeline errs",
	"schedule":              "errs",
	"logfile":               "errs",
	"graphview":             "pipeline errs",
	"gitlabci":              "gitlabci/expr gitlabci/jobexpr pipeline diag errs",
	"gitlabci/expr":         "diag errs",
	"gitlabci/jobexpr":      "errs",
	"jsonnet":               "diag errs",
	"lock":                  "errs",
	"netguard":              "errs",
	"git":                   "lock netguard errs",
	"source":                "git gitlabci pipeline errs",
	"definition":            "source gitlabci jsonnet pipeline secret diag errs",
	"history":               "lock pipeline errs",
	"termview":              "pipeline",
	"executor":              "errs",
	"executor/process":      "executor lock errs",
	"executor/docker":       "executor executor/treecopy lock errs",
	"executor/treecopy":     "",
	"executor/executortest": "executor errs",

	"workspace":               "lock errs",
	"workspace/workspacetest": "",
	"artifact":                "pipeline workspace errs",
	"cache":                   "pipeline workspace lock errs",
	"pythonenv":               "lock errs",
	"engine":                  "pipeline executor workspace artifact cache mask errs",
	"engine/enginetest":       "executor",
	"localrun":                "engine pipeline artifact mask errs",

	"cfn":               "jsonnet diag errs",
	"cfn/lint":          "cfn diag errs",
	"cfn/lint/generate": "",
	"stack":             "cfn cfn/lint jsonnet stack/planfile diag errs",
	"stack/planfile":    "diag errs",
	"stack/awscloud":    "stack stack/planfile errs",
	"stack/stacktest":   "stack errs",
}

// outside says which packages alone may import a module that is heavy or that
// must stay in one place.
var outside = map[string]string{
	"github.com/moby/":                "executor/docker",
	"github.com/docker/":              "executor/docker",
	"github.com/google/go-jsonnet":    "jsonnet",
	"go.yaml.in/yaml":                 "gitlabci cfn secret stack stack/stacktest",
	"filippo.io/age":                  "secret",
	"code.dny.dev/ssrf":               "netguard",
	"golang.org/x/crypto/ssh":         "credential sshagent secret",
	"github.com/aws/":                 "stack/awscloud",
	"k8s.io/":                         "executor/kubernetes",
	"database/sql":                    "store",
	"github.com/bmatcuk/doublestar":   "engine workspace cache executor/docker gitlabci",
	"os/exec":                         "credential git executor/process pythonenv workspace/workspacetest executor/docker executor/executortest",
	"net/http":                        "executor/docker git netguard forge forge/forgetest source stack/awscloud stack/stacktest",
	"gitlab.com/gitlab-org/api":       "forge",
	"github.com/spf13/cobra":          "", // cmd/refline only
	"github.com/creack/pty":           "executor/process",
	"github.com/dlclark/regexp2":      "cfn/lint gitlabci",
	"pgregory.net/rapid":              "", // tests only
	"github.com/google/go-cmp":        "executor/executortest workspace/workspacetest",
	"github.com/rogpeppe/go-internal": "",
	"go.uber.org/goleak":              "",
}

// testHelpers may be imported by tests of any package.
var testHelpers = []string{"executor/executortest", "workspace/workspacetest", "engine/enginetest", "forge/forgetest", "stack/stacktest"}

// testWalls says what else the tests of a package may import.
var testWalls = map[string]string{
	"cfn/lint": "jsonnet",          // templates of examples are rendered and linted
	"engine":   "executor/process", // what a shell makes of a job's script
	"localrun": "executor workspace lock",
	"pipeline": "pipelinetest", // the published state cases
	"sshagent": "forge",        // what GitLab masks of a key
}

func TestWalls(t *testing.T) {
	t.Parallel()
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && d.Name() == "testdata" {
			return filepath.SkipDir
		}
		if !strings.HasSuffix(path, ".go") || filepath.Dir(path) == "." {
			return nil
		}
		checkFile(t, path)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func checkFile(t *testing.T, path string) {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
	if err != nil {
		t.Fatal(err)
	}
	room := filepath.ToSlash(filepath.Dir(path))
	may, known := walls[room]
	if !known {
		t.Errorf("%s: package %s is not in the table of walls", path, room)
	}
	test := strings.HasSuffix(path, "_test.go")
	for _, spec := range f.Imports {
		imp, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			t.Fatal(err)
		}
		if own, is := strings.CutPrefix(imp, ours); is {
			allowed := own == room || slices.Contains(strings.Fields(may), own) ||
				test && (slices.Contains(testHelpers, own) || slices.Contains(strings.Fields(testWalls[room]), own))
			if !allowed {
				t.Errorf("%s: %s must not import %s", path, room, own)
			}
		}
		for prefix, owners := range outside {
			if strings.HasPrefix(imp, prefix) && !test && !slices.Contains(strings.Fields(owners), room) {
				t.Errorf("%s: %s must not import %s (only: %s)", path, room, imp, owners)
			}
		}
	}
}
