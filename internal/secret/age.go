package secret

import (
	"bytes"
	"errors"
	"io"
	"strings"

	"filippo.io/age"
	"filippo.io/age/armor"

	"refline/internal/errs"
)

// Identities are private keys that open encrypted files. The zero value opens
// none.
type Identities struct{ list []age.Identity }

// Empty reports whether there is no key.
func (k Identities) Empty() bool { return len(k.list) == 0 }

// ParseIdentities reads private keys: the lines of a key file of age
// (AGE-SECRET-KEY-1…).
func ParseIdentities(text []byte) (Identities, error) {
	list, err := age.ParseIdentities(bytes.NewReader(text))
	if err != nil { // its text may quote the key
		return Identities{}, errs.E(errs.Invalid, "key for variables: it has no line AGE-SECRET-KEY-1…, or one is damaged")
	}
	return Identities{list}, nil
}

// NewIdentity makes a key: the text of a key file, and the recipient that
// files are encrypted to so that this key opens them.
func NewIdentity() (key Value, recipient string, err error) {
	id, err := age.GenerateX25519Identity()
	if err != nil {
		return Value{}, "", errs.E(errs.Internal, "key for variables: %w", err)
	}
	recipient = id.Recipient().String()
	return NewString("# public key: " + recipient + "\n" + id.String() + "\n"), recipient, nil
}

// Encrypted reports whether data is a file that age has encrypted.
func Encrypted(data []byte) bool {
	return bytes.HasPrefix(bytes.TrimLeft(data, " \t\r\n"), []byte(armor.Header)) || bytes.HasPrefix(data, []byte("age-encryption.org/"))
}

func encrypt(data []byte, recipients []string) ([]byte, error) {
	var list []age.Recipient
	for _, s := range recipients {
		r, err := age.ParseRecipients(strings.NewReader(s))
		if err != nil || len(r) != 1 {
			return nil, errs.E(errs.Invalid, "recipient %q is not a public key of age (age1…)", s)
		}
		list = append(list, r[0])
	}
	var out bytes.Buffer
	armored := armor.NewWriter(&out)
	w, err := age.Encrypt(armored, list...)
	if err != nil {
		return nil, errs.E(errs.Invalid, "variables cannot be encrypted: %w", err)
	}
	_, err = w.Write(data)
	if err := errors.Join(err, w.Close(), armored.Close()); err != nil {
		return nil, errs.E(errs.Internal, "variables cannot be encrypted: %w", err)
	}
	return out.Bytes(), nil
}

func decrypt(data []byte, keys Identities) ([]byte, error) {
	if keys.Empty() {
		return nil, errs.E(errs.Denied, "the file is encrypted and there is no key to open it with")
	}
	var in io.Reader = bytes.NewReader(data)
	if !bytes.HasPrefix(data, []byte("age-encryption.org/")) {
		in = armor.NewReader(in)
	}
	r, err := age.Decrypt(in, keys.list...)
	var none *age.NoIdentityMatchError
	if errors.As(err, &none) {
		return nil, errs.E(errs.Denied, "the file is encrypted for other keys than the one given")
	}
	if err != nil {
		return nil, errs.E(errs.Invalid, "the encrypted file is damaged: %w", err)
	}
	out, err := io.ReadAll(r)
	if err != nil {
		return nil, errs.E(errs.Invalid, "the encrypted file is damaged: %w", err)
	}
	return out, nil
}
