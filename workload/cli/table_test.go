package cli

import (
	"bytes"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestATableIsAlignedWhateverItsCellsHave(t *testing.T) {
	for _, colour := range []bool{false, true} {
		table := &Table{colour: colour}
		table.Row("Name", "State", "Note")
		table.Row("größer", Good("up"), "")
		table.Row("x\x1b[2Jy\nz", Bad("down"), 3)
		got := table.String()
		if colour {
			if !strings.Contains(got, green+"up"+plain) || !strings.Contains(got, red+"down"+plain) {
				t.Errorf("no colours: %q", got)
			}
			got = strings.NewReplacer(green, "", red, "", plain, "").Replace(got)
		}
		want := "Name          State  Note\ngrößer        up     -\nx\\x1b[2Jy\\nz  down   3\n"
		if got != want {
			t.Errorf("got:\n%s\nwant:\n%s", got, want)
		}
	}
}

// shared is a buffer that two goroutines use.
type shared struct {
	mu sync.Mutex
	bytes.Buffer
}

func (s *shared) Write(text []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.Buffer.Write(text)
}

func (s *shared) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.Buffer.String()
}

func TestProgressShowsAndClearsItsLine(t *testing.T) {
	var out shared
	done := progress(&out, "Waiting", time.Millisecond)
	for deadline := time.Now().Add(30 * time.Second); !regexp.MustCompile(`Waiting, \d+ s`).MatchString(out.String()); {
		if time.Now().After(deadline) {
			t.Fatal("nothing shows")
		}
		time.Sleep(time.Millisecond)
	}
	done()
	done()
	if !strings.HasSuffix(out.String(), "\r\x1b[K") {
		t.Errorf("the line stays: %q", out.String())
	}
	out.Reset()
	progress(&out, "Waiting", time.Hour)()
	if out.String() != "" {
		t.Errorf("what takes no time shows %q", out.String())
	}
}
