package workspace

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"refline/internal/lock"
	"refline/internal/workspace/workspacetest"
	"testing"
)

type files = workspacetest.Files

var (
	plant     = workspacetest.Plant
	plantIn   = workspacetest.PlantIn
	harvest   = workspacetest.Harvest
	must      = workspacetest.Must
	same      = workspacetest.Same
	manyFiles = workspacetest.ManyFiles
	oddNames  = workspacetest.OddNames
	startRole = workspacetest.StartRole
)

func TestMain(m *testing.M) {
	workspacetest.Main(m, map[string]func(dir string) error{
		"overlay": func(dir string) error {
			unlock, err := lock.Folder(dir)
			if err != nil {
				return err
			}
			defer unlock()
			w, err := NewTree(os.Getenv("REFLINE_TEST_BASE")).Clone(context.Background(), filepath.Join(dir, "jobs", "1", "work"))
			if err != nil {
				return err
			}
			return workspacetest.SayAndWait(fmt.Sprint("overlay ", w.overlay))
		},
	})
}
