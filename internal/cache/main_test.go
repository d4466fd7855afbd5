package cache

import (
	"fmt"
	"os"
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
	oddNames  = workspacetest.OddNames
	startRole = workspacetest.StartRole
)

func TestMain(m *testing.M) {
	workspacetest.Main(m, map[string]func(dir string) error{
		"save": func(dir string) error {
			fmt.Println("saving")
			return saveGenerations(dir, os.Getenv("REFLINE_TEST_NAME"), 1<<30)
		},
	})
}
