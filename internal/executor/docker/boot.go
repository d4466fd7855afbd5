package docker

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"

	"refline/internal/errs"
	"refline/internal/executor"
)

// A container's shell reads a program from its standard input. The program sets the
// variables, checks that the command can start, announces the result on standard
// error, and runs the command. A second shell keeps reading: the end of input means
// that this program is gone, and ends the command. A container's processes are
// killed when its first one ends, so after TERM the program waits for all of them.
// Everything that it uses is built in to bash, dash and busybox.
//
// The announcement is one line that begins with an unguessable word; [announcement]
// removes it from the command's output.
const (
	bootOK      = "ok"
	bootNoDir   = "no-dir"
	bootNoFile  = "no-file"
	bootNoRight = "no-right"
)

// program returns what the shell of a container reads for one command.
func program(cmd executor.Command, word string) (string, error) {
	return boot(cmd, word, fmt.Sprintf(`say %s
exec 4>&%d 2>/dev/null
"$@" </dev/null 2>&4 3<&- 4>&-
code=$?
if [ "$told" ]; then
	kill -KILL "$watch"
	while kill -0 -1; do sleep 0.02 || sleep 1 || break; done
fi
exit "$code"
`, bootOK, stderrOf(cmd)))
}

// boot returns a program that sets the variables, checks the command, starts the
// shell that waits for the end of input, and runs script with the command as its
// arguments.
func boot(cmd executor.Command, word, script string) (string, error) {
	if len(cmd.Args) == 0 {
		return "", errs.E(errs.Invalid, "a command without a name")
	}
	// One group: all of it must be read before the second shell starts to read.
	text := exports(cmd.Env) + fmt.Sprintf(`{
say() { printf '%%s %%s\n' %s "$*" >&2; }
cd %s 2>/dev/null || { say %s; exit 1; }
set -- %s
case $1 in
*/*) [ -e "$1" ] || { say %s; exit 1; }; [ -f "$1" ] && [ -x "$1" ] || { say %s; exit 1; } ;;
*) command -v "$1" >/dev/null 2>&1 || { say %s; exit 1; } ;;
esac
exec 3<&0
{ trap '' TERM INT HUP; read -r x <&3; kill -KILL -1; } </dev/null >/dev/null 2>&1 &
watch=$! told=
trap told=1 TERM INT HUP
%s}
`, quote(word), quote(dirOr(cmd.Dir)), bootNoDir, quoteAll(cmd.Args), bootNoFile, bootNoRight, bootNoFile, script)
	if strings.ContainsRune(text, 0) {
		return "", errs.E(errs.Invalid, "command %q: a zero byte in its arguments, folder or variables", cmd.Args[0])
	}
	return text, nil
}

// exports skips names that a shell cannot hold, as GitLab's runner does.
func exports(env []string) string {
	var b strings.Builder
	for _, kv := range env {
		key, value, _ := strings.Cut(kv, "=")
		if !isIdentifier(key) || slices.Contains(shellOwned, key) {
			continue
		}
		fmt.Fprintf(&b, "%s=%s\nexport %s\n", key, quote(value), key)
	}
	return b.String()
}

// stderrOf is the descriptor of the command's standard error. Engines do not keep
// the order between both streams, so a caller with one writer gets one stream.
func stderrOf(cmd executor.Command) int {
	if cmd.OneOutput() {
		return 1
	}
	return 2
}

// shellOwned are variables that bash refuses to set, or that must be numbers in
// dash; a shell ends if it is asked to.
var shellOwned = []string{"UID", "EUID", "PPID", "BASHOPTS", "SHELLOPTS", "BASH_VERSINFO", "OPTIND"}

func dirOr(dir string) string {
	if dir == "" {
		return "/"
	}
	return dir
}

func isIdentifier(s string) bool {
	for i, r := range s {
		letter := r == '_' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
		if !letter && (i == 0 || r < '0' || r > '9') {
			return false
		}
	}
	return s != ""
}

// quote makes s one word for a POSIX shell.
func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

func quoteAll(words []string) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = quote(w)
	}
	return strings.Join(quoted, " ")
}

// announcement passes on everything except the one line that begins with word; the
// rest of that line goes to said.
type announcement struct {
	dst     io.Writer
	word    string // the line's beginning, with the space
	said    string
	heard   func(said string) // called with the line's rest; may be nil
	pending []byte            // part of the line, or maybe its beginning
}

// Write passes on at once what cannot belong to the line.
func (a *announcement) Write(p []byte) (int, error) {
	if a.said != "" {
		return a.dst.Write(p)
	}
	a.pending = append(a.pending, p...)
	at, whole := find(a.pending, a.word)
	rest := a.pending[at:]
	var pass []byte
	pass, a.pending = a.pending[:at], rest
	if whole {
		line, after, ended := bytes.Cut(rest, []byte("\n"))
		if ended {
			a.said = string(line[len(a.word):])
			pass, a.pending = append(bytes.Clone(pass), after...), nil
			if a.heard != nil {
				a.heard(a.said)
			}
		}
	}
	if len(pass) == 0 {
		return len(p), nil
	}
	if _, err := a.dst.Write(pass); err != nil {
		return 0, err
	}
	return len(p), nil
}

// flush passes on what was held back if the line never came.
func (a *announcement) flush() error {
	if a.said != "" || len(a.pending) == 0 {
		return nil
	}
	_, err := a.dst.Write(a.pending)
	a.pending = nil
	return err
}

// find returns where word begins in b (whole), or where b ends with a prefix of
// word, or the end of b.
func find(b []byte, word string) (at int, whole bool) {
	if i := bytes.Index(b, []byte(word)); i >= 0 {
		return i, true
	}
	for n := min(len(word)-1, len(b)); n > 0; n-- {
		if bytes.HasSuffix(b, []byte(word[:n])) {
			return len(b) - n, false
		}
	}
	return len(b), false
}
