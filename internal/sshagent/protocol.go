package sshagent

import (
	"encoding/binary"
	"fmt"
	"io"
)

// Numbers of the agent protocol (draft-ietf-sshm-ssh-agent, OpenSSH's
// PROTOCOL.agent).
const (
	msgFailure          = 5
	msgSuccess          = 6
	msgListIdentities   = 11
	msgIdentities       = 12
	msgSign             = 13
	msgSigned           = 14
	msgExtension        = 27
	msgExtensionFailure = 28

	flagRSASHA256 = 2
	flagRSASHA512 = 4

	// maxMessage is what OpenSSH's agent takes.
	maxMessage = 256 << 10
)

// Messages, in the form that ssh.Unmarshal and ssh.Marshal know.
type (
	signRequest struct {
		Key   []byte `sshtype:"13"`
		Data  []byte
		Flags uint32
	}
	signResponse struct {
		Signature []byte `sshtype:"14"`
	}
	identities struct {
		Count   uint32 `sshtype:"12"`
		Key     []byte
		Comment string
	}
	extension struct {
		Name     string `sshtype:"27"`
		Contents []byte `ssh:"rest"`
	}
	sessionBind struct { // session-bind@openssh.com
		HostKey    []byte
		Session    []byte
		Signature  []byte
		Forwarding bool
	}
	// userAuth is what a client signs to log in (RFC 4252, section 7).
	userAuth struct {
		Session   []byte
		Type      byte
		User      string
		Service   string
		Method    string
		Signed    bool
		Algorithm string
		Key       []byte
		Rest      []byte `ssh:"rest"`
	}
	// hostBound is the rest of userAuth for the method of OpenSSH that names
	// the host key again.
	hostBound struct {
		HostKey []byte
	}
)

const (
	bindExtension   = "session-bind@openssh.com"
	userAuthRequest = 50
	methodPlain     = "publickey"
	methodHostBound = "publickey-hostbound-v00@openssh.com"
)

func readMessage(r io.Reader) ([]byte, error) {
	var size [4]byte
	if _, err := io.ReadFull(r, size[:]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(size[:])
	if n == 0 || n > maxMessage {
		return nil, fmt.Errorf("its length is %d bytes", n)
	}
	message := make([]byte, n)
	_, err := io.ReadFull(r, message)
	return message, err
}

func writeMessage(w io.Writer, message []byte) error {
	_, err := w.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(message))), message...))
	return err
}
