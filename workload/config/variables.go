package config

import (
	"cmp"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Source says where a setting comes from.
type Source string

// The sources of settings; the first that has one wins.
const (
	FromEnvironment Source = "environment"
	FromSecretFile  Source = "file of its own" // NAME_FILE
	FromFile        Source = "configuration file"
	FromDefault     Source = "default"
)

// Setting is a variable and what it was found to be.
type Setting struct {
	Name string `json:"name"`
	// Value is masked if it is a secret.
	Value  string `json:"value"`
	Source Source `json:"source"`
	// Secret settings can also be given as NAME_FILE, the path of a file.
	Secret bool `json:"secret,omitempty"`
	// Note says why a setting has no effect here.
	Note string `json:"note,omitempty"`

	raw string
}

// variables reads settings from an environment, and from a file for what is
// not in it, and collects what is wrong.
type variables struct {
	env, file map[string]string
	// path is the configuration file's.
	path  string
	known map[string]*Setting
	bad   []error
}

func newVariables(environ []string) *variables {
	v := &variables{env: map[string]string{}, known: map[string]*Setting{}}
	for _, pair := range environ {
		name, value, _ := strings.Cut(pair, "=")
		v.env[name] = value
	}
	return v
}

// longest is the most that is said about a setting, in bytes: it may quote a value.
const longest = 500

func (v *variables) fail(name, format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if len(text) > longest {
		text = strings.ToValidUTF8(text[:longest], "") + "..."
	}
	v.bad = append(v.bad, fmt.Errorf("%s %s", name, text))
}

// text is a setting that everyone may see.
func (v *variables) text(name, fallback string) string {
	if s := v.env[name]; s != "" {
		return v.found(name, s, FromEnvironment)
	}
	if s := v.file[name]; s != "" {
		return v.found(name, s, FromFile)
	}
	return v.found(name, fallback, FromDefault)
}

func (v *variables) found(name, value string, source Source) string {
	v.known[name] = &Setting{Name: name, Value: value, Source: source, raw: value}
	return value
}

// secret is a setting that nobody may see; it can be in a file, whose path is
// in NAME_FILE.
func (v *variables) secret(name string) string {
	path := v.text(name+"_FILE", "")
	s := v.text(name, "")
	setting := v.known[name]
	if path != "" {
		if s != "" {
			v.fail(name, "and %s_FILE are both set: keep one", name)
		}
		b, err := os.ReadFile(path)
		switch s = strings.TrimRight(string(b), "\r\n"); {
		case err != nil:
			v.fail(name+"_FILE", "cannot be used: %v", err)
		case s == "":
			v.fail(name+"_FILE", "cannot be used: %s is empty", path)
		}
		setting.raw, setting.Source = s, FromSecretFile
	} else {
		delete(v.known, name+"_FILE")
	}
	setting.Secret = true
	if s != "" {
		setting.Value = mask
	}
	return s
}

const mask = "********"

// maskedDSN is a connection string without its password.
func maskedDSN(dsn string) string {
	if rest, ok := strings.CutPrefix(dsn, "pgx:"); ok {
		return "pgx:" + strings.TrimPrefix(maskedDSN("postgres:"+rest), "postgres:")
	}
	if !strings.Contains(dsn, "://") {
		return passwordInWords.ReplaceAllString(dsn, "${1}"+mask)
	}
	u, err := url.Parse(dsn)
	if err != nil || u.Query().Has("password") || u.Query().Has("sslpassword") {
		return mask
	}
	return strings.Replace(u.Redacted(), ":xxxxx@", ":"+mask+"@", 1)
}

var passwordInWords = regexp.MustCompile(`(\b(?:ssl)?password\s*=\s*)('(?:[^'\\]|\\.)*'|\S+)`)

func (v *variables) required(name, what string) string { return v.need(name, what, v.text(name, "")) }

func (v *variables) requiredSecret(name, what string) string {
	return v.need(name, what, v.secret(name))
}

func (v *variables) need(name, what, value string) string {
	if value == "" {
		v.fail(name, "is missing: set it to %s", what)
	}
	return value
}

// prefixes reads networks; an address alone is one.
func (v *variables) prefixes(name string) []netip.Prefix {
	var list []netip.Prefix
	for _, word := range v.words(name) {
		if a, err := netip.ParseAddr(word); err == nil {
			list = append(list, netip.PrefixFrom(a, a.BitLen()))
			continue
		}
		p, err := netip.ParsePrefix(word)
		if err != nil {
			v.fail(name, "must be addresses and networks such as 10.1.0.0/16, not %q", word)
			continue
		}
		list = append(list, p)
	}
	return list
}

func (v *variables) words(name string) []string { return strings.Fields(v.text(name, "")) }

// level is one of slog's, or of those that JIMM elsewhere has.
func (v *variables) level(name string) slog.Level {
	s := v.text(name, "info")
	for _, level := range []struct {
		names string
		slog.Level
	}{
		{"debug", slog.LevelDebug}, {"info", slog.LevelInfo}, {"warn warning", slog.LevelWarn}, {"error dpanic panic fatal", slog.LevelError},
	} {
		if slices.Contains(strings.Fields(level.names), strings.ToLower(s)) {
			return level.Level
		}
	}
	v.fail(name, "must be debug, info, warn or error, not %q", s)
	return slog.LevelInfo
}

func (v *variables) boolean(name string) bool {
	s := v.text(name, "false")
	b, err := strconv.ParseBool(s)
	if err != nil {
		v.fail(name, "must be true or false, not %q", s)
	}
	return b
}

// count reads a number that may be 0.
func (v *variables) count(name string, fallback int) int {
	n, err := strconv.Atoi(v.text(name, strconv.Itoa(fallback)))
	if err != nil || n < 0 {
		v.fail(name, "must be a number, or 0 for no limit")
		return fallback
	}
	return n
}

func (v *variables) duration(name string, fallback time.Duration) time.Duration {
	written := ""
	if fallback > 0 {
		written = shortDuration(fallback)
	}
	s := v.text(name, written)
	if s == written {
		return fallback
	}
	d, err := time.ParseDuration(s)
	if err != nil || d <= 0 {
		v.fail(name, "must be a positive duration such as 5m or 6h, not %q", s)
	}
	return d
}

// shortDuration is 6h where time.Duration writes 6h0m0s.
func shortDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// without takes a setting that JIMM elsewhere has, and that means nothing here;
// why says so to people.
func (v *variables) without(name, why string) {
	if v.text(name, "") == "" {
		delete(v.known, name)
		v.known[name] = nil // known, and not set
		return
	}
	// Some of them are secrets elsewhere.
	v.known[name].Value, v.known[name].Note = mask, why
}

// settings returns what was found, by name.
func (v *variables) settings() []Setting {
	var list []Setting
	for _, s := range v.known {
		if s != nil {
			list = append(list, *s)
		}
	}
	slices.SortFunc(list, func(a, b Setting) int { return cmp.Compare(a.Name, b.Name) })
	return list
}

// unknown reports variables that look like ours and are not, each with the
// nearest right one: a misspelt setting must not be passed over in silence. In
// a configuration file everything is.
func (v *variables) unknown() {
	for name, value := range v.env {
		if !strings.HasPrefix(name, "JIMM_") && !strings.HasPrefix(name, "OPENFGA_") || v.isKnown(name) {
			continue
		}
		// Kubernetes makes such variables for services of the same name.
		if strings.Contains(name, "_PORT_") || strings.Contains(name, "_SERVICE_") || strings.HasSuffix(name, "_PORT") && strings.Contains(value, "://") {
			continue
		}
		v.fail(name, "is not a setting%s", v.nearest(name))
	}
	for name := range v.file {
		if !v.isKnown(name) {
			v.fail(name, "in %s is not a setting%s", v.path, v.nearest(name))
		}
	}
	slices.SortFunc(v.bad, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
}

func (v *variables) isKnown(name string) bool {
	if _, ok := v.known[name]; ok {
		return true
	}
	secret, ok := v.known[strings.TrimSuffix(name, "_FILE")]
	return ok && secret != nil && secret.Secret && strings.HasSuffix(name, "_FILE")
}

func (v *variables) nearest(name string) string {
	best, distance := "", 4
	for _, known := range slices.Sorted(maps.Keys(v.known)) {
		if d := editDistance(strings.ToUpper(name), known); d < distance {
			best, distance = known, d
		}
	}
	if best == "" {
		return ""
	}
	return "; did you mean " + best + "?"
}
