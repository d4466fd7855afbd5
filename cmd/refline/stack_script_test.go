package main

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"refline/internal/stack/stacktest"
)

// startCloud gives the scripts about stacks a cloud of their own, and the
// folder of examples.
func startCloud(env *testscript.Env) error {
	if strings.HasPrefix(filepath.Base(env.WorkDir), "script-moto_") {
		return reachMoto(env)
	}
	if strings.HasPrefix(filepath.Base(env.WorkDir), "script-ministack_") {
		// A key of 12 digits is an account there: each run has its own.
		account := fmt.Sprintf("6%011d", time.Now().UnixMicro()%100_000_000_000)
		env.Vars = append(env.Vars, "ACCOUNT="+account, "AWS_ENDPOINT_URL="+os.Getenv("REFLINE_TEST_MINISTACK"), "AWS_ACCESS_KEY_ID="+account,
			"AWS_SECRET_ACCESS_KEY=testing", "AWS_PROFILE=", "AWS_CONFIG_FILE=/nonexistent", "AWS_SHARED_CREDENTIALS_FILE=/nonexistent")
		return nil
	}
	if !strings.HasPrefix(filepath.Base(env.WorkDir), "script-stack_") {
		return nil
	}
	examples, err := filepath.Abs(filepath.Join("..", "..", "examples"))
	if err != nil {
		return err
	}
	cloud := stacktest.New()
	env.Defer(cloud.Close)
	for _, name := range []string{"staging-dev", "staging-prod"} {
		cloud.CreateBucket(name, stacktest.Account)
	}
	env.Values["cloud"] = cloud
	env.Vars = append(append(env.Vars, "EXAMPLES="+examples), cloud.Env()...)
	return nil
}

// reachMoto gives the scripts whose name begins with moto_ the emulator that
// scripts/with-moto started, and the buckets of the examples in it. Where there
// is none they stop at their first line, [!moto] skip.
func reachMoto(env *testscript.Env) error {
	endpoint := os.Getenv("REFLINE_TEST_MOTO")
	if endpoint == "" {
		return nil
	}
	examples, err := filepath.Abs(filepath.Join("..", "..", "examples"))
	if err != nil {
		return err
	}
	env.Vars = append(env.Vars, "EXAMPLES="+examples, "AWS_ENDPOINT_URL="+endpoint, "AWS_REGION=eu-central-1", "AWS_PROFILE=",
		"AWS_ACCESS_KEY_ID=testing", "AWS_SECRET_ACCESS_KEY=testing", "AWS_CONFIG_FILE=/nonexistent", "AWS_SHARED_CREDENTIALS_FILE=/nonexistent")
	for _, name := range []string{"staging-dev", "staging-prod"} {
		body := strings.NewReader(`<CreateBucketConfiguration><LocationConstraint>eu-central-1</LocationConstraint></CreateBucketConfiguration>`)
		req, err := http.NewRequest(http.MethodPut, endpoint+"/"+name, body)
		if err != nil {
			return err
		}
		// It reads the service from the signature and does not verify it.
		req.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=testing/20260102/eu-central-1/s3/aws4_request, SignedHeaders=host, Signature=0")
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			return err
		}
		if err := res.Body.Close(); err != nil || res.StatusCode != http.StatusOK && res.StatusCode != http.StatusConflict {
			return fmt.Errorf("bucket %s: %s", name, res.Status)
		}
	}
	return nil
}

// cloudOrder is the command "cloud": an order to the script's cloud, as
// stacktest.Server.Tell takes it.
func cloudOrder(ts *testscript.TestScript, neg bool, args []string) {
	cloud, ok := ts.Value("cloud").(*stacktest.Server)
	if !ok {
		ts.Fatalf("this script has no cloud; its name must begin with stack_")
	}
	if err := cloud.Tell(args...); (err != nil) != neg {
		ts.Fatalf("cloud %s: %v", strings.Join(args, " "), err)
	}
}
