package mask

import (
	"encoding/base64"
	"encoding/hex"
	"strings"
	"testing"
)

// A secret that is an encoding of something is masked decoded too, and a
// password is masked alone where the secret holds it among other things.
func TestDecodedForms(t *testing.T) {
	t.Parallel()
	b64 := func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
	random := "\x8f\x01\xfe\x9a\xc3\x28\x00\x11\xee\x7b\x90\xa1\xb2\xc3\xd4\xe5"
	for name, tt := range map[string]struct{ secret, printed string }{
		"URL-encoded":              {"p%40ss%2Fw%C3%B6rd%21", "p@ss/wörd!"},
		"a query":                  {"correct+horse%21battery", "correct horse!battery"},
		"base64":                   {b64("hunter2-hunter"), "hunter2-hunter"},
		"base64 of bytes":          {b64(random), hex.EncodeToString([]byte(random))},
		"hex of text":              {hex.EncodeToString([]byte("hunter2-hunter")), "hunter2-hunter"},
		"hex in upper case":        {strings.ToUpper(hex.EncodeToString([]byte(random))), hex.EncodeToString([]byte(random))},
		"hex of bytes":             {hex.EncodeToString([]byte(random)), b64(random)[:20]},
		"password in a URL":        {"postgres://app:s3cret-pw@db.example.com:5432/app", "s3cret-pw"},
		"escaped in a URL":         {"https://u:p%40ss-w0rd@example.com/", "p@ss-w0rd"},
		"netrc":                    {"machine git.example.com login deploy password s3cret-pw\n", "s3cret-pw"},
		"netrc, lines":             {"machine git.example.com\n  login deploy\n  password s3cret-pw\n", "s3cret-pw"},
		"npmrc":                    {"registry=https://npm.example.com/\n//npm.example.com/:_authToken=npm_t0ken1\n", "npm_t0ken1"},
		"npmrc, _auth":             {"//npm.example.com/:_auth=" + b64("deploy:s3cret-pw"), "s3cret-pw"},
		"pypirc":                   {"[pypi]\nusername = __token__\npassword = pypi-t0ken\n", "pypi-t0ken"},
		"pgpass":                   {"db.example.com:5432:app:app:s3cret-pw", "s3cret-pw"},
		"Docker's auth":            {`{"auths":{"r.example.com":{"auth":"` + b64("deploy:s3cret-pw") + `"}}}`, "s3cret-pw"},
		"Basic":                    {b64("deploy:s3cret-pw"), "s3cret-pw"},
		"a connection string":      {"Server=db;Database=app;Password=s3cret-pw1;", "s3cret-pw1"},
		"JSON in a string of JSON": {`{"url":"redis://:s3cret-pw@cache/0"}`, "s3cret-pw"},
	} {
		s := setOf(t, tt.secret)
		if got := s.String("<" + tt.printed + ">"); got != "<[masked]>" {
			t.Errorf("%s: %s gives %s", name, tt.printed, got)
		}
		if got := s.String(tt.secret); strings.Contains(got, "s3cret") {
			t.Errorf("%s: the secret itself gives %s", name, got)
		}
	}
}

// What is in every credentials file of a cloud, and words, are not secrets.
func TestPublicPartsOfCredentials(t *testing.T) {
	t.Parallel()
	account := `{"type":"service_account","client_email":"deployer@demo-project-1234.iam.gserviceaccount.com",
		"auth_provider_x509_cert_url":"https://www.googleapis.com/oauth2/v1/certs",
		"client_x509_cert_url":"https://www.googleapis.com/robot/v1/metadata/x509/deployer%40demo-project-1234.iam.gserviceaccount.com"}`
	s := setOf(t, account, "password: production\nand more of it", "https://git.example.com/group/project.git?ref=main")
	for _, text := range []string{
		"GET https://www.googleapis.com/storage/v1/b/bucket", "other@another-project.iam.gserviceaccount.com", "https://www.googleapis.com/oauth2/v1/certs",
		"deployed to production",
	} {
		if got := s.String(text); got != text {
			t.Errorf("%s gives %s", text, got)
		}
	}
	if got := s.String("by deployer@demo-project-1234.iam.gserviceaccount.com"); got != "by [masked].iam.gserviceaccount.com" {
		t.Errorf("got %s", got)
	}
}
