package jsonnet

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	gojsonnet "github.com/google/go-jsonnet"
	"github.com/google/go-jsonnet/formatter"
)

// The programs that the library tests itself with give what it gives, byte for
// byte, through all that stands around it here; and each that evaluates has
// places.
func TestLibrarysOwnPrograms(t *testing.T) {
	t.Parallel()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "github.com/google/go-jsonnet").Output()
	dir := filepath.Join(strings.TrimSpace(string(out)), "testdata")
	files, _ := filepath.Glob(filepath.Join(dir, "*.jsonnet"))
	if err != nil || len(files) == 0 {
		t.Skipf("no programs in %s (%v): they come with the module, run go mod download", dir, err)
	}
	for _, file := range files {
		vm := gojsonnet.MakeVM()
		vm.Importer(&gojsonnet.FileImporter{})
		vm.SetTraceOut(new(strings.Builder))
		want, wantErr := vm.EvaluateFile(file)
		got, err := Evaluate(t.Context(), Input{File: file})
		if (err != nil) != (wantErr != nil) || got.Text != want {
			t.Errorf("%s: got %q %v, want %q %v", file, got.Text, err, want, wantErr)
		}
		src, readErr := os.ReadFile(file)
		if readErr != nil {
			t.Fatal(readErr)
		}
		want, wantErr = formatter.Format(file, string(src), formatter.DefaultOptions())
		formatted, err := Format(file, string(src), DefaultStyle())
		if (err != nil) != (wantErr != nil) || formatted != want {
			t.Errorf("format %s: got %q %v, want %q %v", file, formatted, err, want, wantErr)
		}
	}
}
