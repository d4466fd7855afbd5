package definition

import (
	"testing"
)

func TestFilesOfPrefect(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ flow, source, want string }{
		"a flow that is called": {"", "from prefect import flow\n@flow\ndef f(): pass\nf()\n", "python3 -m refline --script flows/etl.py"},
		"a flow":                {"", "from prefect import flow\n@flow\ndef f(): pass\nif __name__ == '__main__': f()\n", "python3 -m refline flows/etl.py:f"},
		"one of two":            {"g", "import prefect\n@prefect.flow\ndef f(): pass\n@prefect.flow\ndef g(): pass\n", "python3 -m refline flows/etl.py:g"},
		"flows of another file": {"", "#!/usr/bin/python3 -u\nimport prefect\nimport mine\nmine.f()\n", "python3 -u -m refline --script flows/etl.py"},
		"a block":               {"", "from prefect import Flow\nwith Flow('x') as f:\n    pass\nf.run()\n", "python3 -m refline flows/etl.py"},
		"a block by name":       {"x", "from prefect import Flow\nwith Flow('x') as f:\n    pass\n", "python3 -m refline flows/etl.py:x"},
		"not Prefect":           {"", "import prefectly\nprint('prefect', Flow('x'))\n", "python3 flows/etl.py"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			script, err := readPython(t.Context(), "flows/etl.py", c.flow, []byte(c.source))
			if err != nil {
				t.Fatal(err)
			}
			if script.finding != nil && script.finding.Rule == "untyped-inputs" {
				t.Skipf("python3 is missing: %s", script.finding.Message)
			}
			p, err := scriptPipeline("flows/etl.py", []byte(c.source), nil, script)
			if err != nil {
				t.Fatal(err)
			}
			if got := p.Jobs[0].Script[0]; got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}
