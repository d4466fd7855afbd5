package main

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"

	"refline/internal/stack/stacktest"
)

// startCloud gives the scripts about stacks a cloud of their own, and the
// folder of examples.
func startCloud(env *testscript.Env) error {
	if !strings.HasPrefix(filepath.Base(env.WorkDir), "script-stack_") {
		return nil
	}
	examples, err := filepath.Abs(filepath.Join("..", "..", "examples"))
	if err == nil {
		env.Vars = append(env.Vars, "EXAMPLES="+examples)
	}
	if strings.HasPrefix(filepath.Base(env.WorkDir), "script-stack_moto") {
		return startMoto(env)
	}
	cloud := stacktest.New()
	env.Defer(cloud.Close)
	for _, name := range []string{"staging-dev", "staging-prod"} {
		cloud.CreateBucket(name, stacktest.Account)
	}
	env.Values["cloud"] = cloud
	env.Vars = append(env.Vars, cloud.Env()...)
	return nil
}

// startMoto points a script to moto, where scripts/with-moto started it.
func startMoto(env *testscript.Env) error {
	url := os.Getenv("REFLINE_TEST_MOTO")
	if url == "" {
		return nil // the script skips itself
	}
	env.Vars = append(env.Vars, "AWS_ENDPOINT_URL="+url, "AWS_REGION=eu-central-1", "AWS_ACCESS_KEY_ID=testing",
		"AWS_SECRET_ACCESS_KEY=testing", "AWS_SESSION_TOKEN=", "AWS_PROFILE=", "AWS_CONFIG_FILE=/nonexistent",
		"AWS_SHARED_CREDENTIALS_FILE=/nonexistent", "AWS_EC2_METADATA_DISABLED=true")
	const where = "<CreateBucketConfiguration><LocationConstraint>eu-central-1</LocationConstraint></CreateBucketConfiguration>"
	req, err := http.NewRequest(http.MethodPut, url+"/staging-dev", strings.NewReader(where))
	if err != nil {
		return err
	}
	// It reads the service from the signature and does not verify it.
	req.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=testing/20260102/eu-central-1/s3/aws4_request, SignedHeaders=host, Signature=0")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	return res.Body.Close()
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
