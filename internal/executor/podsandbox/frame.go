package podsandbox

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"io"
	"net"
	"sync"

	"refline/internal/errs"
)

// frameKind is what one frame between agent and wrapper holds.
type frameKind byte

// The frames of the wrapper.
const (
	frameHello  frameKind = 'h' // hello
	frameStdout frameKind = 'o' // bytes of a command's standard output, or of its terminal
	frameStderr frameKind = 'e'
	frameDone   frameKind = 'd' // done
)

// The frames of the agent.
const (
	frameStart  frameKind = 's' // start
	frameCancel frameKind = 'c' // end the command
	frameKeys   frameKind = 'k' // bytes for the command's terminal
	frameNoKeys frameKind = 'K' // there are no more
	frameResize frameKind = 'r' // size of the terminal: rows and columns, 2 bytes each
	frameBye    frameKind = 'b' // the wrapper ends with this exit code, 4 bytes
)

// protocol is the version of the frames. Both sides are the same binary.
const protocol = 1

// hello is what the wrapper says first.
type hello struct {
	Protocol int    `json:"protocol"`
	Shell    string `json:"shell"`
}

// start asks for a command.
type start struct {
	Args      []string `json:"args"`
	Dir       string   `json:"dir"`
	Env       []string `json:"env,omitempty"`
	Stdout    bool     `json:"stdout,omitempty"`
	Stderr    bool     `json:"stderr,omitempty"`
	OneOutput bool     `json:"one_output,omitempty"`
	GraceMS   int64    `json:"grace_ms,omitempty"`
	Terminal  bool     `json:"terminal,omitempty"`
	Rows      uint16   `json:"rows,omitempty"`
	Columns   uint16   `json:"columns,omitempty"`
}

// done is the end of a command.
type done struct {
	Code     int       `json:"code"`
	Canceled bool      `json:"canceled,omitempty"` // the cancel came before its end
	Failed   bool      `json:"failed,omitempty"`
	Kind     errs.Kind `json:"kind,omitempty"`
	Text     string    `json:"text,omitempty"`
	Memory   memory    `json:"memory,omitzero"`
}

// mostFrame bounds a frame: an environment may be large.
const mostFrame = 16 << 20

// wire is one side of the connection. Frames are sent whole by any goroutine;
// one goroutine receives.
type wire struct {
	conn net.Conn
	in   *bufio.Reader
	body []byte

	mu sync.Mutex
}

func newWire(conn net.Conn) *wire { return &wire{conn: conn, in: bufio.NewReaderSize(conn, 64<<10)} }

const headerSize = 1 + 4 + 4 // kind, number of the command, length

func (w *wire) send(kind frameKind, id uint32, body []byte) error {
	if len(body) > mostFrame {
		return errs.E(errs.Invalid, "a message of %d bytes for the job's container is larger than %d: its variables are too large", len(body), mostFrame)
	}
	header := make([]byte, headerSize)
	header[0] = byte(kind)
	binary.BigEndian.PutUint32(header[1:], id)
	binary.BigEndian.PutUint32(header[5:], uint32(len(body)))
	w.mu.Lock()
	defer w.mu.Unlock()
	buffers := net.Buffers{header, body}
	_, err := buffers.WriteTo(w.conn)
	return err
}

func (w *wire) sendJSON(kind frameKind, id uint32, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return w.send(kind, id, body)
}

// receive returns the next frame. Its body is valid until the next call.
func (w *wire) receive() (kind frameKind, id uint32, body []byte, err error) {
	var header [headerSize]byte
	if _, err := io.ReadFull(w.in, header[:]); err != nil {
		return 0, 0, nil, err
	}
	size := binary.BigEndian.Uint32(header[5:])
	if size > mostFrame {
		return 0, 0, nil, errs.E(errs.Invalid, "a message of %d bytes between agent and job is larger than %d", size, mostFrame)
	}
	if cap(w.body) < int(size) {
		w.body = make([]byte, max(int(size), 32<<10))
	}
	w.body = w.body[:size]
	_, err = io.ReadFull(w.in, w.body)
	return frameKind(header[0]), binary.BigEndian.Uint32(header[1:]), w.body, err
}
