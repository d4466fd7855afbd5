package artifact

import (
	"context"
	"fmt"
	"path/filepath"
	"refline/internal/pipeline"
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
	makePipe  = workspacetest.MakePipe
	startRole = workspacetest.StartRole
)

func TestMain(m *testing.M) {
	workspacetest.Main(m, map[string]func(dir string) error{
		"collect": func(dir string) error {
			fmt.Println("collecting")
			for {
				_, err := Keep(context.Background(), NewFolder(dir), "a", Request{
					Workspace: filepath.Join(dir, "w"), Artifacts: &pipeline.Artifacts{Paths: []string{"**"}},
				})
				if err != nil {
					return err
				}
			}
		},
	})
}
