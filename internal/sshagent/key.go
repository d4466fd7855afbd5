package sshagent

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"

	"golang.org/x/crypto/ssh"

	"refline/internal/errs"
)

// ParseKey reads a private key as [Config] describes. The error is
// errs.Invalid and says what is wrong, never what is in the key.
func ParseKey(text []byte) (ssh.AlgorithmSigner, error) {
	if n := privateBlocks(text); n > 1 {
		_, err := ReadKeyFile(text)
		return nil, err
	}
	signer, err := ssh.ParsePrivateKey(Mend(text))
	var locked *ssh.PassphraseMissingError
	switch {
	case errors.As(err, &locked):
		return nil, errs.E(errs.Invalid, "ssh key: it is protected by a passphrase; give that too, or make a key for this purpose without one")
	case err != nil && isPublic(text):
		return nil, publicHalf()
	case err != nil && !bytes.Contains(text, []byte("PRIVATE KEY")):
		return nil, errs.E(errs.Invalid, "ssh key: it has no line -----BEGIN … PRIVATE KEY-----")
	case err != nil:
		return nil, errs.E(errs.Invalid, "ssh key: it cannot be read, some of it may be missing")
	}
	s, ok := signer.(ssh.AlgorithmSigner)
	if !ok || signer.PublicKey().Type() == "ssh-dss" {
		return nil, errs.E(errs.Invalid, "ssh key: the type %s cannot be used; make one with: ssh-keygen -t ed25519", signer.PublicKey().Type())
	}
	return s, nil
}

// Locked reports whether a key has a passphrase.
func Locked(text []byte) bool {
	k, err := ReadKeyFile(text)
	return err == nil && k.Passphrase || bytes.Contains(text, []byte("DEK-Info:"))
}

// Unlock returns a key without its passphrase. The error is errs.Denied if the
// passphrase is wrong.
func Unlock(text, passphrase []byte) ([]byte, error) {
	key, err := ssh.ParseRawPrivateKeyWithPassphrase(Mend(text), passphrase)
	if errors.Is(err, x509.IncorrectPasswordError) {
		return nil, errs.E(errs.Denied, "ssh key: the passphrase is wrong")
	}
	if err != nil {
		return nil, errs.E(errs.Invalid, "ssh key: it cannot be unlocked; rewrite it in OpenSSH's format: ssh-keygen -p -f FILE")
	}
	comment := ""
	if k, err := ReadKeyFile(text); err == nil {
		comment = k.Comment
	}
	block, err := ssh.MarshalPrivateKey(key, comment)
	if err != nil {
		return nil, errs.E(errs.Invalid, "ssh key: a key of this type cannot be used; make one with: ssh-keygen -t ed25519")
	}
	return Mend(pem.EncodeToMemory(block)), nil
}

// isPublic reports whether a text is a public key, as in a file NAME.pub.
func isPublic(text []byte) bool {
	_, _, _, _, err := ssh.ParseAuthorizedKey(text)
	return err == nil
}

func publicHalf() error {
	return errs.E(errs.Invalid, "ssh key: this is the public half; the private one is in the file without .pub")
}
