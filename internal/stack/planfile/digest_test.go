package planfile

import "testing"

func FuzzDecode(f *testing.F) {
	sealed := &Plan{Version: Version, Stack: "landing", StackName: "landing-dev", Changes: []Change{{Effect: EffectAdd, LogicalID: "Bucket"}}}
	if err := sealed.Seal(); err != nil {
		f.Fatal(err)
	}
	text, err := sealed.Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add([]byte(`{"version":2,"changes":null}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		p, err := Decode("f", text)
		if err != nil {
			return
		}
		if ok, err := p.Sealed(); err != nil || !ok {
			t.Errorf("decoded a plan whose digest is not its own")
		}
	})
}
