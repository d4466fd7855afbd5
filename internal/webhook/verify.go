package webhook

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"strconv"
	"strings"
	"time"
	"unicode"

	"refline/internal/errs"
)

// Proof is how [Verify] knows a delivery.
type Proof uint8

// The proofs.
const (
	Unproven     Proof = iota // there is an error
	Signed                    // by one of the secrets, or it shows GitLab's token
	UnsignedPing              // a test of Bitbucket Data Center, which never signs it: answer 200, use and record nothing
)

// signingPrefix marks a key of the Standard Webhooks form, which GitLab uses.
const signingPrefix = "whsec_"

// tolerance is how far the time of a signed delivery may be from now.
const tolerance = 5 * time.Minute

// Verify checks the proof of a delivery against the live secrets: one, or two
// while a secret is replaced. With a signing key of GitLab among them the plain
// token does not suffice. Kinds: Denied for a wrong or missing proof, Invalid for
// a form that no proof can fit.
func Verify(f Forge, d Delivery, secrets [][]byte, now time.Time) (Proof, error) {
	if name, err := d.one("X-Event-Key"); f == BitbucketDC && err == nil && name == pingDC && len(d.Header["X-Hub-Signature"]) == 0 {
		return UnsignedPing, nil
	}
	if len(d.Body) > MaxBody {
		return Unproven, tooLarge(len(d.Body))
	}
	if d.form() && f != GitHub {
		return Unproven, errs.E(errs.Invalid, "the delivery is a form: set the content type of the webhook to application/json")
	}
	secrets = withoutEmpty(secrets)
	if len(secrets) == 0 {
		return Unproven, errs.E(errs.Denied, "no secret is stored for this webhook, so its deliveries are refused: create it again with a secret")
	}
	var err error
	switch f {
	case GitLab:
		err = verifyGitLab(d, secrets, now)
	case GitHub:
		err = verifyMAC(d, "X-Hub-Signature-256", "sha256=", secrets)
	case Gitea:
		err = verifyMAC(d, "X-Gitea-Signature", "", secrets)
	case Forgejo:
		header := "X-Forgejo-Signature"
		if len(d.Header[header]) == 0 {
			header = "X-Gitea-Signature"
		}
		err = verifyMAC(d, header, "", secrets)
	case Bitbucket, BitbucketDC:
		err = verifyMAC(d, "X-Hub-Signature", "sha256=", secrets)
	default:
		err = errs.E(errs.Invalid, "unknown forge %q", f)
	}
	if err != nil {
		return Unproven, err
	}
	return Signed, nil
}

// CheckSecret returns an error of kind Invalid if no delivery could be verified
// with a secret, or if it can be guessed.
func CheckSecret(f Forge, secret []byte) error {
	if encoded, is := bytes.CutPrefix(secret, []byte(signingPrefix)); is && f == GitLab {
		if key, ok := signingKey(encoded); !ok || len(key) < 16 {
			return errs.E(errs.Invalid, "a signing key is whsec_ and at least 16 bytes as base64: copy it whole, or let GitLab make another")
		}
		return nil
	}
	if len(secret) < 8 {
		return errs.E(errs.Invalid, "a webhook secret has at least 8 characters: let this command make one, or use the output of openssl rand -hex 20")
	}
	if bytes.ContainsFunc(secret, func(r rune) bool { return unicode.IsControl(r) }) || !bytes.Equal(bytes.TrimSpace(secret), secret) {
		return errs.E(errs.Invalid, "a webhook secret has no line breaks or control characters, and no blanks around it: they were probably pasted with it")
	}
	return nil
}

// NewSecret makes a secret that every forge accepts.
func NewSecret() string { return rand.Text() + rand.Text() }

func withoutEmpty(secrets [][]byte) [][]byte {
	var kept [][]byte
	for _, s := range secrets {
		if len(s) > 0 {
			kept = append(kept, s)
		}
	}
	return kept
}

// verifyMAC checks the HMAC-SHA256 of the body in a header, as hex behind a
// prefix.
func verifyMAC(d Delivery, header, prefix string, secrets [][]byte) error {
	text, err := d.one(header)
	if err != nil {
		return err
	}
	if text == "" || text == prefix {
		return errs.E(errs.Denied, "the delivery is not signed (%s): give the webhook the secret that is stored here", header)
	}
	digits, ok := strings.CutPrefix(text, prefix)
	mac, err := hex.DecodeString(digits)
	if !ok || err != nil || len(mac) != sha256.Size {
		return errs.E(errs.Denied, "%s is not a SHA-256 signature like %s and 64 hexadecimal digits", header, prefix+"…")
	}
	for _, s := range secrets {
		h := hmac.New(sha256.New, s)
		h.Write(d.Body)
		if hmac.Equal(h.Sum(nil), mac) {
			return nil
		}
	}
	return errs.E(errs.Denied, "%s does not match: the secret of the webhook is not the one that is stored here, or something on the way changed the body", header)
}

func verifyGitLab(d Delivery, secrets [][]byte, now time.Time) error {
	var keys [][]byte
	signing := false
	for _, s := range secrets {
		encoded, is := bytes.CutPrefix(s, []byte(signingPrefix))
		signing = signing || is
		if key, ok := signingKey(encoded); is && ok {
			keys = append(keys, key)
		}
	}
	if signing {
		return verifyStandard(d, keys, now)
	}
	token, err := d.one("X-Gitlab-Token")
	if err != nil {
		return err
	}
	if token == "" {
		return errs.E(errs.Denied, "the delivery has no X-Gitlab-Token: give the webhook the secret token that is stored here")
	}
	shown := sha256.Sum256([]byte(token)) // hashes have one length, so comparing shows none
	for _, s := range secrets {
		want := sha256.Sum256(s)
		if subtle.ConstantTimeCompare(shown[:], want[:]) == 1 {
			return nil
		}
	}
	return errs.E(errs.Denied, "X-Gitlab-Token does not match: the secret token of the webhook is not the one that is stored here")
}

func signingKey(encoded []byte) ([]byte, bool) {
	key, err := base64.StdEncoding.Strict().DecodeString(string(encoded))
	return key, err == nil && len(key) > 0
}

// verifyStandard checks a signature of the Standard Webhooks form
// (https://www.standardwebhooks.com), over id.timestamp.body.
func verifyStandard(d Delivery, keys [][]byte, now time.Time) error {
	var part [3]string
	for i, header := range []string{"Webhook-Id", "Webhook-Timestamp", "Webhook-Signature"} {
		var err error
		if part[i], err = d.one(header); err != nil {
			return err
		}
		if part[i] == "" {
			return errs.E(errs.Denied, "a signing key is set, so every delivery must be signed, and this one has no %s: set the same signing key in GitLab", strings.ToLower(header))
		}
	}
	id, stamp, list := part[0], part[1], part[2]
	if strings.Contains(id, ".") {
		return errs.E(errs.Denied, "webhook-id has a dot, so the signature could be for another body")
	}
	seconds, err := strconv.ParseUint(stamp, 10, 40)
	if err != nil {
		return errs.E(errs.Denied, "webhook-timestamp is not a number of seconds")
	}
	if age := now.Sub(time.Unix(int64(seconds), 0)); age > tolerance || age < -tolerance {
		return errs.E(errs.Denied, "webhook-timestamp is more than %d minutes from now: the clock of this server or of GitLab is wrong, or the delivery was recorded and sent again", int(tolerance.Minutes()))
	}
	for signature := range strings.FieldsSeq(list) {
		encoded, ok := strings.CutPrefix(signature, "v1,")
		mac, err := base64.StdEncoding.Strict().DecodeString(encoded)
		if !ok || err != nil || len(mac) != sha256.Size {
			continue
		}
		for _, key := range keys {
			if hmac.Equal(standardMAC(key, id, stamp, d.Body), mac) {
				return nil
			}
		}
	}
	return errs.E(errs.Denied, "webhook-signature does not match: the signing key in GitLab is not the one that is stored here, or something on the way changed the body")
}

func standardMAC(key []byte, id, stamp string, body []byte) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(id + "." + stamp + "."))
	h.Write(body)
	return h.Sum(nil)
}

// Sign returns the headers that prove a message of ours in the Standard Webhooks
// form. The key is whsec_ and base64, or any text, which is used as it is.
func Sign(key []byte, id string, at time.Time, body []byte) map[string]string {
	if encoded, is := bytes.CutPrefix(key, []byte(signingPrefix)); is {
		if decoded, ok := signingKey(encoded); ok {
			key = decoded
		}
	}
	stamp := strconv.FormatInt(at.Unix(), 10)
	return map[string]string{
		"Webhook-Id": id, "Webhook-Timestamp": stamp,
		"Webhook-Signature": "v1," + base64.StdEncoding.EncodeToString(standardMAC(key, id, stamp, body)),
	}
}

// one returns the value of a header, "" if there is none. Two are ambiguous.
func (d Delivery) one(header string) (string, error) {
	switch values := d.Header.Values(header); len(values) {
	case 0:
		return "", nil
	case 1:
		return values[0], nil
	default:
		return "", errs.E(errs.Denied, "the delivery has more than one header %s", header)
	}
}

func (d Delivery) form() bool {
	kind, _, _ := strings.Cut(d.Header.Get("Content-Type"), ";")
	kind = strings.ToLower(strings.TrimSpace(kind))
	return kind == "application/x-www-form-urlencoded" || kind == "multipart/form-data"
}

func tooLarge(n int) error {
	return errs.E(errs.Invalid, "the delivery has %d bytes, more than %d: no event is that large; push fewer commits at once, the next look finds the refs", n, MaxBody)
}
