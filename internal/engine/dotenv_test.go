package engine

import (
	"fmt"
	"refline/internal/errs"
	"refline/internal/pipeline"
	"slices"
	"strings"
	"testing"
)

func TestParseDotenv(t *testing.T) {
	t.Parallel()
	many := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, "K%d=%d\n", i, i)
		}
		return b.String()
	}
	for _, c := range []struct {
		name, in string
		want     []pipeline.Variable
		lines    []int // that the error names
		err      string
	}{
		{name: "plain", in: "A=1\nB_2=two words\n", want: []pipeline.Variable{{Name: "A", Value: "1"}, {Name: "B_2", Value: "two words"}}},
		{name: "nothing", in: ""},
		{name: "no newline at the end", in: "A=1", want: []pipeline.Variable{{Name: "A", Value: "1"}}},
		{name: "stripped", in: "  A \t=  1 \r\n", want: []pipeline.Variable{{Name: "A", Value: "1"}}},
		{name: "quotes are literal", in: `A="x"`, want: []pipeline.Variable{{Name: "A", Value: `"x"`}}},
		{name: "first equals sign", in: "A=b=c=", want: []pipeline.Variable{{Name: "A", Value: "b=c="}}},
		{name: "empty value", in: "A=", want: []pipeline.Variable{{Name: "A"}}},
		{name: "the last wins", in: "A=1\nB=2\nA=3", want: []pipeline.Variable{{Name: "A", Value: "3"}, {Name: "B", Value: "2"}}},
		{name: "unicode value", in: "A=日本", want: []pipeline.Variable{{Name: "A", Value: "日本"}}},
		{name: "a digit first", in: "1=x", want: []pipeline.Variable{{Name: "1", Value: "x"}}},
		{name: "all errors", in: "# note\nA=1\n\nnonsense\nB-C=1\n=x\nÜ=1\nD=1", lines: []int{1, 3, 4, 5, 6, 7}},
		{name: "twenty", in: many(20), want: func() (all []pipeline.Variable) {
			for i := range 20 {
				all = append(all, pipeline.Variable{Name: fmt.Sprint("K", i), Value: fmt.Sprint(i)})
			}
			return all
		}()},
		{name: "more than GitLab's default", in: "A=1\n" + many(30), want: append([]pipeline.Variable{{Name: "A", Value: "1"}}, func() (all []pipeline.Variable) {
			for i := range 30 {
				all = append(all, pipeline.Variable{Name: fmt.Sprint("K", i), Value: fmt.Sprint(i)})
			}
			return all
		}()...)},
		{name: "too large", in: "A=" + strings.Repeat("x", dotenvBytes), err: "larger than"},
		{name: "long name", in: strings.Repeat("A", 256) + "=1", lines: []int{1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got, err := ParseDotenv(strings.NewReader(c.in))
			if len(c.lines) == 0 && c.err == "" {
				must(t, err)
				same(t, got, c.want)
				return
			}
			if !errs.Is(err, errs.Invalid) || got != nil {
				t.Fatalf("got %v, %v", got, err)
			}
			for i := 1; i <= 9; i++ {
				named := strings.Contains(err.Error(), fmt.Sprintf("line %d:", i))
				if named != slices.Contains(c.lines, i) {
					t.Errorf("line %d named: %v in %v", i, named, err)
				}
			}
			if !strings.Contains(err.Error(), c.err) {
				t.Errorf("error %v", err)
			}
		})
	}
}

func FuzzParseDotenv(f *testing.F) {
	for _, s := range []string{"A=1\n", "#\n", "=\n", "A=\x00", "\ufeffA=1", "A=1\r\n\r\n"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		vars, err := ParseDotenv(strings.NewReader(text))
		if err != nil {
			if !errs.Is(err, errs.Invalid) || vars != nil {
				t.Fatalf("%v with %v", err, vars)
			}
			return
		}
		// What was read can be written down and read again.
		var b strings.Builder
		for _, v := range vars {
			fmt.Fprintf(&b, "%s=%s\n", v.Name, v.Value)
		}
		again, err := ParseDotenv(strings.NewReader(b.String()))
		must(t, err)
		same(t, again, vars)
	})
}
