package engine

import (
	"context"
	"io"

	"refline/internal/pipeline"
)

func IsScript(string, []byte) bool                                                 { return false }
func ScriptPipeline(string, []byte, map[string]string) (*pipeline.Pipeline, error) { return nil, nil }
func PythonEnv(context.Context, string, string, string, io.Writer, []string) (string, error) {
	return "", nil
}
