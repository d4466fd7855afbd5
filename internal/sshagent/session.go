package sshagent

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"slices"

	"golang.org/x/crypto/ssh"
)

// maxSessions bounds the sessions that one connection can bind; a client uses
// one.
const maxSessions = 16

// session is the state of one client connection.
type session struct {
	agent *Agent
	bound map[string]string // session id → host key, both as on the wire

	// forwarded is set when the connection comes from a host that the agent
	// was forwarded to. OpenSSH relays its messages even when the agent has
	// refused that, so what follows must be refused too.
	forwarded bool
}

// answer returns the reply to message, which is not empty.
func (s *session) answer(message []byte) []byte {
	switch message[0] {
	case msgListIdentities:
		if s.agent.key() == nil {
			return []byte{msgFailure}
		}
		return ssh.Marshal(identities{Count: 1, Key: s.agent.public.Marshal(), Comment: "deploy key"})
	case msgSign:
		signature, reason := s.sign(message)
		if reason != "" {
			s.agent.refused("a signature: " + reason)
			return []byte{msgFailure}
		}
		return ssh.Marshal(signResponse{Signature: ssh.Marshal(signature)})
	case msgExtension:
		var e extension
		if ssh.Unmarshal(message, &e) != nil || e.Name != bindExtension {
			return []byte{msgFailure} // what the protocol asks for: not supported
		}
		if reason := s.bind(e.Contents); reason != "" {
			s.agent.refused("a session: " + reason)
			return []byte{msgExtensionFailure}
		}
		return []byte{msgSuccess}
	}
	s.agent.refused(fmt.Sprintf("message %d: this agent only lists its key and signs logins", message[0]))
	return []byte{msgFailure}
}

// bind takes a host's signature over a session id as the proof that the
// session is with this host. It returns why not, or "".
func (s *session) bind(contents []byte) (refusal string) {
	var b sessionBind
	if err := ssh.Unmarshal(contents, &b); err != nil {
		return "its description cannot be read"
	}
	if b.Forwarding {
		s.forwarded = true
	}
	if s.forwarded {
		return "it forwards the agent to another host"
	}
	if len(s.bound) >= maxSessions {
		return "the connection has bound too many"
	}
	host, err := ssh.ParsePublicKey(b.HostKey)
	if err != nil {
		return "its host key cannot be read"
	}
	var signature ssh.Signature
	if ssh.Unmarshal(b.Signature, &signature) != nil || host.Verify(b.Session, &signature) != nil {
		return "the host did not sign it"
	}
	key := string(host.Marshal())
	if earlier, ok := s.bound[string(b.Session)]; ok && earlier != key {
		return "it was bound to another host before"
	}
	s.bound[string(b.Session)] = key
	return ""
}

// sign signs the request of a client to log in to an allowed host. It returns
// the signature or the reason why not.
func (s *session) sign(message []byte) (*ssh.Signature, string) {
	var r signRequest
	if err := ssh.Unmarshal(message, &r); err != nil {
		return nil, "the request cannot be read"
	}
	if s.forwarded {
		return nil, "it is asked by a host that the agent was forwarded to"
	}
	if !bytes.Equal(r.Key, s.agent.public.Marshal()) {
		return nil, "it is asked of another key"
	}
	var u userAuth
	if ssh.Unmarshal(r.Data, &u) != nil || u.Type != userAuthRequest || u.Service != "ssh-connection" || !u.Signed {
		return nil, "the data is not a login"
	}
	if !bytes.Equal(u.Key, r.Key) {
		return nil, "the login names another key"
	}
	host, ok := s.bound[string(u.Session)]
	if !ok {
		return nil, "the client did not say which host the login is for; it takes OpenSSH 8.9 or newer"
	}
	switch u.Method {
	case methodPlain:
		if len(u.Rest) != 0 {
			return nil, "the data is not a login"
		}
	case methodHostBound:
		var h hostBound
		if ssh.Unmarshal(u.Rest, &h) != nil || string(h.HostKey) != host {
			return nil, "the login names another host than its session"
		}
	default:
		return nil, fmt.Sprintf("the method %q is not known", u.Method)
	}
	if !s.agent.hosts.allowed[host] {
		return nil, "the host key is not among the known hosts"
	}
	return s.signWith(r, u.Algorithm)
}

// signWith signs with the algorithm that the flags ask for, which must be the
// one that the login names.
func (s *session) signWith(r signRequest, named string) (*ssh.Signature, string) {
	algorithm := s.agent.public.Type()
	if algorithm == ssh.KeyAlgoRSA {
		switch r.Flags {
		case flagRSASHA256:
			algorithm = ssh.KeyAlgoRSASHA256
		case flagRSASHA512:
			algorithm = ssh.KeyAlgoRSASHA512
		default:
			return nil, "it would use SHA-1"
		}
	}
	if named != algorithm {
		return nil, fmt.Sprintf("the login names the algorithm %q, not %s", named, algorithm)
	}
	signer := s.agent.key()
	if signer == nil {
		return nil, "the job has ended"
	}
	signature, err := signer.SignWithAlgorithm(rand.Reader, slices.Clone(r.Data), algorithm)
	if err != nil {
		return nil, "the key cannot sign: " + err.Error()
	}
	return signature, ""
}
