package kubernetes

import (
	batchv1 "k8s.io/api/batch/v1"
	"sigs.k8s.io/yaml"
)

// YAML is a Job as kubectl would take it, without the fields of its status.
func YAML(job *batchv1.Job) ([]byte, error) {
	m, err := toMap(job)
	if err != nil {
		return nil, err
	}
	delete(m, "status")
	prune(m)
	return yaml.Marshal(m)
}

// prune removes the fields that the API's types always write.
func prune(v any) {
	switch v := v.(type) {
	case map[string]any:
		for name, x := range v {
			if x == nil || name == "creationTimestamp" {
				delete(v, name)
				continue
			}
			prune(x)
			if m, ok := x.(map[string]any); ok && len(m) == 0 && name != "emptyDir" {
				delete(v, name)
			}
		}
	case []any:
		for _, x := range v {
			prune(x)
		}
	}
}
