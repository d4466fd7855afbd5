package web

import "strings"

// command writes a command line of the program that does what a page does. Its words
// are quoted for a shell, so that names of a repository stay words.
func command(words ...string) string {
	var out strings.Builder
	out.WriteString("refline")
	for _, word := range words {
		out.WriteString(" " + shellWord(word))
	}
	return out.String()
}

// shellWord quotes a word for a shell where that is needed.
func shellWord(word string) string {
	if word != "" && strings.IndexFunc(word, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_./:@%+=,", r))
	}) < 0 {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

// ofProject adds the project that a command is about; "" is the server.
func ofProject(project string, words ...string) []string {
	if project == "" {
		return words
	}
	return append(words, "--project", project)
}
