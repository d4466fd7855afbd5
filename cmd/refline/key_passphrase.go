package main

import (
	"fmt"
	"os"

	"refline/internal/credential"
	"refline/internal/errs"
	"refline/internal/maskrun"
	"refline/internal/sshagent"
	"refline/internal/variable"
)

// unlockKey returns a key without its passphrase, which is taken from a variable
// or asked for. name is the key's, "" if it has none.
func unlockKey(e *env, text []byte, name string) ([]byte, error) {
	if !sshagent.Locked(text) {
		return text, nil
	}
	from := credential.KeyPassphrase
	if variable.ValidName(name) {
		from = credential.PassphraseVariable(name)
	}
	for _, v := range []string{from, credential.KeyPassphrase} {
		if passphrase := e.getenv(v); passphrase != "" {
			key, err := sshagent.Unlock(text, []byte(passphrase))
			if err != nil {
				return nil, fmt.Errorf("variable %s: %w", v, err)
			}
			return key, nil
		}
	}
	in, ok := e.stdin.(*os.File)
	if !ok || !maskrun.IsTerminal(in) {
		return nil, errs.E(errs.Denied, "ssh key: it is protected by a passphrase; give that in the variable %s", from)
	}
	passphrase, err := e.askHidden(in, "passphrase of the key (not shown): ")
	if err != nil {
		return nil, err
	}
	return sshagent.Unlock(text, passphrase)
}
