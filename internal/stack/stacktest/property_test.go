package stacktest_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	cfntypes "github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"pgregory.net/rapid"

	"refline/internal/stack/stacktest"
)

// draw makes a template of up to five parameters that refer to earlier ones.
func draw(t *rapid.T) string {
	resources := map[string]any{}
	for i := range rapid.IntRange(1, 5).Draw(t, "resources") {
		if i > 0 && rapid.Bool().Draw(t, "leave out") {
			continue
		}
		name := rapid.SampledFrom([]string{"x", "y"}).Draw(t, "name")
		properties := map[string]any{"Name": fmt.Sprintf("p%d-%s", i, name), "Type": "String",
			"Value": rapid.SampledFrom([]string{"a", "b"}).Draw(t, "value")}
		on := fmt.Sprintf("R%d", i-1)
		if _, ok := resources[on]; ok && rapid.Bool().Draw(t, "refers") {
			properties["Value"] = map[string]any{"Fn::Sub": "${" + on + "}/${" + on + ".Value}"}
		}
		resources[fmt.Sprintf("R%d", i)] = map[string]any{"Type": "AWS::SSM::Parameter", "Properties": properties}
	}
	raw, _ := json.Marshal(map[string]any{"Resources": resources})
	return string(raw)
}

// Whatever is deployed and wherever it fails: what was deployed gives no
// changes when it is planned again, and what was rolled back is as before.
func TestDeployedIsWhatWasPlanned(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		cloud := stacktest.Start(t)
		k := reachBy(t, cloud, &http.Client{Transport: cloud}) // thousands of calls: no connection is open for each cloud
		k.cloud.Pace(rapid.IntRange(0, 3).Draw(rt, "pace"))
		n, now := 0, ""
		for range rapid.IntRange(1, 5).Draw(rt, "deployments") {
			n++
			kind := cfntypes.ChangeSetTypeUpdate
			if now == "" {
				kind = cfntypes.ChangeSetTypeCreate
			}
			next := draw(rt)
			if victim := rapid.IntRange(0, 9).Draw(rt, "victim"); victim < 3 {
				for _, phase := range []stacktest.Phase{stacktest.OnCreate, stacktest.OnUpdate} {
					k.cloud.Fail(stacktest.Failure{Resource: fmt.Sprintf("R%d", victim), Phase: phase, Times: 1})
				}
			}
			cs := settled(rt, k, kind, n, next)
			if cs.Status == cfntypes.ChangeSetStatusFailed {
				if now == "" || len(cs.Changes) > 0 {
					rt.Fatalf("plan of %s after %s: %s", next, now, aws.ToString(cs.StatusReason))
				}
				continue
			}
			k.execute(*cs.ChangeSetId)
			status := ended(rt, k)
			k.cloud.Heal()
			switch status {
			case "CREATE_COMPLETE", "UPDATE_COMPLETE":
				now = next
			case "UPDATE_ROLLBACK_COMPLETE":
			case "ROLLBACK_COMPLETE":
				return
			default:
				rt.Fatalf("stack ends in %s", status)
			}
			n++
			if again := settled(rt, k, cfntypes.ChangeSetTypeUpdate, n, now); again.Status != cfntypes.ChangeSetStatusFailed {
				rt.Fatalf("%s: %s planned again changes %+v", status, now, again.Changes)
			}
		}
	})
}

func settled(t *rapid.T, k *sdk, kind cfntypes.ChangeSetType, n int, body string) *cloudformation.DescribeChangeSetOutput {
	made, err := k.cfn.CreateChangeSet(k.t.Context(), &cloudformation.CreateChangeSetInput{StackName: aws.String("app"),
		ChangeSetName: aws.String(fmt.Sprintf("cs-%d", n)), ChangeSetType: kind, TemplateBody: &body})
	if err != nil {
		t.Fatal(err)
	}
	for {
		cs := k.describe(*made.Id)
		if !strings.HasSuffix(string(cs.Status), "_PROGRESS") && cs.Status != cfntypes.ChangeSetStatusCreatePending {
			return cs
		}
	}
}

func ended(t *rapid.T, k *sdk) string {
	for range 1000 {
		if status := string(k.stack("app").StackStatus); !strings.HasSuffix(status, "_IN_PROGRESS") {
			return status
		}
	}
	t.Fatal("it never ends")
	return ""
}
