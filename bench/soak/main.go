//go:build unix

// Command soak runs random pipelines on real servers and runners while it kills and
// stops them, loses their calls and fills their disk, and then looks whether
// everything is as the servers said: each run that was acknowledged has ended, no
// attempt ran twice, logs are whole, the rules of "refline server check" hold, and
// no process of a job is left. It goes on, round after round, until the time is over.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"

	"refline/internal/api"
	"refline/internal/store/storetest"
)

func main() {
	program := flag.String("refline", "bin/refline", "the program")
	total := flag.Duration("time", 10*time.Minute, "how long")
	round := flag.Duration("round", 2*time.Minute, "how long faults are made before everything is looked at")
	postgres := flag.String("postgres", "", "URL of a PostgreSQL whose user may create databases: three servers on it; without, one on SQLite")
	seed := flag.Uint64("seed", uint64(time.Now().UnixNano()), "of the graphs and faults")
	flag.Parse()
	if err := run(*program, *postgres, *seed, *total, *round); err != nil {
		fmt.Fprintln(os.Stderr, "soak:", err)
		os.Exit(1)
	}
}

// markVariable is in the environment of every process of a job.
const markVariable = "REFLINE_SOAK_MARK"

type soak struct {
	dir, disk string // disk is a small one if that can be had, else dir
	small     bool
	program   string
	database  string
	mark      string
	random    *rand.Rand
	servers   []*server
	runners   []*process
	flows     []api.Flow

	mu           sync.Mutex
	acknowledged []int64 // runs of this round
	acted        map[string]int
}

func run(program, postgres string, seed uint64, total, round time.Duration) (err error) {
	s := &soak{random: rand.New(rand.NewPCG(seed, 1)), mark: fmt.Sprintf("soak-%d", os.Getpid()), acted: map[string]int{}}
	if s.program, err = filepath.Abs(program); err != nil {
		return err
	}
	if s.dir, err = os.MkdirTemp("", "refline-soak-"); err != nil {
		return err
	}
	fmt.Printf("seed %d, folder %s\n", seed, s.dir)
	count := 1
	if postgres != "" {
		address, drop, err := storetest.NewPostgres(postgres)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, drop()) }()
		s.database, count = address, 3
	}
	err = s.begin(count)
	for began, n := time.Now(), 1; err == nil && (n == 1 || time.Since(began) < total); n++ {
		err = s.round(n, round)
	}
	s.end(err != nil)
	if err != nil {
		return fmt.Errorf("%w\nwhat is left is in %s", err, s.dir)
	}
	return os.RemoveAll(s.dir)
}

// begin starts servers and runners and registers the graphs.
func (s *soak) begin(servers int) error {
	for _, name := range []string{"home", "tmp", "disk"} {
		if err := os.Mkdir(filepath.Join(s.dir, name), 0o755); err != nil {
			return err
		}
	}
	s.disk = filepath.Join(s.dir, "disk")
	// A full disk needs a small one, which only root may make.
	s.small = exec.Command("mount", "-t", "tmpfs", "-o", "size=1g", "tmpfs", s.disk).Run() == nil
	if !s.small {
		fmt.Println("no tmpfs can be mounted: the disk is never full")
	}
	if err := s.writeGraphs(s.random); err != nil {
		return err
	}
	for i := range servers {
		v, err := s.startServer(i)
		if err != nil {
			return err
		}
		s.servers = append(s.servers, v)
	}
	for i := range 3 {
		r, err := s.startRunner(i)
		if err != nil {
			return err
		}
		s.runners = append(s.runners, r)
	}
	for i := range flowCount {
		f, err := s.servers[0].client.RegisterFlow(context.Background(), api.FlowInput{
			Repository: s.repository(), Path: fmt.Sprintf("flow%d.yml", i), RefKind: "branch", Ref: "main"})
		if err != nil {
			return err
		}
		s.flows = append(s.flows, f.Flow)
	}
	return nil
}

// round makes runs and faults for a while, heals everything, and looks at it.
func (s *soak) round(n int, d time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	s.acknowledged, s.acted = nil, map[string]int{}
	for _, v := range s.servers {
		v.proxy.share.Store(15)
	}
	var group sync.WaitGroup
	for range 3 {
		random := rand.New(rand.NewPCG(s.random.Uint64(), 2))
		group.Go(func() { s.person(ctx, random) })
	}
	var fault error
	group.Go(func() { fault = s.makeFaults(ctx, rand.New(rand.NewPCG(s.random.Uint64(), 3))) })
	group.Wait()
	if fault != nil {
		return fault
	}
	lost := int64(0)
	for _, v := range s.servers {
		v.proxy.share.Store(0)
		lost += v.proxy.count.Swap(0)
	}
	s.acted["calls lost, doubled or late"] = int(lost)
	found, err := s.verify()
	if err != nil {
		return fmt.Errorf("round %d: %w; %v", n, err, s.acted)
	}
	fmt.Printf("round %d: %s; %v\n", n, found, s.acted)
	return nil
}

func (s *soak) note(what string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.acted[what]++
}

// end ends all that was started. What a small disk has is kept to be read after a
// failure.
func (s *soak) end(keep bool) {
	for _, r := range s.runners {
		r.kill()
	}
	for _, v := range s.servers {
		v.kill()
	}
	for _, pid := range s.jobProcesses() {
		if p, err := os.FindProcess(pid); err == nil {
			_ = p.Kill()
		}
	}
	if s.small {
		if keep {
			_ = exec.Command("cp", "-r", s.disk, filepath.Join(s.dir, "kept")).Run()
		}
		_ = exec.Command("umount", "-l", s.disk).Run()
	}
}
