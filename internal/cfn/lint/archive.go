package lint

import (
	"bytes"
	"compress/flate"
	_ "embed"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"

	"refline/internal/errs"
)

// The data under data/ is generated from the cfn-lint package by generate.py,
// whose comment describes the format. cfn-lint and the schemas in it are under
// the licence MIT-0 (MIT No Attribution).
//
//go:embed data/schemas.bin
var packed string

//go:embed data/rules.json
var rulesJSON []byte

// archive is the index of the packed schemas.
type archive struct {
	version string
	regions []string
	entries map[string]packedEntry
	shared  []byte
	blobs   string
}

type packedEntry struct {
	at, size int
	regions  uint64 // bits of archive.regions; 0 for what is not a type
}

var openArchive = sync.OnceValues(func() (*archive, error) {
	head, rest, ok := strings.Cut(packed, "\n")
	fields := strings.SplitN(head, " ", 3)
	if !ok || len(fields) != 3 {
		return nil, errs.E(errs.Internal, "schemas.bin has no head")
	}
	index, err1 := strconv.Atoi(fields[0])
	shared, err2 := strconv.Atoi(fields[1])
	if err1 != nil || err2 != nil || index+shared > len(rest) {
		return nil, errs.E(errs.Internal, "schemas.bin has a bad head: %s", head)
	}
	a := &archive{version: fields[2], shared: []byte(rest[index : index+shared]), blobs: rest[index+shared:]}
	text, err := io.ReadAll(flate.NewReader(strings.NewReader(rest[:index])))
	if err != nil {
		return nil, errs.E(errs.Internal, "index of schemas.bin: %w", err)
	}
	return a, a.readIndex(string(text))
})

func (a *archive) readIndex(text string) error {
	regions, lines, _ := strings.Cut(text, "\n")
	a.regions = strings.Fields(regions)
	a.entries = make(map[string]packedEntry, strings.Count(lines, "\n")+1)
	for line := range strings.SplitSeq(lines, "\n") {
		name, rest, _ := strings.Cut(line, " ")
		at, rest, _ := strings.Cut(rest, " ")
		size, mask, typed := strings.Cut(rest, " ")
		var e packedEntry
		var err1, err2, err3 error
		e.at, err1 = strconv.Atoi(at)
		e.size, err2 = strconv.Atoi(size)
		if typed {
			e.regions, err3 = strconv.ParseUint(mask, 16, 64)
		}
		if err1 != nil || err2 != nil || err3 != nil || e.at+e.size > len(a.blobs) {
			return errs.E(errs.Internal, "index of schemas.bin: bad line %q", line)
		}
		a.entries[name] = e
	}
	return nil
}

// load unpacks one entry into v.
func (a *archive) load(name string, v any) error {
	e, ok := a.entries[name]
	if !ok {
		return errs.E(errs.NotFound, "no schema %q", name)
	}
	z := flate.NewReaderDict(strings.NewReader(a.blobs[e.at:e.at+e.size]), a.shared)
	text, err := io.ReadAll(z)
	if err != nil {
		return fmt.Errorf("schema %q: %w", name, err)
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	return d.Decode(v)
}

// inRegion reports whether a type exists in a region.
func (a *archive) inRegion(typeName, region string) bool {
	e, ok := a.entries[typeName]
	for i, r := range a.regions {
		if r == region {
			return ok && e.regions>>i&1 == 1
		}
	}
	return false
}
