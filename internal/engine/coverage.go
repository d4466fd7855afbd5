package engine

import (
	"bytes"
	"io"
	"regexp"
	"strconv"
	"sync"
)

// coverage finds a job's coverage in its log: of the last line that matches
// the expression, the number in the match.
type coverage struct {
	re   *regexp.Regexp
	line []byte
	last *float64
}

const maxCoverageLine = 64 << 10

// newCoverage returns nil for an expression that RE2 does not support. The
// compiler has warned about it.
func newCoverage(expr string) *coverage {
	re, err := regexp.Compile(expr)
	if err != nil {
		return nil
	}
	return &coverage{re: re}
}

func (c *coverage) tee(w io.Writer) io.Writer { return &coverageWriter{c, w} }

type coverageWriter struct {
	c *coverage
	w io.Writer
}

func (t *coverageWriter) Write(p []byte) (int, error) {
	t.c.feed(p)
	return t.w.Write(p)
}

func (c *coverage) feed(p []byte) {
	for {
		i := bytes.IndexByte(p, '\n')
		if i < 0 {
			if len(c.line)+len(p) <= maxCoverageLine {
				c.line = append(c.line, p...)
			}
			return
		}
		c.line = append(c.line, p[:i]...)
		c.match()
		c.line, p = c.line[:0], p[i+1:]
	}
}

func (c *coverage) match() {
	all := c.re.FindAllSubmatch(c.line, -1)
	if all == nil {
		return
	}
	m := all[len(all)-1]
	text := m[len(m)-1]
	if n, err := strconv.ParseFloat(string(number().Find(text)), 64); err == nil {
		c.last = &n
	}
}

func (c *coverage) value() *float64 {
	if len(c.line) > 0 {
		c.match()
		c.line = nil
	}
	return c.last
}

var number = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`\d+(?:\.\d+)?`) })
