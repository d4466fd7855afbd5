package engine

import (
	"fmt"
	"strings"
)

// The scripts that a job's entries become. As in GitLab's runner each entry is
// echoed and then run, all of them in one shell that stops at the first
// failure, also in the middle of a pipe.

// preamble sets the shell options. It is valid in bash and in any POSIX sh:
// where pipefail is unknown (dash) it is left out.
const preamble = `set -e
set +C
case "${BASH_VERSION:-}" in
'') (set -o pipefail) 2>/dev/null && set -o pipefail || : ;;
*) set -o pipefail ;;
esac
`

// tracing makes the shell print each command with its arguments expanded, as
// CI_DEBUG_TRACE asks for.
const tracing = "set -o xtrace\n"

// pythonPath makes a folder the last of PYTHONPATH: after what the job's variables or
// its image say, which only the shell in the sandbox knows.
func pythonPath(dir string) string {
	return `export PYTHONPATH="${PYTHONPATH:+$PYTHONPATH:}"` + shellQuote(dir) + "\n"
}

// shellScript turns entries of script: into a shell script. They are run by
// eval in a subshell, as in GitLab's runner: anywhere else bash goes on with the
// next command after an error of arithmetic or expansion. What begin says comes
// before them.
func shellScript(begin string, entries []string) string {
	var body strings.Builder
	body.WriteString(begin)
	for _, e := range entries {
		if strings.TrimSpace(e) == "" {
			continue
		}
		body.WriteString(`printf '\033[32;1m%s\033[0;m\n' `)
		body.WriteString(shellQuote("$ " + shownLine(e)))
		body.WriteByte('\n')
		body.WriteString(e)
		body.WriteByte('\n')
	}
	return preamble + "(eval " + shellQuote(body.String()) + ")\nexit 0\n"
}

// shownLine is how an entry is echoed: a single line as it is, several as the
// first with a note that more were folded away.
func shownLine(entry string) string {
	first, rest, more := strings.Cut(strings.TrimSpace(entry), "\n")
	if more && strings.TrimSpace(rest) != "" {
		return first + " # collapsed multi-line command"
	}
	return first
}

// shellQuote quotes s for any POSIX shell.
func shellQuote(s string) string {
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// sectionStart and sectionEnd mark a foldable part of a log, in GitLab's form.
func sectionStart(name, title string, unix int64) string {
	return fmt.Sprintf("\x1b[0Ksection_start:%d:%s\r\x1b[0K\x1b[0K\x1b[36;1m%s\x1b[0;m\n", unix, name, title)
}

func sectionEnd(name string, unix int64) string {
	return fmt.Sprintf("\x1b[0Ksection_end:%d:%s\r\x1b[0K\n", unix, name)
}
