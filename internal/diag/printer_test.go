package diag_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"refline/internal/diag"
	"refline/internal/errs"
)

var update = flag.Bool("update", false, "rewrite the golden files")

const source = "stages: [build]\n\tdeploy:\t# needs\n  needs: [biuld, 日本, x]\nbad \x1b[31m line\n"

func read(file string) ([]byte, error) {
	if file != ".gitlab-ci.yml" {
		return nil, fs.ErrNotExist
	}
	return []byte(source), nil
}

func sample() diag.List {
	at := func(line, column int) diag.Place {
		return diag.Place{File: ".gitlab-ci.yml", Line: line, Column: column}
	}
	return diag.List{
		{Place: at(3, 11), Width: 5, Level: diag.Error, Rule: "unknown-need", Subject: "deploy",
			Message: `job "deploy" needs "biuld", which is not a job`, Hint: `did you mean "build"?`},
		{Place: at(3, 18), Width: 2, Level: diag.Error, Message: "wide characters"},
		{Place: at(3, 22), Level: diag.Warning, Message: "after wide characters"},
		{Place: at(2, 2), Width: 6, Level: diag.Warning, Message: "after a tab", Related: []diag.Related{
			{Place: diag.Place{File: "ci/base.yml", Line: 7}, Message: "overridden here"}, {Message: "and so on"}}},
		{Place: at(4, 5), Width: 40, Level: diag.Info, Message: "escape \x1b[31m and\nsecond line <&>"},
		{Place: at(1, 99), Level: diag.Error, Message: "beyond the end"},
		{Place: at(99, 1), Level: diag.Error, Message: "no such line"},
		{Place: diag.Place{File: "ci/test file.yml", Line: 3, Column: 1}, Level: diag.Error, Message: "file that cannot be read"},
		{Place: diag.Place{File: "./ci/a.yml"}, Level: diag.Error, Rule: "E0000", Message: "a file as a whole"},
		{Place: diag.Place{File: "./ci/a.yml"}, Level: diag.Error, Rule: "E0000", Message: "a file as a whole"},
		{Level: diag.Error, Message: "no place"},
	}
}

func TestPrint(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		golden  string
		format  diag.Format
		printer diag.Printer
		list    diag.List
	}{
		{"text.txt", diag.Text, diag.Printer{Source: read}, sample()},
		{"text-rules.txt", diag.Text, diag.Printer{Rules: true}, sample()},
		{"json.json", diag.JSON, diag.Printer{}, sample()},
		{"sarif.json", diag.SARIF, diag.Printer{Version: "1.2.3"}, sample()},
		{"junit.xml", diag.JUnit, diag.Printer{}, sample()},
		{"codequality.json", diag.CodeQuality, diag.Printer{}, sample()},
		{"text-none.txt", diag.Text, diag.Printer{}, nil},
		{"json-none.json", diag.JSON, diag.Printer{}, nil},
		{"sarif-none.json", diag.SARIF, diag.Printer{}, nil},
		{"junit-none.xml", diag.JUnit, diag.Printer{}, nil},
		{"codequality-none.json", diag.CodeQuality, diag.Printer{}, nil},
	} {
		t.Run(tc.golden, func(t *testing.T) {
			t.Parallel()
			var out bytes.Buffer
			if err := tc.printer.Print(&out, tc.format, tc.list); err != nil {
				t.Fatal(err)
			}
			switch filepath.Ext(tc.golden) {
			case ".json":
				if !json.Valid(out.Bytes()) {
					t.Errorf("not JSON: %s", &out)
				}
			case ".xml":
				if err := xml.Unmarshal(out.Bytes(), new(struct{})); err != nil {
					t.Errorf("not XML: %v", err)
				}
			}
			path := filepath.Join("testdata", tc.golden)
			if *update {
				if err := os.MkdirAll("testdata", 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, out.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(string(want), out.String()); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestLongLinesAreCutAroundTheMark(t *testing.T) {
	t.Parallel()
	line := strings.Repeat("a", 500) + "HERE" + strings.Repeat("b", 500)
	p := diag.Printer{Source: func(string) ([]byte, error) { return []byte(line), nil }}
	var out strings.Builder
	err := p.Print(&out, diag.Text, diag.List{{Place: diag.Place{File: "f", Line: 1, Column: 501}, Width: 4, Level: diag.Error, Message: "m"}})
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(out.String(), "\n")
	text, carets := []rune(lines[1]), []rune(lines[2])
	if len(text) > 180 {
		t.Errorf("line of %d characters", len(text))
	}
	if got := string(text[len(carets)-4 : len(carets)]); got != "HERE" {
		t.Errorf("the carets are below %q", got)
	}
}

func TestUnknownFormat(t *testing.T) {
	t.Parallel()
	err := diag.Printer{}.Print(nil, "toml", nil)
	if !errs.Is(err, errs.Invalid) || !strings.Contains(err.Error(), "text, json, sarif") {
		t.Errorf("got %v", err)
	}
}

func TestSortDropsRepetitions(t *testing.T) {
	t.Parallel()
	a := diag.Finding{Place: diag.Place{File: "a", Line: 2}, Message: "m", Related: []diag.Related{{Message: "r"}}}
	b := diag.Finding{Place: diag.Place{File: "a", Line: 1}, Message: "m"}
	c := a
	c.Related = nil
	got := diag.List{a, b, a, c}.Sort()
	if d := cmp.Diff(diag.List{b, a, c}, got); d != "" {
		t.Error(d)
	}
}

func FuzzText(f *testing.F) {
	f.Add("a\tb日", 2, 3)
	f.Fuzz(func(t *testing.T, line string, column, width int) {
		p := diag.Printer{Source: func(string) ([]byte, error) { return []byte(line), nil }}
		var out strings.Builder
		l := diag.List{{Place: diag.Place{File: "f", Line: 1, Column: column}, Width: width, Level: diag.Error, Message: line}}
		if err := p.Print(&out, diag.Text, l); err != nil {
			t.Fatal(err)
		}
		if strings.ContainsRune(out.String(), 0x1b) {
			t.Errorf("an escape came through: %q", out.String())
		}
	})
}
