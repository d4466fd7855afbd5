package gitlabci

import "refline/internal/pipeline"

func Render(*pipeline.Pipeline) ([]byte, error)            { return nil, nil }
func IncludeAll([]pipeline.TriggerInclude) ([]byte, error) { return nil, nil }
