package cluster

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
)

// MissingError says that PostgreSQL's server programs are not installed, or
// not those of the version that the data need.
type MissingError struct {
	// Version is the major version wanted; empty means any.
	Version string
}

// Package returns the name of the Debian package that has the programs.
func (e *MissingError) Package() string {
	if e.Version == "" {
		return "postgresql"
	}
	return "postgresql-" + e.Version
}

func (e *MissingError) Error() string {
	what := "PostgreSQL"
	if e.Version != "" {
		what += " " + e.Version
	}
	return fmt.Sprintf("cannot find the server programs of %s (initdb, postgres): run apt-get install %s", what, e.Package())
}

// debianVersions is where Debian and Ubuntu keep the server programs, a folder
// a major version. It is a variable for tests.
var debianVersions = "/usr/lib/postgresql"

type programs struct {
	initdb, postgres string
}

// findPrograms looks in PATH, then where Debian keeps them, highest version
// first. Existing data need the programs of their own major version.
func findPrograms(version string) (programs, error) {
	if version != "" {
		if p, ok := programsIn(filepath.Join(debianVersions, version, "bin")); ok {
			return p, nil
		}
	}
	if initdb, err := exec.LookPath("initdb"); err == nil {
		if resolved, err := filepath.EvalSymlinks(initdb); err == nil {
			if p, ok := programsIn(filepath.Dir(resolved)); ok && (version == "" || p.version() == version) {
				return p, nil
			}
		}
	}
	if version != "" {
		return programs{}, &MissingError{Version: version}
	}
	entries, _ := os.ReadDir(debianVersions)
	var versions []int
	for _, e := range entries {
		if n, err := strconv.Atoi(e.Name()); err == nil {
			versions = append(versions, n)
		}
	}
	slices.Sort(versions)
	for _, v := range slices.Backward(versions) {
		if p, ok := programsIn(filepath.Join(debianVersions, strconv.Itoa(v), "bin")); ok {
			return p, nil
		}
	}
	return programs{}, &MissingError{}
}

func programsIn(dir string) (programs, bool) {
	p := programs{initdb: filepath.Join(dir, "initdb"), postgres: filepath.Join(dir, "postgres")}
	for _, path := range []string{p.initdb, p.postgres} {
		if _, err := exec.LookPath(path); err != nil {
			return programs{}, false
		}
	}
	return p, true
}

// version asks the server program for its major version; empty if it does not say.
func (p programs) version() string {
	out, err := exec.Command(p.postgres, "--version").Output()
	if err != nil {
		return ""
	}
	// "postgres (PostgreSQL) 15.10 (Debian …)"
	var major int
	if _, err := fmt.Sscanf(string(out), "postgres (PostgreSQL) %d", &major); err != nil {
		return ""
	}
	return strconv.Itoa(major)
}
