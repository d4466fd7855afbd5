// Package pythoninputs reads from the source of a Python script what it takes: the
// parameters of a flow function with their types and defaults, or the options of its
// argparse parser.
//
// It promises that the script is not run, that time, memory and output are bounded
// whatever the source is, and that nothing is guessed: what is not certain has the type
// any. It does not know where a script comes from or how its inputs are given.
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
	maxTime   = 5 * time.Second
	maxInputs = 200 // also of options of one
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
	Switch     bool            `json:"switch,omitempty"` // an option without a value
}

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
	// Options are those of the file's argparse parser; nil if that is not certain.
	Options []Input `json:"options"`
	// Error says why the source cannot be read; the rest is empty then. A newer Python
	// may be able to.
	Error string `json:"error"`
	Line  int    `json:"line"`

	passing bool // the error is one of this moment, not of the source
}

//go:embed read.py
var program string

// kept remembers sources: a server compiles the same flow again and again.
var kept struct {
	sync.Mutex
	scripts map[[sha256.Size]byte]*Script
}

const maxKept = 200

// Read reads a source. The error is Unavailable if there is no python3; what is wrong
// with the source is in the Script.
func Read(ctx context.Context, source []byte) (*Script, error) {
	if len(source) > MaxSource {
		return &Script{Error: "it is larger than 1 MiB"}, nil
	}
	key := sha256.Sum256(source)
	kept.Lock()
	s := kept.scripts[key]
	kept.Unlock()
	if s != nil {
		return s, nil
	}
	s, err := read(ctx, source)
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

func read(ctx context.Context, source []byte) (*Script, error) {
	python, err := exec.LookPath("python3")
	if err != nil {
		return nil, errs.E(errs.Unavailable, "python3 is not here")
	}
	within, cancel := context.WithTimeout(ctx, maxTime)
	defer cancel()
	cmd := exec.CommandContext(within, python, "-I", "-c", program)
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
		return &Script{Error: "it takes too long to read", passing: true}, nil
	case out.full:
		return &Script{Error: "it says too much of its inputs"}, nil
	case err != nil:
		return &Script{Error: "python3 cannot read it", passing: true}, nil // out of memory, or ended by a limit
	}
	return decode(out.Bytes()), nil
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

// limited keeps the beginning of what is written.
type limited struct {
	bytes.Buffer
	full bool
}

func (l *limited) Write(p []byte) (int, error) {
	if l.Len()+len(p) > maxOutput {
		l.full = true
		return 0, errors.New("too much output")
	}
	return l.Buffer.Write(p)
}
