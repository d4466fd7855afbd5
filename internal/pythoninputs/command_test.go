package pythoninputs

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// describe writes an input as one line: its name, type, flag and what else is known.
func describe(in Input) string {
	words := []string{in.Name, string(in.Type)}
	add := func(is bool, format string, args ...any) {
		if is {
			words = append(words, fmt.Sprintf(format, args...))
		}
	}
	add(in.Flag != "", "%s", in.Flag)
	add(in.Positional, "place")
	add(in.Switch, "switch")
	add(in.Off != "", "off=%s", in.Off)
	add(in.Repeat, "repeat")
	add(in.Words != 0, "words=%d", in.Words)
	add(len(in.Options) > 0, "of=%s", strings.Join(in.Options, "|"))
	add(in.Min != nil, "from=%v", deref(in.Min))
	add(in.Max != nil, "to=%v", deref(in.Max))
	add(in.Needed(), "needed")
	add(in.Default != nil, "default=%s", in.Default)
	add(in.Code != "", "code=%s", in.Code)
	add(in.Help != "", "help=%s", in.Help)
	return strings.Join(words, " ")
}

func deref(n *float64) float64 {
	if n == nil {
		return 0
	}
	return *n
}

// readAll reads sources as [Read] does, all in one process, which is faster.
func readAll(t *testing.T, sources map[string]string) map[string]*Script {
	t.Helper()
	needPython(t)
	text, err := json.Marshal(sources)
	if err != nil {
		t.Fatal(err)
	}
	loop := strings.TrimSuffix(program(), "main()\n") + "json.dump({k: answer(v.encode()) for k, v in json.load(sys.stdin).items()}, sys.stdout)\n"
	cmd := exec.Command("python3", "-I", "-c", loop)
	cmd.Stdin = bytes.NewReader(text)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, stderrOf(err))
	}
	var answers map[string]json.RawMessage
	if err := json.Unmarshal(out, &answers); err != nil {
		t.Fatal(err)
	}
	all := map[string]*Script{}
	for name, text := range answers {
		all[name] = decode(text)
	}
	return all
}

func stderrOf(err error) string {
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return string(exit.Stderr)
	}
	return ""
}

// TestCommandLines: what scripts say of their command lines, and where that is not
// certain the reason.
func TestCommandLines(t *testing.T) {
	t.Parallel()
	const parser = "import argparse\nfrom pathlib import Path\np = argparse.ArgumentParser()\n"
	const click = "import click\n@click.command()\n"
	const typer = "import typer\nfrom typing import *\nfrom enum import Enum\nclass Mode(str, Enum):\n  fast = 'f'\n  slow = 's'\n"
	cases := map[string]struct {
		source string
		want   []string
		more   bool
		unread string
	}{
		"argparse, options": {source: parser + "p.add_argument('-d', '--day', required=True, help='which')\np.add_argument('--n', type=int, default=3)\np.add_argument('--mode', choices=['a', 'b'])\np.add_argument('--dry-run', action='store_true')\np.add_argument('-x', type=float)\n", want: []string{
			"day text --day needed help=which", "n integer --n default=3", "mode text --mode of=a|b", "dry-run boolean --dry-run switch", "x number -x",
		}},
		"argparse, places and lists": {source: parser + "p.add_argument('file', type=Path)\np.add_argument('rest', nargs='*')\np.add_argument('--point', nargs=2, type=int)\np.add_argument('--tag', action='append')\np.add_argument('-v', '--verbose', action='count', default=0)\np.add_argument('--one', nargs=1)\n", want: []string{
			"file text place needed", "rest list place words=-1", "point list --point words=2", "tag list --tag repeat", "verbose integer --verbose repeat default=0", "one text --one",
		}},
		"argparse, in a function with groups": {source: "from argparse import ArgumentParser as P, BooleanOptionalAction\nMODES = ['x', 'y']\ndef parse():\n  p = P()\n  g = p.add_argument_group('input')\n  e = g.add_mutually_exclusive_group()\n  g.add_argument('--mode', choices=MODES, default=MODES[0])\n  e.add_argument('--level', type=int, choices=range(1, 4))\n  e.add_argument('--cache', action=BooleanOptionalAction)\n  p.add_argument('--version', action='version', version='1')\n  return p.parse_args()\n", want: []string{
			"mode text --mode of=x|y code=MODES[0]", "level integer --level from=1 to=3", "cache boolean --cache switch off=--no-cache",
		}},
		"argparse, types":               {source: parser + "import datetime as dt, json\np.add_argument('--day', type=dt.date.fromisoformat)\np.add_argument('--conf', type=json.loads)\np.add_argument('--odd', type=lambda x: x)\np.add_argument('--b', type=bool)\n", want: []string{"day date --day", "conf json --conf", "odd any --odd", "b any --b"}},
		"argparse, others too":          {source: parser + "p.add_argument('--a')\np.parse_known_args()\n", want: []string{"a text --a"}, more: true},
		"argparse, without options":     {source: parser + "p.parse_args()\n", want: []string{}},
		"argparse, a loop":              {source: parser + "for x in y:\n  p.add_argument('--' + x)\n", unread: "line 5 adds an argument in a loop or a branch"},
		"argparse, a branch":            {source: parser + "if y:\n  p.add_argument('--x')\n", unread: "line 5 adds an argument in a loop or a branch"},
		"argparse, a name not known":    {source: parser + "p.add_argument('--' + x)\n", unread: "the name of the argument in line 4 is not a text"},
		"argparse, sub-commands":        {source: parser + "p.add_argument('--a')\ns = p.add_subparsers()\n", unread: "it has sub-commands"},
		"argparse, two parsers":         {source: parser + "q = argparse.ArgumentParser()\nq.add_argument('--a')\n", unread: "it has several argument parsers"},
		"argparse, parents":             {source: "import argparse\np = argparse.ArgumentParser(parents=[base])\n", unread: "its argument parser has parents"},
		"argparse, handed on":           {source: parser + "add_common(p)\np.parse_args()\n", unread: "line 4 hands its argument parser on"},
		"argparse, keywords not known":  {source: parser + "p.add_argument('--a', **common)\n", unread: "line 4 gives it arguments by * or **"},
		"argparse, the rest of a line":  {source: parser + "p.add_argument('rest', nargs=argparse.REMAINDER)\n", unread: "nargs in line 4 is not +, *, ? or a number"},
		"argparse, used in another way": {source: parser + "p.register('action', 'x', X)\n", unread: "line 4 uses .register of its argument parser"},

		"click": {source: click + "@click.option('--day', '-d', required=True, type=click.DateTime(['%Y-%m-%d']))\n@click.option('--n', default=3, help='how many', show_default=True)\n@click.option('--shout/--no-shout', default=False)\n@click.option('--mode', type=click.Choice(['a', 'b']))\n@click.option('-v', '--verbose', count=True)\n@click.option('--tag', multiple=True)\n@click.option('--level', type=click.IntRange(0, 9))\n@click.option('--force', is_flag=True)\n@click.option('--who', prompt=True)\n@click.option('--pos', nargs=2, type=float)\n@click.argument('src')\n@click.argument('files', nargs=-1, type=click.Path(exists=True))\n@click.version_option('1')\n@click.pass_context\ndef main(ctx, **kw): pass\nif __name__ == '__main__':\n  main()\n", want: []string{
			"day date --day needed", "n integer --n default=3 help=how many", "shout boolean --shout switch off=--no-shout default=false", "mode text --mode of=a|b", "verbose integer --verbose repeat", "tag list --tag repeat",
			"level integer --level from=0 to=9", "force boolean --force switch", "who text --who needed", "pos list --pos words=2", "src text place needed", "files list place words=-1",
		}},
		"click, without its prefix":     {source: "from click import command, option as o, argument, INT\n@command\n@o('--n', type=INT, envvar='N', required=True)\n@argument('a', required=False)\ndef main(n, a): pass\n", want: []string{"n integer --n", "a text place"}},
		"click, a decorator of its own": {source: click + "@common\n@click.option('--n', type=int)\ndef main(): pass\n", want: []string{"n integer --n"}, more: true},
		"click, unknown options":        {source: "import click\n@click.command(context_settings={'ignore_unknown_options': True})\n@click.option('--n', type=int)\ndef main(): pass\n", want: []string{"n integer --n"}, more: true},
		"click, case does not count":    {source: click + "@click.option('--mode', type=click.Choice(['a'], case_sensitive=False))\ndef main(): pass\n", want: []string{"mode text --mode"}},
		"click, a group":                {source: "import click\n@click.group()\ndef cli(): pass\n@cli.command()\ndef a(): pass\n", unread: "it has sub-commands"},
		"click, two commands":           {source: click + "def a(): pass\n@click.command()\ndef b(): pass\n", unread: "it has several commands"},
		"typer, run": {source: typer + "def main(name: str, n: int = 3, mode: Mode = Mode.slow, force: bool = False, tags: List[str] = [], who: Optional[str] = None): pass\ntyper.run(main)\n", want: []string{
			"name text place needed", "n integer --n default=3", `mode text --mode of=f|s default="s"`, "force boolean --force switch off=--no-force default=false", "tags list --tags repeat default=[]", "who text --who default=null",
		}},
		"typer, an app": {source: typer + "app = typer.Typer()\n@app.command()\ndef main(ctx: typer.Context, day: Annotated[str, typer.Option('--day', '-d', help='which')], level: Annotated[int, typer.Option(min=1, max=9)] = 5, files: List[str] = typer.Argument(...), dry_run: bool = typer.Option(False, '--dry-run'), odd: Unknown = None): pass\n", want: []string{
			"day text --day needed help=which", "level integer --level from=1 to=9 default=5", "files list place words=-1 needed", "dry-run boolean --dry-run switch default=false", "odd any --odd default=null",
		}},
		"typer, two commands":  {source: typer + "app = typer.Typer()\n@app.command()\ndef a(): pass\n@app.command()\ndef b(): pass\n", unread: "it has several commands"},
		"typer, sub-commands":  {source: typer + "app = typer.Typer()\napp.add_typer(other)\n@app.command()\ndef a(): pass\n", unread: "it has sub-commands"},
		"no command line":      {source: "import sys, clicky\nprint(sys.argv)\n"},
		"a class of that name": {source: "class ArgumentParser: pass\nx = 1\n"},
	}
	sources := map[string]string{}
	for name, c := range cases {
		sources[name] = c.source
	}
	scripts := readAll(t, sources)
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			s := scripts[name]
			if s == nil || s.Error != "" {
				t.Fatal(s)
			}
			var got []string
			if s.Options != nil {
				got = []string{}
			}
			for _, in := range s.Options {
				if in.Line == 0 {
					t.Errorf("%s has no line", in.Name)
				}
				got = append(got, describe(in))
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("options (-want +got):\n%s", diff)
			}
			if s.More != c.more || s.Unread != c.unread {
				t.Errorf("got more %v, unread %q; want %v, %q", s.More, s.Unread, c.more, c.unread)
			}
		})
	}
}

// TestWords: values become a command line.
func TestWords(t *testing.T) {
	t.Parallel()
	inputs := []Input{
		{Name: "day", Flag: "--day", Type: TypeText}, {Name: "x", Flag: "-x", Type: TypeText, HasDefault: true},
		{Name: "on", Flag: "--on", Off: "--no-on", Switch: true, Type: TypeBoolean}, {Name: "dry", Flag: "--dry", Switch: true, Type: TypeBoolean},
		{Name: "tag", Flag: "--tag", Repeat: true, Type: TypeList}, {Name: "v", Flag: "-v", Repeat: true, Type: TypeInteger}, {Name: "pos", Flag: "--pos", Words: 2, Type: TypeList},
		{Name: "a", Positional: true, HasDefault: true, Default: []byte(`"one"`), Type: TypeText}, {Name: "b", Positional: true, HasDefault: true, Type: TypeText}, {Name: "c", Positional: true, Words: -1, HasDefault: true, Type: TypeList},
	}
	for name, c := range map[string]struct {
		given  map[string]string
		want   string // words in []
		places string
	}{
		"flags":            {given: map[string]string{"day": "a b", "x": "-1", "dry": "true", "on": "false"}, want: "[--day=a b] [-x-1] [--no-on] [--dry]"},
		"switched off":     {given: map[string]string{"dry": "false", "on": "true", "x": ""}, want: "[-x] [] [--on]"},
		"repeated":         {given: map[string]string{"tag": `["a", 2]`, "v": "3"}, want: "[--tag=a] [--tag=2] [-v] [-v] [-v]"},
		"one is enough":    {given: map[string]string{"tag": "a"}, want: "[--tag=a]"},
		"too often":        {given: map[string]string{"v": "-4"}, want: ""},
		"several words":    {given: map[string]string{"pos": "[1, 2]", "a": "x"}, want: "[--pos] [1] [2] [--] [x]"},
		"places":           {given: map[string]string{"a": "x", "b": "y", "c": `["1", "2"]`}, want: "[x] [y] [1] [2]"},
		"like an option":   {given: map[string]string{"a": "-x"}, want: "[--] [-x]"},
		"a default before": {given: map[string]string{"b": "y"}, want: "[one] [y]"},
		"none before":      {given: map[string]string{"a": "x", "c": "[]"}, want: "[x] []", places: `input "c" needs a value for "b", which comes before it`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got []string
			for _, w := range Words(inputs, c.given) {
				got = append(got, "["+w+"]")
			}
			if text := strings.Join(got, " "); text != c.want {
				t.Errorf("got %s, want %s", text, c.want)
			}
			if _, text := CheckPlaces(inputs, c.given); text != c.places {
				t.Errorf("got %q, want %q", text, c.places)
			}
		})
	}
}
