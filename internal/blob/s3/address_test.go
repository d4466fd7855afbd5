package s3

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"refline/internal/errs"
)

func TestParse(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]address{
		"s3://my-bucket":                                                  {bucket: "my-bucket"},
		"s3://my-bucket/":                                                 {bucket: "my-bucket"},
		"s3://my.bucket/Team-A/x_1":                                       {bucket: "my.bucket", prefix: "Team-A/x_1/"},
		"s3://b-1/a/b/?region=eu-central-1":                               {bucket: "b-1", prefix: "a/b/", region: "eu-central-1"},
		"s3://b-1/a?endpoint=http://minio:9000":                           {bucket: "b-1", prefix: "a/", endpoint: "http://minio:9000", pathStyle: true},
		"s3://b-1?endpoint=https://s3.x/&region=r":                        {bucket: "b-1", endpoint: "https://s3.x", region: "r", pathStyle: true},
		"s3://b-1?endpoint=https%3A%2F%2Fs3.example.com&path-style=false": {bucket: "b-1", endpoint: "https://s3.example.com"},
		"s3://b-1?path-style=true":                                        {bucket: "b-1", pathStyle: true},
	} {
		got, err := parse(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if d := cmp.Diff(want, got, cmp.AllowUnexported(address{})); d != "" {
			t.Errorf("%s (-want +got):\n%s", text, d)
		}
	}
}

// What is refused says why, and repeats no password.
func TestParseRefuses(t *testing.T) {
	t.Parallel()
	for text, says := range map[string]string{
		"":                   "the form",
		"/a/folder":          "the form",
		"S4://bucket":        "the form",
		"s3:bucket":          "the form",
		"s3://bucket#x":      "the form",
		"s3://bu%zzcket":     "the form",
		"s3://":              "name of a bucket",
		"s3://ab":            "name of a bucket",
		"s3://Bucket":        "name of a bucket",
		"s3://my_bucket":     "name of a bucket",
		"s3://bucket:9000/x": "name of a bucket",
		"s3://bucket/a//b":   "prefix",
		"s3://bucket/ü":      "prefix",
		"s3://bucket/a b":    "prefix",
		"s3://bucket/" + strings.Repeat("a", 401):       "prefix",
		"s3://bucket?x=%zz":                             "parameters",
		"s3://bucket?acl=public":                        `unknown parameter "acl"`,
		"s3://bucket?region=a&region=b":                 "more than once",
		"s3://bucket?region=EU":                         "name of a region",
		"s3://bucket?path-style=maybe":                  "not true or false",
		"s3://bucket?endpoint=minio:9000":               "not a URL",
		"s3://bucket?endpoint=ftp://x":                  "not a URL",
		"s3://bucket?endpoint=http://x?y=z":             "not a URL",
		"s3://key:hunter2@bucket/x":                     "AWS_ACCESS_KEY_ID",
		"s3://bucket?endpoint=http://key:hunter2@minio": "AWS_ACCESS_KEY_ID",
		"s3://key:hunter2@bucket?x=%zz":                 "AWS_ACCESS_KEY_ID",
		"s3://key:hunter2%zz@bucket":                    "the form",
	} {
		_, err := parse(text)
		if !errs.Is(err, errs.Invalid) || !strings.Contains(err.Error(), strings.TrimPrefix(says, "the ")) {
			t.Errorf("%s: got %v, want %q in it", text, err, says)
			continue
		}
		if strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: the error repeats the password: %v", text, err)
		}
	}
}
