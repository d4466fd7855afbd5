package stack

import (
	_ "embed"
	"slices"
)

//go:embed schema.json
var schema []byte

// Schema is the JSON Schema of the configuration, for editors.
func Schema() []byte { return slices.Clone(schema) }
