package git

import (
	"context"
	"os"
	"path/filepath"
	"strings"
)

// config is a repository's own configuration: "section.subsection.key", section
// and key in lower case, the last value of each.
type config map[string]string

// readConfig reads common/config without a process. When that file includes
// others, or uses syntax that this reader does not know, it asks git.
func readConfig(ctx context.Context, p place, env []string) (config, error) {
	text, err := os.ReadFile(filepath.Join(p.common, "config"))
	if os.IsNotExist(err) {
		return config{}, nil
	}
	if err != nil {
		return nil, err
	}
	if c, ok := parseConfig(string(text)); ok {
		return c, nil
	}
	out, err := process{
		args: []string{"--git-dir=" + p.dir, "config", "--local", "--includes", "--list", "-z"},
		dir:  p.root, env: env, config: hardened(),
	}.output(ctx)
	if err != nil {
		return nil, err
	}
	c := config{}
	for entry := range strings.SplitSeq(strings.TrimSuffix(string(out), "\x00"), "\x00") {
		key, value, ok := strings.Cut(entry, "\n")
		if !ok {
			value = "true"
		}
		c[key] = value
	}
	return c, nil
}

// parseConfig reads the syntax of git-config(1). ok is false for a file with
// includes and for one it cannot read.
func parseConfig(text string) (c config, ok bool) {
	c = config{}
	section := ""
	p := &configText{rest: strings.TrimPrefix(text, "\ufeff")}
	for {
		p.skipBlank()
		switch {
		case p.rest == "":
			return c, true
		case p.rest[0] == '[':
			section, ok = p.header()
			if !ok || section == "include" || strings.HasPrefix(section, "includeif.") {
				return nil, false
			}
		default:
			key, value, ok := p.entry()
			if !ok || section == "" {
				return nil, false
			}
			c[section+"."+key] = value
		}
	}
}

type configText struct{ rest string }

func (p *configText) skipBlank() {
	for {
		p.rest = strings.TrimLeft(p.rest, " \t\r\n")
		if p.rest == "" || p.rest[0] != '#' && p.rest[0] != ';' {
			return
		}
		_, p.rest, _ = strings.Cut(p.rest, "\n")
	}
}

// header reads [section], [section "sub"] or the old [section.sub].
func (p *configText) header() (string, bool) {
	line := p.rest[1:]
	end := strings.IndexAny(line, "\"]\n")
	if end < 0 || line[end] == '\n' {
		return "", false
	}
	name := strings.ToLower(strings.TrimSpace(line[:end]))
	if line[end] == ']' {
		p.rest = line[end+1:]
		return name, name != ""
	}
	var sub strings.Builder
	for i := end + 1; i < len(line); i++ {
		switch line[i] {
		case '\n':
			return "", false
		case '\\':
			i++
			if i == len(line) {
				return "", false
			}
			sub.WriteByte(line[i])
		case '"':
			if i+1 == len(line) || line[i+1] != ']' {
				return "", false
			}
			p.rest = line[i+2:]
			return name + "." + sub.String(), name != ""
		default:
			sub.WriteByte(line[i])
		}
	}
	return "", false
}

func (p *configText) entry() (key, value string, ok bool) {
	end := 0
	for end < len(p.rest) && (isAlnum(p.rest[end]) || p.rest[end] == '-') {
		end++
	}
	key = strings.ToLower(p.rest[:end])
	p.rest = strings.TrimLeft(p.rest[end:], " \t")
	switch {
	case key == "":
		return "", "", false
	case p.rest == "" || p.rest[0] == '\n' || p.rest[0] == '\r' || p.rest[0] == '#' || p.rest[0] == ';':
		return key, "true", true
	case p.rest[0] != '=':
		return "", "", false
	}
	p.rest = strings.TrimLeft(p.rest[1:], " \t")
	value, ok = p.value()
	return key, value, ok
}

func (p *configText) value() (string, bool) {
	var out strings.Builder
	quoted, solid := false, 0 // solid: length up to which blanks are kept
	tab := false              // versions of git differ in what a tab between words becomes
	for i := 0; i < len(p.rest); i++ {
		switch b := p.rest[i]; {
		case b == '\n':
			p.rest = p.rest[i:]
			return out.String()[:solid], !quoted
		case b == '\r' && strings.HasPrefix(p.rest[i+1:], "\n"):
			// part of the line's end
		case b == '"':
			quoted = !quoted
			solid = out.Len()
		case !quoted && (b == '#' || b == ';'):
			nl := strings.IndexByte(p.rest[i:], '\n')
			if nl < 0 {
				nl = len(p.rest) - i
			}
			p.rest = p.rest[i+nl:]
			return out.String()[:solid], true
		case b == '\\':
			i++
			if i < len(p.rest) && p.rest[i] == '\r' {
				i++
			}
			if i >= len(p.rest) {
				return "", false
			}
			switch p.rest[i] {
			case '\n':
				continue
			case 'n':
				out.WriteByte('\n')
			case 't':
				out.WriteByte('\t')
			case 'b':
				out.WriteByte('\b')
			case '\\', '"':
				out.WriteByte(p.rest[i])
			default:
				return "", false
			}
			solid = out.Len()
		default:
			out.WriteByte(b)
			switch {
			case quoted || b != ' ' && b != '\t':
				solid = out.Len()
				if tab && !quoted {
					return "", false
				}
			case b == '\t':
				tab = true
			}
		}
	}
	p.rest = ""
	return out.String()[:solid], !quoted
}

func isAlnum(b byte) bool {
	return b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || b >= '0' && b <= '9'
}
