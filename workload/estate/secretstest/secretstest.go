// Package secretstest is what every estate.ListedSecrets must pass.
package secretstest

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"jimm/workload/estate"
)

// Run tests the secrets that open gives. They must be empty, and may be the
// same in each subtest, which all use paths of their own.
func Run(t *testing.T, open func(t *testing.T) estate.ListedSecrets) {
	t.Run("what is put comes back, and only its last value", func(t *testing.T) {
		s := open(t)
		put(t, s, "a/value", map[string]string{"old": "1", "gone": "2"})
		for name, value := range map[string]map[string]string{
			"one":       {"username": "admin", "password": "hunter2"},
			"empty":     {},
			"odd texts": {"": "empty name", "quotes\"\\": "line\nbreak\x00NUL", "ünïcode": "☃ </script>", "%2F": "a=b&c"},
			"large":     {"file": strings.Repeat("0123456789abcdef", 16<<10)},
		} {
			put(t, s, "a/value", value)
			got, err := s.Get(t.Context(), "a/value")
			if err != nil || got == nil || !maps.Equal(got, value) {
				t.Errorf("%s: it comes back with %d keys and error %v", name, len(got), err)
			}
		}
	})
	t.Run("what is not there is not found", func(t *testing.T) {
		s := open(t)
		put(t, s, "b/parent/child", map[string]string{"k": "v"})
		for _, path := range []string{"b/nothing", "b/parent", "b", "b/parent/child/below"} {
			if _, err := s.Get(t.Context(), path); !estate.Is(err, estate.CodeNotFound) {
				t.Errorf("%s: error %v has code %q", path, err, estate.CodeOf(err))
			}
			if value, version, err := s.GetVersion(t.Context(), path); value != nil || version != 0 || err != nil {
				t.Errorf("%s: GetVersion gives %v, %d, %v", path, value, version, err)
			}
		}
	})
	t.Run("deleting leaves nothing, and again is no error", func(t *testing.T) {
		s := open(t)
		put(t, s, "c/kept", map[string]string{"k": "kept"})
		put(t, s, "c/gone", map[string]string{"k": "1"})
		put(t, s, "c/gone", map[string]string{"k": "2"})
		for range 2 {
			if err := s.Delete(t.Context(), "c/gone"); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := s.Get(t.Context(), "c/gone"); !estate.Is(err, estate.CodeNotFound) {
			t.Errorf("Get after Delete gives %v", err)
		}
		if got, err := s.Get(t.Context(), "c/kept"); err != nil || got["k"] != "kept" {
			t.Errorf("its neighbour is %v, %v", got, err)
		}
		if ok, err := s.PutIfVersion(t.Context(), "c/gone", 0, map[string]string{"k": "3"}); !ok || err != nil {
			t.Errorf("putting it as new gives %v, %v", ok, err)
		}
	})
	t.Run("any text is a path, and no two are the same", func(t *testing.T) {
		s := open(t)
		paths := []string{
			"d/plain", "d/Plain", "d/plain ", "d/%70lain", "d/plain%2Fmore", "d/plain/more", "d/..", "d/.", "d/../up",
			"d/user@example.com", "d/ü☃", "d/u\u0308", "d/nul\x00", "d/new\nline", "d/\xff\xfe", "d/?q#f", "d/+", "d/ ", "d/data",
			"d/" + strings.Repeat("long", 60),
		}
		for i, path := range paths {
			put(t, s, path, map[string]string{"n": strconv.Itoa(i)})
		}
		for i, path := range paths {
			if got, err := s.Get(t.Context(), path); err != nil || got["n"] != strconv.Itoa(i) {
				t.Errorf("%q has %v, want %d, error %v", path, got, i, err)
			}
		}
		var listed []string
		if err := s.Paths(t.Context(), func(path string) error { listed = append(listed, path); return nil }); err != nil {
			t.Fatal(err)
		}
		listed = slices.DeleteFunc(listed, func(path string) bool { return !strings.HasPrefix(path, "d/") })
		slices.Sort(listed)
		slices.Sort(paths)
		if !slices.Equal(listed, paths) {
			t.Errorf("listed are %q, want %q", listed, paths)
		}
	})
	t.Run("all can be listed and deleted at once, or until it fails", func(t *testing.T) {
		s := open(t)
		const many = 1100
		for i := range many {
			put(t, s, fmt.Sprintf("h/%d/%d", i%10, i), map[string]string{"k": "v"})
		}
		enough := errors.New("enough")
		if err := s.Paths(t.Context(), func(string) error { return enough }); !errors.Is(err, enough) {
			t.Errorf("Paths gives %v, want what its function gave", err)
		}
		deleted := 0
		for again := true; again; {
			again = false
			err := s.Paths(t.Context(), func(path string) error {
				if !strings.HasPrefix(path, "h/") {
					return nil
				}
				again = true
				deleted++
				return s.Delete(t.Context(), path)
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		if deleted != many {
			t.Errorf("%d of %d were listed and deleted", deleted, many)
		}
	})
	t.Run("a path that is none is refused with a code", func(t *testing.T) {
		s := open(t)
		for name, path := range map[string]string{
			"empty": "", "only a slash": "/", "leading slash": "/e", "trailing slash": "e/", "empty segment": "e//f",
			"too long": "e/" + strings.Repeat("x", 10_000),
		} {
			_, getErr := s.Get(t.Context(), path)
			for call, err := range map[string]error{
				"Put": s.Put(t.Context(), path, map[string]string{"k": "hunter2"}), "Get": getErr, "Delete": s.Delete(t.Context(), path),
			} {
				if code := estate.CodeOf(err); code != estate.CodeBadRequest && code != estate.CodeNotValid {
					t.Errorf("%s: %s gives error %v with code %q", name, call, err, code)
				} else if strings.Contains(err.Error(), "hunter2") || len(err.Error()) > 500 {
					t.Errorf("%s: %s gives an error that is no text for a client", name, call)
				}
			}
		}
	})
	t.Run("a version is put once", func(t *testing.T) {
		s := open(t)
		swap := func(version int, want bool) int {
			t.Helper()
			ok, err := s.PutIfVersion(t.Context(), "f/key", version, map[string]string{"after": string(rune('0' + version))})
			if ok != want || err != nil {
				t.Fatalf("PutIfVersion %d gives %v, %v", version, ok, err)
			}
			value, now, err := s.GetVersion(t.Context(), "f/key")
			if err != nil {
				t.Fatal(err)
			}
			if want && value["after"] != string(rune('0'+version)) {
				t.Fatalf("after it the value is %v", value)
			}
			return now
		}
		first := swap(0, true)
		swap(0, false)
		second := swap(first, true)
		swap(first, false)
		put(t, s, "f/key", map[string]string{"k": "plain put"})
		swap(second, false)
		if got, err := s.Get(t.Context(), "f/key"); err != nil || got["k"] != "plain put" {
			t.Errorf("a refused put changed the value to %v, %v", got, err)
		}
	})
	t.Run("of many at once, one creates and all write", func(t *testing.T) {
		s := open(t)
		const writers = 12
		var created atomic.Int32
		var all sync.WaitGroup
		for i := range writers {
			all.Go(func() {
				ok, err := s.PutIfVersion(t.Context(), "g/created", 0, map[string]string{"by": string(rune('a' + i))})
				if err != nil {
					t.Error(err)
				}
				if ok {
					created.Add(1)
				}
				if err := s.Put(t.Context(), "g/written", map[string]string{"by": string(rune('a' + i))}); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if n := created.Load(); n != 1 {
			t.Errorf("%d writers created the secret", n)
		}
		if got, err := s.Get(t.Context(), "g/written"); err != nil || len(got["by"]) != 1 {
			t.Errorf("the secret all wrote is %v, %v", got, err)
		}
	})
}

func put(t *testing.T, s estate.Secrets, path string, value map[string]string) {
	t.Helper()
	if err := s.Put(t.Context(), path, value); err != nil {
		t.Fatalf("cannot put %q: %v", path, err)
	}
}
