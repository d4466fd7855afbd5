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

// imports says which of our packages each package imports; all may import errs.
// A package that is not in the table fails the test, and so does a permission
// that no file uses: a new package or import is a decision, made here and with a
// line in docs/adr.
var imports = map[string]string{
	"errs":                  "",
	"diag":                  "",
	"mask":                  "",
	"maskrun":               "mask",
	"secret":                "",
	"secret/secrettest":     "",
	"sshagent":              "",
	"credential":            "sshagent secret mask git",
	"flowfile":              "diag",
	"prefectfile":           "diag",
	"forge":                 "secret netguard",
	"forge/forgetest":       "",
	"inputfile":             "",
	"runview":               "gitlabci history localrun pipeline termview",
	"interrupt":             "",
	"terminal":              "executor",
	"jsonnetfile":           "cfn cfn/lint diag inputfile jsonnet",
	"localpipeline":         "checkout credential definition diag git gitlabci pipeline pythonenv secret secretsource source termview variable",
	"variable":              "credential git inputfile lock secret forge",
	"secretsource":          "credential sshagent variable inputfile mask secret pipeline diag",
	"pipeline":              "diag",
	"pipelinetest":          "pipeline diag",
	"schedule":              "",
	"logfile":               "blob",
	"backup":                "blob secret store",
	"diskspace":             "",
	"telemetry":             "",
	"store":                 "pipeline secret",
	"blob":                  "lock",
	"blob/blobtest":         "blob",
	"blob/s3":               "blob",
	"store/storetest":       "store",
	"scheduler":             "store webhook definition source git secret schedule pipeline diag",
	"api":                   "pipeline diag",
	"web":                   "api diag graphview pipeline stack/planfile",
	"web/browsertest":       "",
	"localserver":           "api history logfile logtext pipeline web",
	"logtext":               "",
	"image":                 "lock",
	"server":                "diskspace telemetry web artifact api image scheduler store definition source git logfile logtext lock netguard secret credential mask pipeline diag blob webhook notify forge stack/planfile",
	"runner":                "blob api artifact cache credential engine executor git lock mask pipeline secret workspace",
	"refltest":              "api blob executor executor/process logfile pipeline runner scheduler server store",
	"graphview":             "pipeline",
	"gitlabci":              "gitlabci/expr gitlabci/jobexpr pipeline diag",
	"gitlabci/expr":         "",
	"gitlabci/jobexpr":      "",
	"jsonnet":               "diag",
	"lock":                  "",
	"netguard":              "",
	"git":                   "diag lock netguard",
	"source":                "git gitlabci netguard pipeline",
	"definition":            "pythoninputs source gitlabci jsonnet pipeline secret diag",
	"pythoninputs":          "",
	"checkout":              "definition git pipeline source termview workspace",
	"history":               "lock pipeline",
	"termview":              "pipeline",
	"doctor":                "diskspace executor/docker git workspace termview",
	"executor":              "",
	"executor/process":      "executor lock",
	"executor/choice":       "executor pipeline termview",
	"executor/docker":       "executor executor/treecopy lock",
	"executor/treecopy":     "",
	"executor/executortest": "executor",
	"executor/podsandbox":   "executor executor/process",
	"executor/kubernetes":   "executor executor/podsandbox",
	"podagent":              "api executor executor/podsandbox pipeline runner",

	"workspace":               "lock",
	"workspace/workspacetest": "",
	"archive":                 "blob workspace",
	"artifact":                "archive blob pipeline workspace",
	"cache":                   "archive blob pipeline workspace lock",
	"pythonenv":               "lock",
	"engine":                  "pipeline executor workspace artifact cache mask",
	"engine/enginetest":       "executor",
	"localrun":                "engine definition credential pipeline executor artifact workspace history lock mask diag",

	"webhook": "",
	"notify":  "forge webhook secret",

	"cfn":             "jsonnet diag",
	"cfn/lint":        "cfn diag",
	"stack":           "cfn cfn/lint jsonnet stack/planfile diag",
	"stack/planfile":  "diag",
	"stack/awscloud":  "stack",
	"stack/stacktest": "",
	"cli":             "api diag git interrupt localpipeline maskrun pipeline secretsource terminal termview",
	"cli/host":        "cli executor executor/docker executor/process pythonenv",
	"cli/remote":      "api checkout cli definition diag flowfile git inputfile pipeline prefectfile source stack stack/planfile termview",
	"cli/serve":       "api backup blob blob/s3 checkout cli cli/host cli/remote definition diag executor executor/kubernetes git gitlabci history image localpipeline localserver notify pipeline runner secret server source store termview jsonnet",
	"stackview":       "stack stack/planfile termview",
	"stackrun":        "stack stack/planfile stackview cfn/lint jsonnet diag git mask forge secret variable",
}

// planned are the imports that the design names and that no file needs yet, and
// the packages that are not there yet. Whoever writes the first such import
// moves it to the table above.
var planned = map[string]string{
	"source":    "diag",
	"engine":    "pythonenv secret",
	"artifact":  "lock",
	"workspace": "git",
	"localrun":  "source cache secret",

	"scheduler": "credential",
	"server":    "variable history",
}

// commands are the packages that wire the others together. They may import all but
// the helpers of tests.
var commands = []string{"cmd/refline", "cmd/refline-server"}

// ofServer are the packages that refline starts without, by whatever way they would
// come in: they are in refline-server (docs/adr/0011-light-to-start.md).
var ofServer = []string{"cli/serve", "server", "store", "scheduler", "web", "telemetry", "backup", "image", "executor/kubernetes"}

// outside says which packages alone may import a module that is heavy or that
// must stay in one place. Here too a permission that no file uses fails.
var outside = map[string]string{
	"github.com/yuin/goldmark":               "web",
	"github.com/chromedp/":                   "", // tests only
	"github.com/moby/":                       "executor/docker",
	"github.com/google/go-containerregistry": "image",
	"github.com/klauspost/compress":          "archive",
	"github.com/google/go-jsonnet":           "jsonnet",
	"go.yaml.in/yaml":                        "cli cli/serve cmd/refline gitlabci pipelinetest cfn flowfile prefectfile secret stack/stacktest",
	"filippo.io/age":                         "secret",
	"code.dny.dev/ssrf":                      "netguard",
	"golang.org/x/crypto/ssh":                "credential sshagent",
	"github.com/go-jose/":                    "server",
	"k8s.io/":                                "executor/kubernetes",
	"sigs.k8s.io/":                           "executor/kubernetes",
	"github.com/aws/":                        "stack/awscloud blob/s3",
	"database/sql":                           "store store/storetest",
	"github.com/prometheus/":                 "telemetry",
	"modernc.org/sqlite":                     "store",
	"github.com/jackc/pgx":                   "store",
	"github.com/pressly/goose":               "store",
	"github.com/bmatcuk/doublestar":          "engine workspace executor/docker",
	"os/exec":                                "cli cli/serve cmd/refline maskrun credential doctor variable git executor/process pythonenv pythoninputs workspace/workspacetest executor/docker executor/executortest",
	"net/http":                               "notify api blob/blobtest git image netguard server forge forge/forgetest source stack/stacktest blob/s3 refltest runner web podagent executor/kubernetes telemetry localserver",
	"gitlab.com/gitlab-org/api":              "forge",
	"github.com/wneessen/go-mail":            "notify",
	"github.com/emersion/":                   "", // tests only
	"github.com/spf13/":                      "cli cli/remote cli/serve cmd/refline",
	"github.com/creack/pty":                  "maskrun executor/process",
	"github.com/dlclark/regexp2":             "cfn/lint gitlabci",
	"pgregory.net/rapid":                     "", // tests only
	"github.com/google/go-cmp":               "executor/executortest workspace/workspacetest",
	"github.com/rogpeppe/go-internal":        "",
	"github.com/anishathalye/porcupine":      "", // tests only
	"go.uber.org/goleak":                     "",
}

// notYet are owners of modules that no file imports yet.
var notYet = map[string]string{
	"go.opentelemetry.io/": "telemetry",
}

// testHelpers may be imported by tests of any package.
var testHelpers = []string{"executor/executortest", "workspace/workspacetest", "engine/enginetest", "forge/forgetest", "stack/stacktest", "store/storetest", "secret/secrettest", "blob/blobtest", "refltest"}

// testImports says what else the tests of a package may import.
var testImports = map[string]string{
	"checkout":       "gitlabci",
	"server":         "archive workspace",     // artifacts as a runner sends them
	"runner":         "executor/docker store", // containers that a killed runner leaves; rows of a real store
	"cfn/lint":       "jsonnet",               // templates of examples are rendered and linted
	"engine":         "executor/process",      // what a shell makes of a job's script
	"logfile":        "blob/s3",               // its logs are kept there too
	"stack/awscloud": "stack/planfile",
	"pipeline":       "pipelinetest",   // the published state cases
	"sshagent":       "forge",          // what GitLab masks of a key
	"notify":         "store netguard", // rows of a real store
	// pages of a real server with a runner
	"web/browsertest": "api executor executor/process runner server stack/planfile",
}

func TestImports(t *testing.T) {
	t.Parallel()
	seen := used{ours: map[string]map[string]bool{}, outside: map[string]map[string]bool{}}
	roots := []string{"."}
	for _, command := range commands {
		roots = append(roots, filepath.Join("..", filepath.FromSlash(command)))
	}
	for _, root := range roots {
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			if d.IsDir() && d.Name() == "testdata" {
				return filepath.SkipDir
			}
			if strings.HasSuffix(path, ".go") && filepath.Dir(path) != "." {
				seen.checkFile(t, path)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	seen.checkUnused(t)
	seen.checkLight(t)
}

// used are the imports that files outside of tests need: package or prefix of a
// module → what it is imported by.
type used struct{ ours, outside map[string]map[string]bool }

func note(m map[string]map[string]bool, key, value string) {
	if m[key] == nil {
		m[key] = map[string]bool{}
	}
	m[key][value] = true
}

func (u used) checkFile(t *testing.T, path string) {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
	if err != nil {
		t.Fatal(err)
	}
	pkg := strings.TrimPrefix(filepath.ToSlash(filepath.Dir(path)), "../")
	if _, known := imports[pkg]; !known && !slices.Contains(commands, pkg) {
		t.Errorf("%s: package %s is not in the table of imports", path, pkg)
		return
	}
	test := strings.HasSuffix(path, "_test.go")
	if !test && !slices.Contains(commands, pkg) {
		note(u.ours, pkg, "")
	}
	for _, spec := range f.Imports {
		imp, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			t.Fatal(err)
		}
		if own, is := strings.CutPrefix(imp, ours); is {
			u.checkOurs(t, path, pkg, own, test)
			continue
		}
		for _, owners := range []map[string]string{outside, notYet} {
			for prefix, allowed := range owners {
				if test || !strings.HasPrefix(imp, prefix) {
					continue
				}
				note(u.outside, prefix, pkg)
				if !slices.Contains(strings.Fields(allowed), pkg) {
					t.Errorf("%s: %s must not import %s (only: %s)", path, pkg, imp, allowed)
				}
			}
		}
	}
}

func (u used) checkOurs(t *testing.T, path, pkg, imported string, test bool) {
	t.Helper()
	helper := slices.Contains(testHelpers, imported)
	switch {
	case imported == pkg || imported == "errs" || test && helper:
	case slices.Contains(commands, pkg):
		if !test {
			note(u.ours, pkg, imported)
		}
		if helper {
			t.Errorf("%s: %s is for tests only", path, imported)
		}
	case slices.Contains(strings.Fields(imports[pkg]), imported):
		if !test {
			note(u.ours, pkg, imported)
		}
	case test && slices.Contains(strings.Fields(testImports[pkg]), imported):
	case !test && slices.Contains(strings.Fields(planned[pkg]), imported):
		t.Errorf("%s: the import of %s is planned for %s; move it to the table of imports", path, imported, pkg)
	default:
		t.Errorf("%s: %s must not import %s", path, pkg, imported)
	}
}

// checkLight reports how a package of the server gets into refline.
func (u used) checkLight(t *testing.T) {
	t.Helper()
	from := map[string]string{"cmd/refline": ""} // package → what brought it in
	for next := []string{"cmd/refline"}; len(next) > 0; next = next[1:] {
		for imported := range u.ours[next[0]] {
			if _, known := from[imported]; known || imported == "" {
				continue
			}
			from[imported] = next[0]
			next = append(next, imported)
			if slices.Contains(ofServer, imported) {
				t.Errorf("refline links %s by way of %s: it would start slower; the commands that need it are in cli/serve", imported, next[0])
			}
		}
	}
}

// checkUnused reports permissions that no file uses. Packages that do not exist
// yet are in planned only.
func (u used) checkUnused(t *testing.T) {
	t.Helper()
	for pkg, allowed := range imports {
		if u.ours[pkg] == nil {
			t.Errorf("package %s is in the table of imports but has no file", pkg)
			continue
		}
		for _, other := range strings.Fields(allowed) {
			if !u.ours[pkg][other] {
				t.Errorf("%s may import %s, but no file does; remove the permission", pkg, other)
			}
		}
	}
	for prefix, owners := range outside {
		for _, pkg := range strings.Fields(owners) {
			if !u.outside[prefix][pkg] {
				t.Errorf("%s may import %s, but no file does; remove the permission", pkg, prefix)
			}
		}
	}
	for prefix := range notYet {
		if len(u.outside[prefix]) > 0 {
			t.Errorf("%s is imported now: move it from notYet to outside", prefix)
		}
	}
}
