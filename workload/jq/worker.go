package jq

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"time"

	"github.com/itchyny/gojq"
	"golang.org/x/sys/unix"
)

// workerName is what a process is called that shall be a worker.
const workerName = "jimm-jq"

// A program that links this package becomes a worker when it is called one, so
// that no second program has to be installed where JIMM is.
func init() {
	if len(os.Args) == 1 && os.Args[0] == workerName {
		if err := work(os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
}

// maxResults is how many results one document may give.
const maxResults = 100_000

// work answers an order and the questions after it, until there are no more.
func work(in io.Reader, out io.Writer) error {
	lines, answers := json.NewDecoder(bufio.NewReader(in)), json.NewEncoder(out)
	answers.SetEscapeHTML(false)
	lines.UseNumber() // so that long numbers stay what they are
	var o order
	if err := lines.Decode(&o); err != nil {
		return err
	}
	if err := confine(o.Memory); err != nil {
		return err
	}
	code, err := compile(o.Program)
	if err != nil {
		return answers.Encode(answer{Invalid: err.Error()})
	}
	if err := answers.Encode(answer{}); err != nil {
		return err
	}
	for {
		var q struct {
			Key      string `json:"key"`
			Document any    `json:"document"`
		}
		if err := lines.Decode(&q); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if err := answers.Encode(run(code, q.Key, q.Document, o.Patience)); err != nil {
			return err
		}
	}
}

// confine bounds the memory of this process. What the program itself has
// mapped by now is small against it.
func confine(memory int) error {
	debug.SetMemoryLimit(int64(memory) * 3 / 4)
	debug.SetMaxStack(memory / 4)
	if err := unix.Setrlimit(unix.RLIMIT_DATA, &unix.Rlimit{Cur: uint64(memory), Max: uint64(memory)}); err != nil {
		return fmt.Errorf("cannot bound the memory: %w", err)
	}
	return nil
}

// compile gives a program no way to the environment, to files or to modules.
func compile(program string) (*gojq.Code, error) {
	query, err := gojq.Parse(program)
	if err != nil {
		return nil, fmt.Errorf("not a jq program: %w", err)
	}
	code, err := gojq.Compile(query)
	if err != nil {
		return nil, fmt.Errorf("not a jq program: %w", err)
	}
	return code, nil
}

func run(code *gojq.Code, key string, document any, patience time.Duration) answer {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	a := answer{Key: key}
	results := code.RunWithContext(ctx, document)
	for {
		value, more := results.Next()
		if !more {
			return a
		}
		if err, failed := value.(error); failed {
			var halt *gojq.HaltError
			if errors.As(err, &halt) && halt.Value() == nil {
				return a
			}
			a.Error = err.Error()
			if ctx.Err() != nil {
				a.Error = "the query has taken too long"
			}
			return a
		}
		if len(a.Results) == maxResults {
			a.Error = fmt.Sprintf("the query finds more than %d results", maxResults)
			return a
		}
		text, err := gojq.Marshal(value)
		if err != nil {
			a.Error = err.Error()
			return a
		}
		a.Results = append(a.Results, text)
	}
}
