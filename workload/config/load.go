package config

import (
	"errors"
	"os"
)

// FileVariable names the configuration file, if no flag does.
const FileVariable = "JIMM_CONFIG_FILE"

// Loaded is a configuration and where each setting came from.
type Loaded struct {
	Config
	// Path is the configuration file's, empty if there is none.
	Path string
	// Settings are all, by name, also those with their defaults.
	Settings []Setting
}

// Load reads the configuration from an environment, in the form of os.Environ,
// and from a file for what is not in it. If path is empty, the environment says
// which file that is, if any. The error lists every problem, one a line; it
// never quotes a secret. Everything that could be read is there with an error,
// too.
func Load(environ []string, path string) (*Loaded, error) {
	v := newVariables(environ)
	named := v.text(FileVariable, "")
	if path == "" {
		path = named
	}
	if path != "" {
		v.path = path
		var err error
		if v.file, err = readFile(path); err != nil {
			// What would seem to be missing may be in it.
			return &Loaded{Path: path}, err
		}
		if v.file[FileVariable] != "" {
			v.fail(FileVariable, "cannot be set in a configuration file")
		}
		v.found(FileVariable, path, FromEnvironment)
	} else {
		delete(v.known, FileVariable)
		v.known[FileVariable] = nil
	}
	c := read(v)
	v.unknown()
	return &Loaded{Config: c, Path: path, Settings: v.settings()}, errors.Join(v.bad...)
}

// Parse is Load without the details.
func Parse(environ []string) (Config, error) {
	l, err := Load(environ, "")
	return l.Config, err
}

// Environment is Parse of the process's environment.
func Environment() (Config, error) { return Parse(os.Environ()) }

// Ignored returns the settings that have no effect, with the reason as a note.
func (l *Loaded) Ignored() []Setting {
	var list []Setting
	for _, s := range l.Settings {
		if s.Note != "" {
			list = append(list, s)
		}
	}
	return list
}

// Changed returns the names of the settings that have another value in next.
func (l *Loaded) Changed(next *Loaded) []string {
	before := map[string]string{}
	for _, s := range l.Settings {
		before[s.Name] = s.raw
	}
	var names []string
	for _, s := range next.Settings {
		if old, ok := before[s.Name]; !ok && s.raw != "" || ok && old != s.raw {
			names = append(names, s.Name)
		}
		delete(before, s.Name)
	}
	for name, old := range before {
		if old != "" {
			names = append(names, name)
		}
	}
	return names
}
