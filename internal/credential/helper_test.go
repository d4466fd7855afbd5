package credential

import (
	"testing"

	"refline/internal/secret"
)

func TestTokenHelperAnswers(t *testing.T) {
	t.Parallel()
	h := &helper{tokens: Tokens{{Host: "git.example.com", User: "deploy", Text: secret.NewString("hunter2-hunter2")}}}
	const want = "username=deploy\npassword=hunter2-hunter2\n"
	for question, want := range map[string]string{
		"action=get\ntimeout=900\nprotocol=https\nhost=git.example.com\n":                   want,
		"action=get\nprotocol=https\nhost=git.example.com\nusername=deploy\n":               want,
		"action=get\nprotocol=https\nhost=git.example.com\nusername=somebody\n":             "",
		"action=get\nprotocol=http\nhost=git.example.com\n":                                 "",
		"action=get\nprotocol=https\nhost=git.example.com.evil.example\n":                   "",
		"action=get\nprotocol=https\nhost=git.example.com:444\n":                            "",
		"action=store\nprotocol=https\nhost=git.example.com\nusername=deploy\npassword=x\n": "",
		"action=exit\n": "", "": "", "action=get\nhost=git.example.com\n": "",
	} {
		if got := h.answer(question); got != want {
			t.Errorf("%q: got %q, want %q", question, got, want)
		}
	}
}
