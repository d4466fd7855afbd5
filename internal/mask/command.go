package mask

import (
	"bytes"
	"io"
	"maps"
	"strings"
)

// AddPrefix begins a line by which a program has a value masked from then on in
// its own output. The line itself is not passed on. In the value %0A, %0D and
// %25 are a line end, a carriage return and a percent sign.
const AddPrefix = "::add-mask::"

// AddLine returns the line that has a value masked, with its line end.
func AddLine(value []byte) string {
	return AddPrefix + strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A").Replace(string(value)) + "\n"
}

// Fork returns a set that begins with the secrets of s. What is added to one of
// the two later is not in the other.
func (s *Set) Fork() *Set {
	current := s.matcher()
	s.mu.Lock()
	defer s.mu.Unlock()
	f := &Set{seen: maps.Clone(s.seen), armour: s.armour}
	f.patterns, f.publics = s.patterns[:len(s.patterns):len(s.patterns)], s.publics[:len(s.publics):len(s.publics)]
	f.current.Store(current)
	if len(s.added) > 0 { // added since
		f.added = append(f.added, s.added...)
		f.stale.Store(true)
	}
	return f
}

// CommandWriter is a [Writer] that obeys lines of [AddPrefix].
type CommandWriter struct {
	*Writer
	set    *Set
	line   []byte // of a line that may be one of AddPrefix
	inLine bool   // the line is another one
}

// CommandWriter returns a writer that passes on to w what is written to it,
// masked, and adds to the set what lines of [AddPrefix] say.
func (s *Set) CommandWriter(w io.Writer) *CommandWriter {
	return &CommandWriter{Writer: s.Writer(w), set: s}
}

// Write is [Writer.Write] without the lines of [AddPrefix]. It keeps back the
// beginning of what may be one.
func (c *CommandWriter) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		if c.inLine || len(c.line) == 0 && p[0] != AddPrefix[0] { // most lines
			rest := c.otherLines(p)
			if _, err := c.Writer.Write(p[:len(p)-len(rest)]); err != nil {
				return 0, err
			}
			p = rest
			continue
		}
		c.line = append(c.line, p[0])
		p = p[1:]
		if len(c.line) > len(AddPrefix) && c.line[len(c.line)-1] != '\n' {
			end := bytes.IndexByte(p, '\n')
			take := len(p)
			if end >= 0 {
				take = end + 1
			}
			c.line = append(c.line, p[:take]...)
			p = p[take:]
		}
		if err := c.decide(); err != nil {
			return 0, err
		}
	}
	return n, nil
}

// otherLines returns what of p begins with a line that may be one of AddPrefix.
func (c *CommandWriter) otherLines(p []byte) []byte {
	for i := 0; ; {
		end := bytes.IndexByte(p[i:], '\n')
		if end < 0 {
			c.inLine = true
			return nil
		}
		i += end + 1
		if c.inLine = false; i == len(p) || p[i] == AddPrefix[0] {
			return p[i:]
		}
	}
}

// decide passes on the line that is kept if it is another one, and obeys it if
// it is whole.
func (c *CommandWriter) decide() error {
	whole := c.line[len(c.line)-1] == '\n'
	switch same := min(len(c.line), len(AddPrefix)); {
	case string(c.line[:same]) != AddPrefix[:same]:
		line := c.line
		c.line, c.inLine = c.line[:0], !whole
		_, err := c.Writer.Write(line)
		return err
	case len(c.line) > 3*MaxSecret:
		c.line = c.line[:3*MaxSecret] // it will be refused
	case whole:
		value := bytes.TrimSuffix(bytes.TrimRight(c.line[len(AddPrefix):], "\n"), []byte("\r"))
		err := c.set.Add("add-mask", []byte(strings.NewReplacer("%0A", "\n", "%0D", "\r", "%25", "%").Replace(string(value))))
		c.line = c.line[:0]
		if err != nil {
			_, err = io.WriteString(c.Writer, "refline: "+err.Error()+"\n")
		}
		return err
	}
	return nil
}

// Flush passes on what was kept back.
func (c *CommandWriter) Flush() error {
	if err := c.end(); err != nil {
		return err
	}
	return c.Writer.Flush()
}

// Close flushes; writes after it fail.
func (c *CommandWriter) Close() error {
	if err := c.end(); err != nil {
		return err
	}
	return c.Writer.Close()
}

// end treats what is kept as a line without its end.
func (c *CommandWriter) end() error {
	if len(c.line) == 0 {
		return nil
	}
	if bytes.HasPrefix(c.line, []byte(AddPrefix)) {
		c.line = append(c.line, '\n')
		return c.decide()
	}
	line := c.line
	c.line = nil
	_, err := c.Writer.Write(line)
	return err
}
