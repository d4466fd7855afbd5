package artifact

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"refline/internal/workspace"
)

// Names are what a job made of them. Those that are not paths inside of the artifacts are
// counted and never shown.
func TestListFolder(t *testing.T) {
	t.Parallel()
	files := []workspace.File{
		{Path: "/etc/passwd"}, {Path: "../up"}, {Path: "a/../../up"}, {Path: "a//b"}, {Path: "./a"}, {Path: "a/"}, {Path: ""}, {Path: "."}, {Path: "nul\x00"},
		{Path: "out/b.txt", Size: 3}, {Path: "out/deep/er/c.txt", Size: 4}, {Path: "out/deep/d.txt", Size: 5}, {Path: "out.txt", Size: 1},
		{Path: "link", Link: "/etc/passwd"}, {Path: "<img src=x>.txt", Size: 2},
	}
	for folder, want := range map[string][]Entry{
		"": {
			{Name: "out", Path: "out", Dir: true, Files: 3, Size: 12}, {Name: "<img src=x>.txt", Path: "<img src=x>.txt", Size: 2},
			{Name: "link", Path: "link", Link: "/etc/passwd"}, {Name: "out.txt", Path: "out.txt", Size: 1},
		},
		"out":      {{Name: "deep", Path: "out/deep", Dir: true, Files: 2, Size: 9}, {Name: "b.txt", Path: "out/b.txt", Size: 3}},
		"out/deep": {{Name: "er", Path: "out/deep/er", Dir: true, Files: 1, Size: 4}, {Name: "d.txt", Path: "out/deep/d.txt", Size: 5}},
		"ou":       nil, "..": nil, "/": nil, "/etc": nil, "out/../out": nil, "out.txt": nil,
	} {
		got, hidden := ListFolder(files, folder)
		if diff := cmp.Diff(want, got); diff != "" || hidden != 9 {
			t.Errorf("%q: %d hidden\n%s", folder, hidden, diff)
		}
	}
}

func TestListFolderOfMany(t *testing.T) {
	t.Parallel()
	var files []workspace.File
	for i := range 100_000 {
		files = append(files, workspace.File{Path: fmt.Sprintf("d%03d/f%05d", i%100, i), Size: 2})
	}
	top, _ := ListFolder(files, "")
	if len(top) != 100 || top[7].Files != 1000 || top[7].Size != 2000 {
		t.Errorf("%d folders, the eighth is %+v", len(top), top[7])
	}
	if in, _ := ListFolder(files, "d007"); len(in) != 1000 || in[0].Name != "f00007" {
		t.Errorf("%d files in a folder", len(in))
	}
}
