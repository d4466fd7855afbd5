package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"text/tabwriter"
)

// runProgram puts logs in front of "refline mask" and prints how fast it masks them
// and the most memory that it took.
func runProgram(out io.Writer, program, corpus string) error {
	logs, err := readLogs(corpus)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "refline-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	fmt.Fprintf(out, "refline mask as a filter\n\n")
	table := tabwriter.NewWriter(out, 0, 8, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "secrets\tlog\tMB/s\tmost memory\t")
	for _, n := range []int{1, 100} {
		values, err := secrets(n)
		if err != nil {
			return err
		}
		var args []string
		for i, v := range values {
			file := filepath.Join(dir, fmt.Sprint(i))
			if err := os.WriteFile(file, v, 0o600); err != nil {
				return err
			}
			args = append(args, "--file", file)
		}
		for _, size := range []int64{16 << 20, 1 << 30} {
			cmd := exec.Command(program, append([]string{"mask"}, args...)...)
			cmd.Stdin, cmd.Stderr = io.LimitReader(&endless{text: logs}, size), os.Stderr
			if err := cmd.Run(); err != nil {
				return fmt.Errorf("%s mask: %w", program, err)
			}
			cpu := cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
			fmt.Fprintf(table, "%d\t%d MiB\t%.0f\t%s\t\n", n, size>>20, float64(size)/1e6/max(1e-9, cpu.Seconds()), kilobytes(maxMemory(cmd.ProcessState)))
		}
	}
	if err := table.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(out)
	return nil
}

// endless gives a text over and over.
type endless struct {
	text []byte
	rest bytes.Reader
}

func (e *endless) Read(p []byte) (int, error) {
	if e.rest.Len() == 0 {
		e.rest.Reset(e.text)
	}
	return e.rest.Read(p)
}
