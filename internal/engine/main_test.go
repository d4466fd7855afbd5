package engine

import (
	"refline/internal/workspace/workspacetest"
)

type files = workspacetest.Files

var (
	plant    = workspacetest.Plant
	plantIn  = workspacetest.PlantIn
	harvest  = workspacetest.Harvest
	must     = workspacetest.Must
	same     = workspacetest.Same
	makePipe = workspacetest.MakePipe
)
