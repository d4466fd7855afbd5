package credential

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/pem"

	"golang.org/x/crypto/ssh"

	"refline/internal/errs"
)

// GenerateKey makes a private key in OpenSSH's format, without a passphrase.
// kind is ed25519, ecdsa (P-256) or rsa (3072 bits).
func GenerateKey(kind, comment string) ([]byte, error) {
	var key crypto.PrivateKey
	var err error
	switch kind {
	case "ed25519":
		_, key, err = ed25519.GenerateKey(rand.Reader)
	case "ecdsa":
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "rsa":
		key, err = rsa.GenerateKey(rand.Reader, 3072)
	default:
		return nil, errs.E(errs.Invalid, "unknown type of key %q: want ed25519, ecdsa or rsa", kind)
	}
	if err != nil {
		return nil, errs.E(errs.Unavailable, "make a key: %w", err)
	}
	block, err := ssh.MarshalPrivateKey(key, comment)
	if err != nil {
		return nil, errs.E(errs.Internal, "write a key: %w", err)
	}
	return pem.EncodeToMemory(block), nil
}
