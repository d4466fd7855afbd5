// Command mask measures how fast secrets are masked in ordinary logs, beside a
// masker that looks for whole values only, as most systems do:
//
//	go run ./bench/mask -refline bin/refline
//
// With -refline it also measures that program as a filter: its speed from its start
// to its end, and that its memory does not grow with the log.
//
// Speeds are megabytes per second of processor time, so that other programs on
// the machine do not count. The two do not do the same: the naive one finds no
// piece, no other form and nothing that two writes share.
package main

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"math/rand"
	"os"
	"path/filepath"
	"runtime"
	"text/tabwriter"
	"time"

	"crypto/ed25519"
	"encoding/json"
	"encoding/pem"

	"golang.org/x/crypto/ssh"

	"refline/internal/mask"
)

func main() {
	corpus := flag.String("corpus", "internal/mask/testdata/logs", "folder of logs to read")
	size := flag.Int("size", 512, "megabytes to mask in each measurement")
	chunk := flag.Int("chunk", 32<<10, "bytes in one write")
	program := flag.String("refline", "", "this refline, with 1 GiB of logs in front of it, too")
	flag.Parse()
	var err error
	if *program != "" { // first: a program counts the memory of the one that starts it
		err = runProgram(os.Stdout, *program, *corpus)
	}
	if err == nil {
		err = run(os.Stdout, *corpus, *size, *chunk)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench/mask:", err)
		os.Exit(1)
	}
}

func readLogs(corpus string) ([]byte, error) {
	files, err := filepath.Glob(filepath.Join(corpus, "*.log"))
	if err != nil {
		return nil, err
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("no *.log in %s; run it from the top of the repository", corpus)
	}
	var logs []byte
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			return nil, err
		}
		logs = append(logs, b...)
	}
	return logs, nil
}

func run(out io.Writer, corpus string, megabytes, chunk int) error {
	logs, err := readLogs(corpus)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "%s of logs over and over, writes of %d bytes\n\n", kilobytes(len(logs)), chunk)
	table := tabwriter.NewWriter(out, 0, 8, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "secrets\tmask MB/s\tlines MB/s\tnaive MB/s\tready after\tone more\tmemory of the set\t")
	for _, n := range []int{0, 1, 10, 100, 1000} {
		values, err := secrets(n)
		if err != nil {
			return err
		}
		before := heap()
		start := cpuTime()
		var set mask.Set
		for i, v := range values {
			if err := set.Add(fmt.Sprintf("secret %d", i), v); err != nil {
				return err
			}
		}
		set.Bytes([]byte("the first use compiles the set"))
		ready := cpuTime() - start
		start = cpuTime()
		if err := set.Add("one more", token(rand.New(rand.NewSource(1)), 40)); err != nil {
			return err
		}
		set.Bytes([]byte("compiles what is new"))
		added := cpuTime() - start
		memory := heap() - before
		masked, err := speed(set.Writer(io.Discard), logs, megabytes, chunk)
		if err != nil {
			return err
		}
		lines, err := speed(byLine{set.Writer(io.Discard)}, logs, megabytes/4, chunk)
		if err != nil {
			return err
		}
		plain, err := speed(naive{io.Discard, values}, logs, max(1, megabytes/(1+n)), chunk)
		if err != nil {
			return err
		}
		fmt.Fprintf(table, "%d\t%.0f\t%.0f\t%.0f\t%v\t%v\t%s\t\n", n, masked, lines, plain, ready.Round(10*time.Microsecond), added.Round(10*time.Microsecond), kilobytes(max(0, memory)))
		runtime.KeepAlive(&set)
	}
	return table.Flush()
}

func kilobytes(n int) string { return fmt.Sprintf("%d KB", n/1000) }

func heap() int {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}

// speed returns the megabytes that w takes in a second of processor time.
func speed(w io.Writer, logs []byte, megabytes, chunk int) (float64, error) {
	written := 0
	start := cpuTime()
	for written < megabytes*1e6 {
		for rest := logs; len(rest) > 0; {
			n := min(chunk, len(rest))
			if _, err := w.Write(rest[:n]); err != nil {
				return 0, err
			}
			rest = rest[n:]
			written += n
		}
	}
	return float64(written) / 1e6 / max(1e-9, (cpuTime()-start).Seconds()), nil
}

// byLine writes each line alone, as a job that prints line by line does.
type byLine struct{ w io.Writer }

func (l byLine) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		end := bytes.IndexByte(p, '\n') + 1
		if end == 0 {
			end = len(p)
		}
		if _, err := l.w.Write(p[:end]); err != nil {
			return 0, err
		}
		p = p[end:]
	}
	return n, nil
}

// naive replaces whole values in each write.
type naive struct {
	w      io.Writer
	values [][]byte
}

func (n naive) Write(p []byte) (int, error) {
	b := p
	for _, v := range n.values {
		b = bytes.ReplaceAll(b, v, []byte(mask.Token))
	}
	_, err := n.w.Write(b)
	return len(p), err
}

// secrets returns what a large installation might hold: of each ten, seven
// tokens of 20 to 63 characters, a password of 8 to 15, a key, a file.
func secrets(n int) ([][]byte, error) {
	r := rand.New(rand.NewSource(int64(n)))
	var out [][]byte
	for i := range n {
		switch i % 20 {
		case 1, 11:
			out = append(out, token(r, 8+r.Intn(8)))
		case 2:
			_, key, err := ed25519.GenerateKey(r)
			if err != nil {
				return nil, err
			}
			block, err := ssh.MarshalPrivateKey(key, "deploy@example.com")
			if err != nil {
				return nil, err
			}
			out = append(out, pem.EncodeToMemory(block))
		case 12:
			out = append(out, key(r))
		case 3:
			text, err := json.MarshalIndent(map[string]string{
				"private_key_id": string(token(r, 40)), "private_key": string(key(r)), "client_id": string(token(r, 21)),
			}, "", "  ")
			if err != nil {
				return nil, err
			}
			out = append(out, text)
		case 13:
			out = append(out, fmt.Appendf(nil, "login: %s\nphrase: %s %s\n", token(r, 9), token(r, 12), token(r, 12)))
		default:
			out = append(out, token(r, 20+r.Intn(44)))
		}
	}
	return out, nil
}

// key has the size and randomness of an RSA-2048 key.
func key(r *rand.Rand) []byte {
	der := make([]byte, 1190)
	r.Read(der)
	return pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: der})
}

func token(r *rand.Rand, n int) []byte {
	const alphabet = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
	b := make([]byte, n)
	for i := range b {
		b[i] = alphabet[r.Intn(len(alphabet))]
	}
	return b
}
