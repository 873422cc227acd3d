package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"jimm/workload/estate"
)

// process is one of our children. It speaks JSON lines: each line to it is
// answered by one from it.
type process struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Scanner
}

// startProcess starts one; environment is added to ours.
func startProcess(environment []string, args ...string) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	p := &process{cmd: exec.Command(self, args...)}
	p.cmd.Stderr = os.Stderr
	p.cmd.Env = append(os.Environ(), environment...)
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.out = bufio.NewScanner(out)
	p.out.Buffer(nil, 1<<20)
	return p, p.cmd.Start()
}

// answer is what a process says.
type answer struct {
	Error string `json:",omitempty"`
	// Address is where it serves websockets, host:port, and Keys the URL of the
	// key set.
	Address, Keys string `json:",omitempty"`
	// DSN is JIMM's database.
	DSN string `json:",omitempty"`
	// Controller is the one a simulation started.
	Controller *controllerFacts `json:",omitempty"`
	// Model is the model's UUID, Token a token for it, for Admin.Login.
	Model, Token string `json:",omitempty"`
	// Bytes are the process's resident memory after a garbage collection.
	Bytes int64 `json:",omitempty"`
	// Heap, what is in use there, and Stacks are parts of it; Spans are the heap
	// with the gaps between what is in use.
	Heap, Spans, Stacks int64 `json:",omitempty"`
}

// controllerFacts are how to reach a controller.
type controllerFacts struct {
	Name, UUID, Address, CACert, User, Password string
}

func (c controllerFacts) controller() estate.Controller {
	return estate.Controller{Name: c.Name, UUID: c.UUID, Addresses: []string{c.Address}, CACertificate: c.CACert}
}

// order is what a process is told to do: one of its fields.
type order struct {
	Register *controllerFacts `json:",omitempty"`
	Memory   bool             `json:",omitempty"`
	// Profile starts a CPU profile to a file; a second one, to nowhere, ends it.
	Profile *string `json:",omitempty"`
	// Heap writes a profile of what the heap holds to a file.
	Heap string `json:",omitempty"`
}

func (p *process) read() (answer, error) {
	var a answer
	if !p.out.Scan() {
		return a, fmt.Errorf("process %s has ended", p.cmd.Args[1])
	}
	if err := json.Unmarshal(p.out.Bytes(), &a); err != nil {
		return a, err
	}
	if a.Error != "" {
		return a, errors.New(p.cmd.Args[1] + ": " + a.Error)
	}
	return a, nil
}

func (p *process) tell(o order) (answer, error) {
	if err := json.NewEncoder(p.in).Encode(o); err != nil {
		return answer{}, err
	}
	return p.read()
}

// processor returns how long the process has been running on a processor.
func (p *process) processor() (time.Duration, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	// proc(5): utime and stime are fields 14 and 15, the name before is in brackets.
	fields := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
	var ticks int64
	for _, field := range fields[11:13] {
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return 0, err
		}
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond, nil // Linux counts 100 a second
}

// Close ends the process: it does so when nobody tells it anything any more.
func (p *process) Close() error {
	_ = p.in.Close()
	return p.cmd.Wait()
}

// obey is the other end: it says ready and then does what it is told.
func obey(ready answer, do func(order) (answer, error)) error {
	say := json.NewEncoder(os.Stdout)
	if err := say.Encode(ready); err != nil {
		return err
	}
	hear := json.NewDecoder(os.Stdin)
	for {
		var o order
		if err := hear.Decode(&o); err != nil {
			return nil // the end
		}
		var a answer
		var err error
		if o.Memory {
			a, err = memory()
		} else {
			a, err = do(o)
		}
		if err != nil {
			a = answer{Error: err.Error()}
		}
		if err := say.Encode(a); err != nil {
			return err
		}
	}
}

// memory returns what this process holds when it has cleaned up.
func memory() (answer, error) {
	// The second round frees what the first moved into pools' second line.
	for range 3 {
		runtime.GC()
	}
	debug.FreeOSMemory()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return answer{}, err
	}
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kb, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			return answer{Bytes: kb << 10, Heap: int64(stats.HeapAlloc), Spans: int64(stats.HeapInuse), Stacks: int64(stats.StackInuse)}, err
		}
	}
	return answer{}, errors.New("no VmRSS")
}

// serveUntilClosed serves on l in the background.
func serveUntilClosed(l net.Listener, h http.Handler) *http.Server {
	s := &http.Server{Handler: h}
	go func() { _ = s.Serve(l) }()
	return s
}
