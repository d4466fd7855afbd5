package sshagent

import (
	"bytes"
	"errors"

	"golang.org/x/crypto/ssh"

	"refline/internal/errs"
)

// ParseKey reads a private key as [Config] describes. The error is
// errs.Invalid and says what is wrong, never what is in the key.
func ParseKey(text []byte) (ssh.AlgorithmSigner, error) {
	signer, err := ssh.ParsePrivateKey(Mend(text))
	var locked *ssh.PassphraseMissingError
	switch {
	case errors.As(err, &locked):
		return nil, errs.E(errs.Invalid, "ssh key: it is protected by a passphrase, which a job cannot type; make a key for this purpose without one")
	case err != nil && isPublic(text):
		return nil, errPublic()
	case err != nil && !bytes.Contains(text, []byte("PRIVATE KEY")):
		return nil, errs.E(errs.Invalid, "ssh key: there is no line -----BEGIN … PRIVATE KEY----- in it")
	case err != nil:
		return nil, errs.E(errs.Invalid, "ssh key: it cannot be read, some of it may be missing")
	}
	s, ok := signer.(ssh.AlgorithmSigner)
	if !ok || signer.PublicKey().Type() == "ssh-dss" {
		return nil, errs.E(errs.Invalid, "ssh key: the type %s cannot be used; make one with: ssh-keygen -t ed25519", signer.PublicKey().Type())
	}
	return s, nil
}

// isPublic reports whether text is a public key as ssh-keygen writes it beside
// the private one.
func isPublic(text []byte) bool {
	_, _, options, _, err := ssh.ParseAuthorizedKey(text)
	return err == nil && len(options) == 0
}

func errPublic() error {
	return errs.E(errs.Invalid, "ssh key: this is the public half; give the private one, whose file is called the same without .pub")
}
