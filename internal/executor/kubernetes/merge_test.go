package kubernetes

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	"k8s.io/apimachinery/pkg/util/strategicpatch"
)

// The merge gives what the API server's own gives, up to the order of lists with keys.
func TestMergeAsUpstream(t *testing.T) {
	t.Parallel()
	const base = `{"metadata": {"labels": {"a": "1", "b": "2"}, "finalizers": ["x"]}, "spec": {"backoffLimit": 0, "template": {"spec": {
		"containers": [
			{"name": "refline", "image": "r", "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}], "command": ["x", "y"]},
			{"name": "job", "resources": {"limits": {"memory": "1Gi"}}, "ports": [{"containerPort": 80, "name": "w"}]}],
		"nodeSelector": {"os": "linux"},
		"imagePullSecrets": [{"name": "one"}],
		"tolerations": [{"key": "k", "operator": "Exists"}],
		"securityContext": {"runAsUser": 1000, "supplementalGroups": [1, 2]},
		"volumes": [{"name": "v", "emptyDir": {}}, {"name": "w", "emptyDir": {}}]}}}}`
	for _, patch := range []string{
		`{}`,
		`{"metadata": {"labels": {"b": "3", "c": "4"}}}`,
		`{"metadata": {"labels": {"a": null}}}`,
		`{"metadata": {"labels": {"$patch": "replace", "z": "1"}}}`,
		`{"metadata": {"finalizers": ["x", "y"]}}`,
		`{"spec": {"backoffLimit": null}}`,
		`{"spec": {"template": {"spec": {"containers": [{"name": "job", "image": "i", "resources": {"limits": {"cpu": "1"}}}]}}}}`,
		`{"spec": {"template": {"spec": {"containers": [{"name": "new", "image": "n"}]}}}}`,
		`{"spec": {"template": {"spec": {"containers": [{"name": "refline", "env": [{"name": "B", "value": "3"}, {"name": "C", "value": "4"}], "command": ["z"]}]}}}}`,
		`{"spec": {"template": {"spec": {"containers": [{"name": "refline", "env": [{"name": "A", "$patch": "delete"}]}]}}}}`,
		`{"spec": {"template": {"spec": {"containers": [{"name": "job", "$patch": "delete"}]}}}}`,
		`{"spec": {"template": {"spec": {"containers": [{"$patch": "replace"}, {"name": "only", "image": "o"}]}}}}`,
		`{"spec": {"template": {"spec": {"volumes": [{"name": "v", "$retainKeys": ["name", "configMap"], "configMap": {"name": "c"}}]}}}}`,
		`{"spec": {"template": {"spec": {"tolerations": [{"key": "other"}]}}}}`,
		`{"spec": {"template": {"spec": {"imagePullSecrets": [{"name": "two"}]}}}}`,
		`{"spec": {"template": {"spec": {"securityContext": {"supplementalGroups": [3]}}}}}`,
		`{"spec": {"template": {"spec": {"containers": [{"name": "job", "ports": [{"containerPort": 80, "name": "x"}, {"containerPort": 81}]}]}}}}`,
		`{"spec": {"template": {"spec": {"nodeSelector": {"$patch": "replace", "disk": "ssd"}}}}}`,
		`{"spec": {"template": {"spec": {"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [{"matchExpressions": [{"key": "k", "operator": "Exists"}]}]}}}}}}}`,
	} {
		t.Run(patch, func(t *testing.T) {
			t.Parallel()
			upstream, err := strategicpatch.StrategicMergePatch([]byte(base), []byte(patch), batchv1.Job{})
			if err != nil {
				t.Fatal(err)
			}
			merged, err := merge(decode(t, base), decode(t, patch), jobType(), "")
			if err != nil {
				t.Fatal(err)
			}
			want, got := sorted(decode(t, string(upstream))), sorted(merged)
			if d := gocmp.Diff(want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

func decode(t *testing.T, text string) (m map[string]any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &m); err != nil {
		t.Fatal(err)
	}
	return m
}

// sorted orders lists of objects by their text.
func sorted(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := map[string]any{}
		for k, x := range v {
			out[k] = sorted(x)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, x := range v {
			out[i] = sorted(x)
		}
		if len(out) > 0 {
			if _, ok := out[0].(map[string]any); ok {
				slices.SortFunc(out, func(a, b any) int { return cmp.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
			}
		}
		return out
	}
	return v
}
