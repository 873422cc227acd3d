// Package trust is whose certificates JIMM takes when it calls others: those
// that the system trusts, and those of a file that can change while JIMM runs.
package trust

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
)

// Roots are trusted authorities.
type Roots struct {
	file string
	pool atomic.Pointer[x509.CertPool]

	mu         sync.Mutex
	transports []*Transport
}

// Open returns the system's authorities with those in a file, PEM; an empty
// name leaves the system's.
func Open(file string) (*Roots, error) {
	r := &Roots{file: file}
	return r, r.Reload()
}

// Reload reads the file again. If that fails what was trusted stays.
func (r *Roots) Reload() error {
	if r.file == "" {
		return nil
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		return fmt.Errorf("cannot read the system's certificates: %w", err)
	}
	pem, err := os.ReadFile(r.file)
	if err != nil {
		return fmt.Errorf("cannot read trusted certificates: %w", err)
	}
	if !pool.AppendCertsFromPEM(pem) {
		return fmt.Errorf("cannot read trusted certificates: %s has none (it must be PEM)", r.file)
	}
	r.pool.Store(pool)
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, t := range r.transports {
		t.renew(pool)
	}
	return nil
}

// Pool returns the authorities; nil means the system's.
func (r *Roots) Pool() *x509.CertPool { return r.pool.Load() }

// Transport returns a transport that trusts them, also after a Reload. settings
// may be nil.
func (r *Roots) Transport(settings func(*http.Transport)) *Transport {
	t := &Transport{settings: settings}
	t.renew(r.Pool())
	r.mu.Lock()
	defer r.mu.Unlock()
	r.transports = append(r.transports, t)
	return t
}

// Transport is an http.RoundTripper.
type Transport struct {
	settings func(*http.Transport)
	current  atomic.Pointer[http.Transport]
}

func (t *Transport) renew(pool *x509.CertPool) {
	fresh := http.DefaultTransport.(*http.Transport).Clone()
	fresh.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: pool}
	if t.settings != nil {
		t.settings(fresh)
	}
	if old := t.current.Swap(fresh); old != nil {
		old.CloseIdleConnections()
	}
}

// RoundTrip implements http.RoundTripper.
func (t *Transport) RoundTrip(r *http.Request) (*http.Response, error) {
	return t.current.Load().RoundTrip(r)
}

// CloseIdleConnections is what http.Client.CloseIdleConnections calls.
func (t *Transport) CloseIdleConnections() { t.current.Load().CloseIdleConnections() }
