package planfile

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"

	"refline/internal/errs"
)

// Version is the form of plan files that this program writes and reads.
const Version = 2

// Seal computes the plan's digest: SHA-256 over the plan as JSON without the
// digest itself. So it covers template, parameters, change set and account, and
// every change that a reviewer was shown.
func (p *Plan) Seal() error {
	d, err := p.digest()
	p.Digest = d
	return err
}

// Sealed reports whether the plan still has the digest it was given.
func (p *Plan) Sealed() (bool, error) {
	d, err := p.digest()
	return d == p.Digest, err
}

func (p *Plan) digest() (string, error) {
	open := *p
	open.Digest = ""
	text, err := json.Marshal(open)
	// Once more from what a reader of the file gets: bytes that are not UTF-8
	// become others on the way.
	var again Plan
	if err == nil {
		err = json.Unmarshal(text, &again)
	}
	if err == nil {
		text, err = json.Marshal(again)
	}
	if err != nil {
		return "", fmt.Errorf("digest of the plan: %w", err)
	}
	return DigestOf(text), nil
}

// DigestOf is "sha256:" and the hexadecimal hash of a text.
func DigestOf(text []byte) string {
	sum := sha256.Sum256(text)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// Encode returns the plan file.
func (p *Plan) Encode() ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(p); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// Decode reads a plan file. One that was changed since it was written is
// refused (Conflict), as is one with keys this program does not know (Invalid):
// they might matter.
func Decode(name string, text []byte) (*Plan, error) {
	var head struct{ Version int }
	if err := json.Unmarshal(text, &head); err != nil {
		return nil, errs.E(errs.Invalid, "%s is not a plan file: %w", name, err)
	}
	if head.Version != Version {
		return nil, errs.E(errs.Invalid, "%s is a plan file of version %d; this program reads version %d; plan again", name, head.Version, Version)
	}
	var p Plan
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&p); err != nil {
		return nil, errs.E(errs.Invalid, "%s is not a plan file: %w", name, err)
	}
	d, err := p.digest()
	if err != nil {
		return nil, err
	}
	if d != p.Digest {
		return nil, errs.E(errs.Conflict, "%s was changed after it was planned: its digest is %s, but says %s; plan again", name, Short(d), Short(p.Digest))
	}
	return &p, nil
}

// Short is a digest as it is shown: enough to compare by eye.
func Short(digest string) string {
	const shown = len("sha256:") + 12
	if len(digest) <= shown {
		return digest
	}
	return digest[:shown] + "…"
}

// FileName is where a plan is written by default.
func (p *Plan) FileName() string { return FileName(p.StackName) }

// FileName is the plan file of a stack, by its name in CloudFormation.
func FileName(stackName string) string { return stackName + Suffix }

// Suffix ends the name of a plan file.
const Suffix = ".plan.json"

// ApprovedVariable is the environment variable with the digests of the plans that
// were approved, with spaces between, for a job that deploys them.
const ApprovedVariable = "REFLINE_PLAN_DIGEST"
