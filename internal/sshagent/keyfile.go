package sshagent

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"encoding/asn1"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync"

	"golang.org/x/crypto/ssh"

	"refline/internal/errs"
)

// opensshMagic begins the body of a key in OpenSSH's own format.
const opensshMagic = "openssh-key-v1\x00"

// KeyFile is the text of a private key, taken apart and mended.
type KeyFile struct {
	Type       string   // "ed25519", "rsa 3072", "ecdsa 256"; "" when a passphrase hides it
	Format     string   // "OpenSSH", "PKCS #1", "PKCS #8", "SEC 1"
	Comment    string   // of a key in OpenSSH's format
	Passphrase bool     // it is encrypted
	Mended     []string // what was wrong with the text
	Lines      []string // the body, in lines of the width that the format's programs write

	label string // of the armour
	der   []byte
}

var armour = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`-----BEGIN ([A-Z0-9 ]+)-----((?s).*?)-----END [A-Z0-9 ]+-----`)
})

// ReadKeyFile takes apart the text of a private key. It mends what happens to
// keys on their way through variables: line ends of Windows, a last line end
// that is missing, line breaks that became spaces, "\n" or nothing, armour
// that was cut off, and base64 around all of it. Text with more than one key is refused. The
// error is errs.Invalid and never holds key material.
func ReadKeyFile(text []byte) (*KeyFile, error) {
	if inner := fromBase64(text); inner != nil {
		k, err := ReadKeyFile(inner)
		if err == nil {
			k.Mended = append([]string{"it is stored as base64"}, k.Mended...)
		}
		return k, err
	}
	if n := privateBlocks(text); n > 1 {
		return nil, errs.E(errs.Invalid, "ssh key: the text holds %d private keys; give each one by itself", n)
	}
	k := &KeyFile{}
	body := string(text)
	if m := armour().FindSubmatch(text); m != nil {
		k.label, body = string(m[1]), string(m[2])
		k.notice(text, body)
	} else {
		k.Mended = append(k.Mended, "the lines -----BEGIN … and -----END … are missing")
	}
	if strings.Contains(body, "DEK-Info:") {
		return nil, errs.E(errs.Invalid, "ssh key: it is encrypted in the old PEM way; rewrite it with: ssh-keygen -p -f FILE")
	}
	clean := strings.Join(strings.Fields(strings.ReplaceAll(body, `\n`, " ")), "")
	der, err := base64.StdEncoding.DecodeString(clean)
	if err != nil && isPublic(text) {
		return nil, publicHalf()
	}
	if err != nil || len(der) == 0 {
		return nil, errs.E(errs.Invalid, "ssh key: its body is not base64; some of it may be missing")
	}
	k.der = der
	if err := k.describe(); err != nil {
		return nil, err
	}
	for width := k.width(); clean != ""; {
		n := min(width, len(clean))
		k.Lines = append(k.Lines, clean[:n])
		clean = clean[n:]
	}
	return k, nil
}

func privateBlocks(text []byte) (n int) {
	for _, m := range armour().FindAllSubmatch(text, -1) {
		if bytes.HasSuffix(m[1], []byte("PRIVATE KEY")) {
			n++
		}
	}
	return n
}

// fromBase64 returns the text of a key whose file was encoded once more; nil for
// any other text.
func fromBase64(text []byte) []byte {
	clean := bytes.Join(bytes.Fields(text), nil)
	if !bytes.HasPrefix(clean, []byte("LS0tLS1CRUdJTi")) { // -----BEGIN
		return nil
	}
	inner, err := base64.StdEncoding.DecodeString(string(clean))
	if err != nil {
		inner, err = base64.RawStdEncoding.DecodeString(strings.TrimRight(string(clean), "="))
	}
	if err != nil {
		return nil
	}
	return inner
}

// notice says what has happened to the text of a key that has its armour.
func (k *KeyFile) notice(text []byte, body string) {
	if bytes.Contains(text, []byte("\r")) {
		k.Mended = append(k.Mended, "it has line ends of Windows")
	}
	if strings.Contains(body, `\n`) {
		k.Mended = append(k.Mended, `its line breaks are written as \n`)
	} else if strings.Count(strings.TrimSpace(body), "\n") == 0 && len(body) > 80 {
		k.Mended = append(k.Mended, "its line breaks are missing")
	}
	if !bytes.HasSuffix(text, []byte("\n")) {
		k.Mended = append(k.Mended, "the last line has no line end")
	}
}

// describe fills in what the key is.
func (k *KeyFile) describe() error {
	k.Format, k.label = formatOf(k.der, k.label)
	if k.label == "" {
		return errs.E(errs.Invalid, "ssh key: not a private key that ssh knows")
	}
	key, err := ssh.ParseRawPrivateKey(k.PEM())
	var locked *ssh.PassphraseMissingError
	if errors.As(err, &locked) || k.label == "ENCRYPTED PRIVATE KEY" {
		k.Passphrase = true
		return nil
	}
	if err != nil {
		return errs.E(errs.Invalid, "ssh key: it cannot be read; some of it may be missing, or ssh does not know its type")
	}
	switch key := key.(type) {
	case *ed25519.PrivateKey, ed25519.PrivateKey:
		k.Type = "ed25519"
	case *rsa.PrivateKey:
		k.Type = fmt.Sprintf("rsa %d", key.N.BitLen())
	case *ecdsa.PrivateKey:
		k.Type = fmt.Sprintf("ecdsa %d", key.Params().BitSize)
	default:
		return errs.E(errs.Invalid, "ssh key: a key of this type cannot be used; make one with: ssh-keygen -t ed25519")
	}
	if l, ok := layoutOf(k.der); ok {
		k.Comment = string(k.der[l.comment:l.padding])
	}
	return nil
}

// formatOf returns the format and the label of its armour from the body; a
// label that is known already is kept.
func formatOf(der []byte, label string) (format, name string) {
	if bytes.HasPrefix(der, []byte(opensshMagic)) {
		return "OpenSSH", "OPENSSH PRIVATE KEY"
	}
	var outer struct {
		Version int
		Second  asn1.RawValue
	}
	rest, err := asn1.Unmarshal(der, &outer)
	switch {
	case label == "ENCRYPTED PRIVATE KEY":
		return "PKCS #8", label
	case err != nil || len(rest) > 0:
		return "", ""
	case outer.Second.Tag == asn1.TagSequence:
		return "PKCS #8", "PRIVATE KEY"
	case outer.Second.Tag == asn1.TagOctetString:
		return "SEC 1", "EC PRIVATE KEY"
	case outer.Second.Tag == asn1.TagInteger && label != "DSA PRIVATE KEY":
		return "PKCS #1", "RSA PRIVATE KEY"
	}
	return "", ""
}

// layout says where things lie in the body of an unencrypted key in OpenSSH's
// format. The private section goes to the end: check numbers, type, fields,
// comment, padding.
type layout struct{ section, comment, padding int }

func layoutOf(der []byte) (l layout, ok bool) {
	var outer struct {
		Magic                [len(opensshMagic)]byte
		Cipher, KDF, Options string
		Count                uint32
		Public, Private      []byte
	}
	if !bytes.HasPrefix(der, []byte(opensshMagic)) || ssh.Unmarshal(der, &outer) != nil || outer.Cipher != "none" {
		return l, false
	}
	fields := map[string]int{ssh.KeyAlgoED25519: 2, ssh.KeyAlgoRSA: 6, ssh.KeyAlgoECDSA256: 3, ssh.KeyAlgoECDSA384: 3, ssh.KeyAlgoECDSA521: 3}
	l.section = len(der) - len(outer.Private)
	rest := outer.Private
	field := func() (content []byte) {
		if len(rest) < 4 || uint64(binary.BigEndian.Uint32(rest)) > uint64(len(rest)-4) {
			rest = nil
			return nil
		}
		n := binary.BigEndian.Uint32(rest)
		content, rest = rest[4:4+n], rest[4+n:]
		return content
	}
	if len(rest) < 8 {
		return l, false
	}
	rest = rest[8:]
	for range fields[string(field())] {
		field()
	}
	l.comment = len(der) - len(rest) + 4
	field()
	l.padding = len(der) - len(rest)
	return l, rest != nil && l.comment <= l.padding
}

// width is the length of lines that the usual programs write.
func (k *KeyFile) width() int {
	if k.label == "OPENSSH PRIVATE KEY" {
		return 70
	}
	return 64
}

// PEM returns the key as a file should hold it.
func (k *KeyFile) PEM() []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "-----BEGIN %s-----\n", k.label)
	for clean, width := k.OneLine(), k.width(); clean != ""; {
		n := min(width, len(clean))
		b.WriteString(clean[:n] + "\n")
		clean = clean[n:]
	}
	fmt.Fprintf(&b, "-----END %s-----\n", k.label)
	return []byte(b.String())
}

// OneLine returns the body as a single line. ssh reads it in armour as it is;
// [Config] and ReadKeyFile take it without.
func (k *KeyFile) OneLine() string { return base64.StdEncoding.EncodeToString(k.der) }

// Label returns the words of the armour: "OPENSSH PRIVATE KEY".
func (k *KeyFile) Label() string { return k.label }

// Mend returns the text of a key as a file should hold it; text itself when
// it is not a key that [ReadKeyFile] knows.
func Mend(text []byte) []byte {
	k, err := ReadKeyFile(text)
	if err != nil {
		return text
	}
	return k.PEM()
}
