// Package deploy holds files that the program prints for use elsewhere.
package deploy

import _ "embed"

// Repository is an include for GitLab CI by which jobs clone, pull and push
// another repository.
//
//go:embed gitlab-ci/repository.yml
var Repository []byte
