package mask

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
)

// What is not ASCII is escaped by nearly every program, in nearly as many ways.
func TestEscapesOfOtherLetters(t *testing.T) {
	t.Parallel()
	for secret, forms := range map[string][]string{
		"Grüße-aus-Köln-42": {
			`Gr\303\274\303\237e-aus-K\303\266ln-42`, // bash -x, printf %q, ls, git status, sed -n l
			`Gr\xc3\xbc\xc3\x9fe-aus-K\xc3\xb6ln-42`, // Python's bytes
			`Gr\xC3\xBC\xC3\x9Fe-aus-K\xC3\xB6ln-42`, // Ruby, systemd
			`GrM-CM-<M-CM-^_e-aus-KM-CM-6ln-42`,      // cat -v
			`Gr\xfc\xdfe-aus-K\xf6ln-42`,             // Python's ascii()
			`Gr\u00fc\u00dfe-aus-K\u00f6ln-42`,       // JSON
			`Gr\u00FC\u00DFe-aus-K\u00F6ln-42`,       // JSON of .NET
			`Gr\u{fc}\u{df}e-aus-K\u{f6}ln-42`,       // JavaScript, Rust
			`Gr\u{FC}\u{DF}e-aus-K\u{F6}ln-42`,       // PHP
			`Gr&#252;&#223;e-aus-K&#246;ln-42`,       // XML
			`Gr&#xfc;&#xdf;e-aus-K&#xf6;ln-42`,       //
			`Gr&#xFC;&#xDF;e-aus-K&#xF6;ln-42`,       //
			`Gr=C3=BC=C3=9Fe-aus-K=C3=B6ln-42`,       // quoted-printable
			`Gr%C3%BC%C3%9Fe-aus-K%C3%B6ln-42`,       // URL
		},
		"it's \"ß\" \\ here": {`it\'s "\303\237" \\ here`, `it's \"\303\237\" \\ here`, `it's "\303\237" \\ here`, `it\'s "\xdf" \\ here`},
	} {
		s := setOf(t, secret)
		for _, form := range forms {
			for _, cuts := range [][]byte{nil, {0}, {4, 1}} {
				if got := write(t, s, []byte("<"+form+">"), cuts); got != "<[masked]>" {
					t.Errorf("%s gives %s", form, got)
				}
			}
		}
	}
}

func TestDumpsOfBytes(t *testing.T) {
	t.Parallel()
	const secret = "hunter2-hunter2-hunter2!" // three words of eight bytes
	s := setOf(t, secret)
	each := func(format, between string) string {
		parts := make([]string, len(secret))
		for i, c := range []byte(secret) {
			parts[i] = fmt.Sprintf(format, c)
		}
		return strings.Join(parts, between)
	}
	words := func(size int) string { // od -tx4, od -tx8
		var out []string
		for b := []byte(secret); len(b) > 0; b = b[size:] {
			word := make([]byte, 8)
			copy(word, b[:size])
			out = append(out, fmt.Sprintf("%0*x", 2*size, binary.LittleEndian.Uint64(word)))
		}
		return strings.Join(out, " ")
	}
	for name, text := range map[string]string{
		"xxd -i": each("0x%02x", ", "), "a list": each("0x%02x", ","), "a list in upper case": each("0x%02X", ", "),
		`\x, lower`: each(`\x%02x`, ""), `\x, upper`: each(`\x%02X`, ""), "od -tx4": words(4), "od -tx8": words(8),
		"plain": hex.EncodeToString([]byte(secret)),
	} {
		got := s.String("<" + text + ">")
		if rest := strings.ReplaceAll(got, Token, ""); rest != "<>" && rest != `<\x>` && rest != "<0x>" {
			t.Errorf("%s: %s gives %s", name, text, got)
		}
	}
}
