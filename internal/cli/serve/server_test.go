package serve

import (
	"net"
	"testing"
)

func TestHereAddress(t *testing.T) {
	t.Parallel()
	for addr, want := range map[string]string{
		"[::]:7400":      "127.0.0.1:7400",
		"0.0.0.0:7400":   "127.0.0.1:7400",
		"127.0.0.1:1":    "127.0.0.1:1",
		"[::1]:7400":     "[::1]:7400",
		"10.1.2.3:7400":  "10.1.2.3:7400",
		"[fd00::2]:7400": "[fd00::2]:7400",
	} {
		a, err := net.ResolveTCPAddr("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		if got := hereAddress(a); got != want {
			t.Errorf("%s: got %s, want %s", addr, got, want)
		}
	}
}
