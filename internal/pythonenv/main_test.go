package pythonenv

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"refline/internal/workspace/workspacetest"
	"testing"
)

type files = workspacetest.Files

var (
	plant     = workspacetest.Plant
	plantIn   = workspacetest.PlantIn
	must      = workspacetest.Must
	same      = workspacetest.Same
	startRole = workspacetest.StartRole
)

func TestMain(m *testing.M) {
	workspacetest.Main(m, map[string]func(dir string) error{
		"python": func(dir string) error {
			fmt.Println("making")
			_, err := Make(context.Background(), filepath.Join(dir, "cache"), filepath.Join(dir, "root"), "s.py", io.Discard, os.Environ())
			return err
		},
	})
}
