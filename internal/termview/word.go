package termview

import (
	"fmt"
	"strings"
)

// ShellWord quotes a word of a command line that a message shows, if it must be
// quoted in a shell.
func ShellWord(s string) string {
	if strings.IndexFunc(s, func(r rune) bool {
		return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./:@%+=,", r)
	}) < 0 && s != "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// Argument is ShellWord for a word that is not an option, whatever it begins with.
func Argument(word string) string {
	if strings.HasPrefix(word, "-") {
		return "-- " + ShellWord(word)
	}
	return ShellWord(word)
}

// Count is "1 job" or "3 jobs".
func Count(n int, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return fmt.Sprintf("%d %ss", n, word)
}
