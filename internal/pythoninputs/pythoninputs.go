// Package pythoninputs reads from the source of a Python script what it takes: the
// parameters of its flow functions with their types and defaults, or the command line
// that it describes with argparse, click or typer.
//
// It promises that the script is not run, that time, memory, output and the number of
// processes are bounded whatever the sources are, and that nothing is guessed: what is
// not certain has the type any. It does not know where a script comes from or how its inputs are given.
package pythoninputs

import (
	"bytes"
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/json"
	"errors"
	"os/exec"
	"slices"
	"sync"
	"time"

	"refline/internal/errs"
)

// Limits of one reading.
const (
	MaxSource = 1 << 20
	maxOutput = 1 << 20
	maxInputs = 200 // also of options of one
	maxAtOnce = 4   // processes: each may take 256 MiB

	// The program ends itself after 5 seconds of processor time; the rest of this is for
	// a computer that is busy.
	maxWait = 30 * time.Second
)

// Type is the type of an input.
type Type string

// The types. Any other annotation is any.
const (
	TypeText     Type = "text"
	TypeInteger  Type = "integer"
	TypeNumber   Type = "number"
	TypeBoolean  Type = "boolean"
	TypeDate     Type = "date"     // 2026-11-22
	TypeDatetime Type = "datetime" // 2026-11-22T06:00:00+01:00
	TypeList     Type = "list"     // as JSON
	TypeJSON     Type = "json"
	TypeAny      Type = "any"
)

// Input is one thing that a script takes.
type Input struct {
	Name       string          `json:"name"`
	Line       int             `json:"line"` // in the source
	Type       Type            `json:"type"`
	Options    []string        `json:"options,omitempty"`
	Min        *float64        `json:"min,omitempty"`
	Max        *float64        `json:"max,omitempty"`
	MinOpen    bool            `json:"min_open,omitempty"` // Min itself is too small
	MaxOpen    bool            `json:"max_open,omitempty"`
	Regex      string          `json:"regex,omitempty"` // Python's
	Optional   bool            `json:"optional,omitempty"`
	HasDefault bool            `json:"has_default,omitempty"`
	Default    json.RawMessage `json:"default,omitempty"`      // if it is a literal
	Code       string          `json:"default_code,omitempty"` // the default if it is not
	Help       string          `json:"help,omitempty"`

	// How a script gets it: by a flag of a command line or by its place there; a
	// parameter of a flow has neither.
	Flag       string `json:"flag,omitempty"`       // "--day" or "-d"
	Positional bool   `json:"positional,omitempty"` // in the order of the inputs
	Switch     bool   `json:"switch,omitempty"`     // the flag has no value
	Off        string `json:"off,omitempty"`        // the flag of a switch that means false
	Repeat     bool   `json:"repeat,omitempty"`     // the flag comes once an element, or as often as the number says
	Words      int    `json:"words,omitempty"`      // elements that follow the flag; -1 for any number
}

// Command reports whether the input is one of a command line.
func (i Input) Command() bool { return i.Flag != "" || i.Positional }

// Flow is a function with the decorator @flow, of Refline or Prefect.
type Flow struct {
	Name     string  `json:"name"`
	Function string  `json:"function"`
	Line     int     `json:"line"`
	Doc      string  `json:"doc,omitempty"` // first paragraph
	Of       string  `json:"of"`            // refline or prefect
	Any      bool    `json:"any,omitempty"` // it takes other inputs too
	Inputs   []Input `json:"parameters"`
}

// Script is what a source says.
type Script struct {
	Flows []Flow `json:"flows"`
	// Called says that the file runs by itself: it calls a flow when it is loaded, or
	// reads its arguments.
	Called bool `json:"called"`
	// Chosen is the function of the flow that is meant if none is named; "" if that is
	// not certain.
	Chosen string `json:"chosen"`
	// Attribute says that the module attribute flow names it.
	Attribute bool `json:"attribute"`
	// Options are those of the file's command line; nil if it has none, or if they are
	// not certain. More says that it takes others too.
	Options []Input `json:"options"`
	More    bool    `json:"more"`
	// Unread is why the options of the command line are not certain.
	Unread string `json:"unread"`
	// Error says why the source cannot be read; the rest is empty then. A newer Python
	// may be able to.
	Error string `json:"error"`
	Line  int    `json:"line"`

	passing bool // the error is one of this moment, not of the source
}

//go:embed options.py
var optionsProgram string

//go:embed read.py
var readProgram string

// program is options.py and read.py in one file, as python3 -c takes it.
var program = sync.OnceValue(func() string { return optionsProgram + "\n\n" + readProgram })

// slots bounds the processes that read at the same time.
var slots = sync.OnceValue(func() chan struct{} { return make(chan struct{}, maxAtOnce) })

// kept remembers sources: a server compiles the same flow again and again.
var kept struct {
	sync.Mutex
	scripts map[[sha256.Size]byte]*Script
}

const maxKept = 200

// Read reads a source. The error is NotFound if there is no python3, Unavailable if it
// does not answer; what is wrong with the source is in the Script.
func Read(ctx context.Context, source []byte) (*Script, error) {
	if len(source) > MaxSource {
		return &Script{Error: "it is larger than 1 MiB"}, nil
	}
	key := sha256.Sum256(source)
	if s := known(key); s != nil {
		return s, nil
	}
	select {
	case slots() <- struct{}{}:
		defer func() { <-slots() }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	if s := known(key); s != nil { // read by another meanwhile
		return s, nil
	}
	s, err := read(ctx, source, maxWait)
	if err != nil {
		return nil, err
	}
	if s.passing {
		return s, nil
	}
	kept.Lock()
	defer kept.Unlock()
	if kept.scripts == nil || len(kept.scripts) >= maxKept {
		kept.scripts = map[[sha256.Size]byte]*Script{}
	}
	kept.scripts[key] = s
	return s, nil
}

func known(key [sha256.Size]byte) *Script {
	kept.Lock()
	defer kept.Unlock()
	return kept.scripts[key]
}

func read(ctx context.Context, source []byte, wait time.Duration) (*Script, error) {
	python, err := exec.LookPath("python3")
	if err != nil {
		return nil, errs.E(errs.NotFound, "python3 is not here")
	}
	within, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	cmd := exec.CommandContext(within, python, "-I", "-c", program())
	cmd.Env = []string{"PATH=/usr/bin:/bin", "LC_ALL=C.UTF-8"}
	cmd.Stdin = bytes.NewReader(source)
	cmd.WaitDelay = time.Second
	out := &limited{}
	cmd.Stdout = out
	err = cmd.Run()
	switch {
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case within.Err() != nil:
		return nil, errs.E(errs.Unavailable, "python3 does not answer within %v; this computer is busy: try again", wait)
	case out.full:
		return &Script{Error: "it says too much of its inputs"}, nil
	case err != nil:
		return &Script{Error: "python3 cannot read it in 5 seconds and 256 MiB", passing: true}, nil
	}
	return decode(out.text.Bytes()), nil
}

// decode reads the program's answer. Source and Python decide what is in it, so nothing
// of it is trusted.
func decode(text []byte) *Script {
	s := &Script{}
	if err := json.Unmarshal(text, s); err != nil {
		return &Script{Error: "python3 cannot read it"}
	}
	tooMany := len(s.Options) > maxInputs || len(s.Flows) > maxInputs
	all := slices.Clone(s.Options)
	for _, f := range s.Flows {
		tooMany = tooMany || len(f.Inputs) > maxInputs
		all = append(all, f.Inputs...)
	}
	for _, in := range all {
		tooMany = tooMany || len(in.Options) > maxInputs
	}
	if tooMany {
		return &Script{Error: "it has too many inputs"}
	}
	return s
}

// limited keeps the beginning of what is written. The buffer is not embedded: its
// ReadFrom would go around the limit.
type limited struct {
	text bytes.Buffer
	full bool
}

func (l *limited) Write(p []byte) (int, error) {
	if l.text.Len()+len(p) > maxOutput {
		l.full = true
		return 0, errors.New("too much output")
	}
	return l.text.Write(p)
}
