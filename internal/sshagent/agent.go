// Package sshagent gives a job the use of an SSH key, not the key.
//
// An [Agent] listens on a socket of its own, for one job. It knows one key and
// answers three messages of the agent protocol: it lists the key's public
// half, it takes a client's proof of which host a session is with
// (session-bind@openssh.com), and it signs the request to log in to a session
// that is bound to an allowed host. All else is refused: other hosts, other
// data, adding, removing and locking keys, forwarding. After Close nothing is
// answered any more.
//
// What it does not stop: while it runs, a job may log in to the allowed hosts
// as often as it likes, with ssh itself too.
//
// The protocol is served here and not by x/crypto's ServeAgent, which writes
// each refusal to the standard logger and takes apart messages that this agent
// never wants. The package does not know git, jobs or executors.
package sshagent

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"

	"refline/internal/errs"
)

// Config says what an agent does for its job.
type Config struct {
	// Key is a private key without passphrase, as a file holds it: OpenSSH's
	// own format, PKCS #1, PKCS #8 or SEC 1. Line ends of Windows, a missing
	// last line end and a key joined into one line are mended.
	Key []byte

	// KnownHosts holds the hosts that the key may be used for and their public
	// keys, in the format of sshd(8), SSH_KNOWN_HOSTS FILE FORMAT.
	KnownHosts []byte

	// Dir is the folder for the socket, which the job must be able to reach.
	// Empty: a new folder that only this user can enter; Close removes it.
	Dir string

	// Mode of the socket; 0 means 0600. A job in a container may run as
	// another user, so that only the folder protects it.
	Mode os.FileMode

	// Refused receives each refusal, a line without key material. It may
	// be nil; it may be called by several goroutines at once.
	Refused func(reason string)
}

// maxPathLen is the longest socket path that all systems take.
const maxPathLen = 103

// maxClients bounds the connections that a job can hold open.
const maxClients = 64

// Agent serves one key to one job. Its methods may be called at the same time.
type Agent struct {
	socket  string
	dir     string // to remove, if it was made here
	hosts   knownHosts
	refused func(string)

	mu       sync.Mutex
	signer   ssh.AlgorithmSigner // nil once closed
	public   ssh.PublicKey
	listener net.Listener
	clients  map[net.Conn]bool
	done     sync.WaitGroup
}

// Start starts an agent. The error is errs.Invalid when the key or the known
// hosts cannot be used, and says why; it never holds key material.
func Start(c Config) (*Agent, error) {
	signer, err := ParseKey(c.Key)
	if err != nil {
		return nil, err
	}
	hosts, err := parseKnownHosts(c.KnownHosts)
	if err != nil {
		return nil, err
	}
	a := &Agent{hosts: hosts, refused: c.Refused, signer: signer, public: signer.PublicKey(), clients: make(map[net.Conn]bool)}
	if a.refused == nil {
		a.refused = func(string) {}
	}
	if err := a.listen(c); err != nil {
		if a.dir != "" {
			return nil, errors.Join(err, os.RemoveAll(a.dir))
		}
		return nil, err
	}
	a.done.Add(1)
	go a.accept()
	return a, nil
}

func (a *Agent) listen(c Config) error {
	dir := c.Dir
	if dir == "" {
		made, err := os.MkdirTemp("", "refline-ssh-")
		if err != nil {
			return errs.E(errs.Unavailable, "folder for the ssh agent: %w", err)
		}
		dir, a.dir = made, made
	}
	name := make([]byte, 4)
	rand.Read(name)
	a.socket = filepath.Join(dir, "agent."+hex.EncodeToString(name))
	if len(a.socket) > maxPathLen {
		return errs.E(errs.Invalid, "socket of the ssh agent: %s has %d characters, systems take at most %d; use a shorter folder", a.socket, len(a.socket), maxPathLen)
	}
	l, err := net.Listen("unix", a.socket)
	if err != nil {
		return errs.E(errs.Unavailable, "socket of the ssh agent: %w", err)
	}
	mode := c.Mode
	if mode == 0 {
		mode = 0o600
	}
	if err := os.Chmod(a.socket, mode); err != nil {
		return errors.Join(errs.E(errs.Unavailable, "socket of the ssh agent: %w", err), l.Close())
	}
	a.listener = l
	return nil
}

// Socket returns the path for SSH_AUTH_SOCK.
func (a *Agent) Socket() string { return a.socket }

// PublicKey returns the public half of the key.
func (a *Agent) PublicKey() ssh.PublicKey { return a.public }

// KnownHosts returns the content for the file that [Command] names: the hosts
// as they were given, without comments.
func (a *Agent) KnownHosts() []byte { return a.hosts.file }

// Close ends the agent: the key is forgotten, open connections are cut, the
// socket is removed. It returns when no request is being served any more.
func (a *Agent) Close() error {
	a.mu.Lock()
	if a.signer == nil {
		a.mu.Unlock()
		return nil
	}
	a.signer = nil
	err := a.listener.Close() // removes the socket
	for c := range a.clients {
		err = errors.Join(err, c.Close())
	}
	a.mu.Unlock()
	a.done.Wait()
	if a.dir != "" {
		err = errors.Join(err, os.RemoveAll(a.dir))
	}
	return err
}

func (a *Agent) accept() {
	defer a.done.Done()
	for {
		c, err := a.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil { // out of file descriptors: wait for some to come back
			time.Sleep(50 * time.Millisecond)
			continue
		}
		if !a.admit(c) {
			a.refused("a connection: the job has ended or holds too many")
			_ = c.Close() // the client sees the end of the connection
			continue
		}
		go a.serve(c)
	}
}

// admit counts c among the clients, unless there are too many or the agent is
// closed.
func (a *Agent) admit(c net.Conn) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.signer == nil || len(a.clients) >= maxClients {
		return false
	}
	a.clients[c] = true
	a.done.Add(1)
	return true
}

func (a *Agent) serve(c net.Conn) {
	defer a.done.Done()
	defer func() {
		if r := recover(); r != nil { // a message that makes a parser panic ends its connection only
			a.refused("a message that could not be read")
		}
		a.mu.Lock()
		delete(a.clients, c)
		a.mu.Unlock()
		_ = c.Close() // closed twice when Close was faster
	}()
	s := session{agent: a, bound: make(map[string]string)}
	for {
		message, err := readMessage(c)
		if err != nil {
			if !errors.Is(err, io.EOF) && !errors.Is(err, net.ErrClosed) {
				a.refused("a message: " + err.Error())
			}
			return
		}
		if err := writeMessage(c, s.answer(message)); err != nil {
			return
		}
	}
}

// key returns the signer, nil once the agent is closed.
func (a *Agent) key() ssh.AlgorithmSigner {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.signer
}
