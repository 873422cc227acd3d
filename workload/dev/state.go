package dev

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/uuid"
)

// state is what must be the same at every start: ids and keys. It is made once.
type state struct {
	UUID         string `json:"uuid"`
	SessionKey   string `json:"session-key"`
	SealKey      string `json:"seal-key"`
	ClientSecret string `json:"client-secret"`
	// AdminPassword is that of the controllers' own administrator.
	AdminPassword string `json:"admin-password"`
	// Stack is the kind of services that keep the rest.
	Stack string `json:"stack"`
	// KeysPort is where real controllers fetch our keys, 0 if there are none yet.
	KeysPort int `json:"keys-port,omitempty"`
}

func openState(dir, stack string) (*state, error) {
	file := filepath.Join(dir, "state.json")
	b, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) {
		s := &state{
			UUID: uuid.NewString(), SessionKey: randomText(48), SealKey: randomKey(), ClientSecret: randomText(24),
			AdminPassword: randomText(18), Stack: stack,
		}
		return s, s.save(dir)
	}
	if err != nil {
		return nil, err
	}
	s := &state{Stack: StackEmbedded}
	if err := json.Unmarshal(b, s); err != nil {
		return nil, fmt.Errorf("cannot read %s: %w; --fresh starts over", file, err)
	}
	return s, nil
}

// save replaces the file as a whole, so that a crash leaves the old or the new one.
func (s *state) save(dir string) error {
	b, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	return replaceFile(filepath.Join(dir, "state.json"), append(b, '\n'), 0o600)
}

func replaceFile(file string, b []byte, mode os.FileMode) error {
	if err := os.WriteFile(file+".new", b, mode); err != nil {
		return err
	}
	return os.Rename(file+".new", file)
}

func randomBytes(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails
	return b
}

func randomText(n int) string { return base64.RawURLEncoding.EncodeToString(randomBytes(n)) }

// randomKey is a key for sealing secrets: 32 bytes, base64.
func randomKey() string { return base64.StdEncoding.EncodeToString(randomBytes(32)) }

// shellQuote makes text safe as one word of a shell.
func shellQuote(s string) string {
	if strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789@%+=:,./_-") == "" && s != "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
