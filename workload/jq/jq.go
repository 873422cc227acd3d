// Package jq runs jq programs of users, which may never end or want all memory
// there is. Each runs in a process of its own, a copy of this program, with a
// bound to its memory and nothing of our environment; the process is killed
// when its time is over.
package jq

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"
	"unicode"

	"jimm/workload/estate"
)

// Runner implements estate.Queries. The zero value is ready for use.
type Runner struct {
	// Memory is what a program may have, in bytes (default 256 MB).
	Memory int
	// Results is what a program may print, in bytes (default 32 MB).
	Results int
	// AtOnce is how many programs run at the same time (default 4); others wait.
	AtOnce int

	once  sync.Once
	slots chan struct{}
}

var _ estate.Queries = (*Runner)(nil)

// order is the first line that a worker reads.
type order struct {
	Program string `json:"program"`
	// Patience is what the program may take for one document.
	Patience time.Duration `json:"patience"`
	Memory   int           `json:"memory"`
}

// question and answer are the further lines in and out.
type question struct {
	Key      string          `json:"key"`
	Document json.RawMessage `json:"document"`
}

type answer struct {
	Key     string            `json:"key"`
	Results []json.RawMessage `json:"results,omitempty"`
	Error   string            `json:"error,omitempty"`
	// Invalid is set instead of all else if the program is none.
	Invalid string `json:"invalid,omitempty"`
}

// Check implements estate.Queries.
func (r *Runner) Check(ctx context.Context, program string) error {
	none := make(chan estate.QueryDocument)
	close(none)
	return r.Run(ctx, program, time.Second, none, nil)
}

// Run implements estate.Queries.
func (r *Runner) Run(ctx context.Context, program string, patience time.Duration, documents <-chan estate.QueryDocument, found func(estate.QueryResult)) error {
	err := r.run(ctx, program, patience, documents, found)
	if err != nil && estate.CodeOf(err) == "" && ctx.Err() != nil { // wherever that has hit it
		return estate.Errorf(estate.CodeBadRequest, "the query has taken too long")
	}
	return err
}

func (r *Runner) run(ctx context.Context, program string, patience time.Duration, documents <-chan estate.QueryDocument, found func(estate.QueryResult)) error {
	r.once.Do(func() {
		if r.Memory <= 0 {
			r.Memory = 256 << 20
		}
		if r.Results <= 0 {
			r.Results = 32 << 20
		}
		if r.AtOnce <= 0 {
			r.AtOnce = 4
		}
		r.slots = make(chan struct{}, r.AtOnce)
	})
	select {
	case r.slots <- struct{}{}:
		defer func() { <-r.slots }()
	case <-ctx.Done():
		return ctx.Err()
	}
	w, err := start(ctx, order{Program: program, Patience: patience, Memory: r.Memory})
	if err != nil {
		return fmt.Errorf("cannot run the query: %w", err)
	}
	defer w.stop()
	if _, err := w.answer(r.Results); err != nil { // of the program itself
		return w.explain(err)
	}
	left := r.Results
	for d := range documents {
		a, err := w.ask(question{d.Key, d.Document}, left)
		if err != nil {
			return w.explain(err)
		}
		for _, result := range a.Results {
			left -= len(result)
		}
		found(estate.QueryResult{Key: a.Key, Results: a.Results, Error: a.Error})
	}
	return nil
}

// worker is a process that runs one program.
type worker struct {
	command *exec.Cmd
	in      io.WriteCloser
	out     *bufio.Reader
	errors  bytes.Buffer
}

func start(ctx context.Context, o order) (*worker, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	w := &worker{command: exec.CommandContext(ctx, self)}
	w.command.Args = []string{workerName}
	w.command.Env = []string{"GOMAXPROCS=1"}
	w.command.Dir = "/"
	w.command.Stderr = &limited{&w.errors, 4 << 10}
	if w.in, err = w.command.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := w.command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	w.out = bufio.NewReader(out)
	if err := w.command.Start(); err != nil {
		return nil, err
	}
	if err := w.send(o); err != nil {
		w.stop()
		return nil, err
	}
	return w, nil
}

func (w *worker) send(line any) error {
	text, err := json.Marshal(line)
	if err != nil {
		return err
	}
	_, err = w.in.Write(append(text, '\n'))
	return err
}

func (w *worker) ask(q question, limit int) (answer, error) {
	if err := w.send(q); err != nil {
		return answer{}, err
	}
	return w.answer(limit)
}

var errTooLong = errors.New("too long")

// answer reads a line of at most so many bytes.
func (w *worker) answer(limit int) (answer, error) {
	var line []byte
	for {
		part, err := w.out.ReadSlice('\n')
		line = append(line, part...)
		if len(line) > limit+1024 {
			return answer{}, errTooLong
		}
		if err == nil {
			break
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return answer{}, err
		}
	}
	var a answer
	if err := json.Unmarshal(line, &a); err != nil {
		return answer{}, err
	}
	if a.Invalid != "" {
		return answer{}, estate.Errorf(estate.CodeBadRequest, "%s", plain(a.Invalid))
	}
	return a, nil
}

// plain puts marks in place of the control characters that an error cites.
func plain(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return unicode.ReplacementChar
		}
		return r
	}, text)
}

func (w *worker) stop() {
	_ = w.in.Close()
	_ = w.command.Process.Kill()
	_ = w.command.Wait()
}

// explain says why a worker has no answer.
func (w *worker) explain(err error) error {
	switch {
	case estate.CodeOf(err) != "":
		return err
	case errors.Is(err, errTooLong):
		return estate.Errorf(estate.CodeTooLarge, "the query finds more than can be sent")
	}
	// It is gone: its errors are complete when it has been waited for.
	_ = w.command.Process.Kill()
	_ = w.command.Wait()
	if bytes.Contains(w.errors.Bytes(), []byte("out of memory")) || bytes.Contains(w.errors.Bytes(), []byte("stack exceeds")) ||
		bytes.Contains(w.errors.Bytes(), []byte("cannot allocate")) {
		return estate.Errorf(estate.CodeTooLarge, "the query takes too much memory")
	}
	return fmt.Errorf("cannot run the query: %w: %s", err, w.errors.Bytes())
}

// limited writes what there is room for, and forgets the rest.
type limited struct {
	buffer *bytes.Buffer
	room   int
}

func (l *limited) Write(text []byte) (int, error) {
	kept := text[:min(len(text), l.room)]
	l.room -= len(kept)
	_, _ = l.buffer.Write(kept)
	return len(text), nil
}
