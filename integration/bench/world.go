package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/juju/juju/rpc/params"

	"jimm/integration/lab"
	"jimm/workload/juju"
	"jimm/workload/rpc"
)

// world is everything that runs during a measurement.
type world struct {
	ways     []way
	closings []func() error
	jimm     *process
}

// unaudited is the way through a JIMM that has no audit log.
const unaudited = "JIMM, not audited"

// way is one way to the model.
type way struct {
	name string
	// process is the one in between, nil for the direct way.
	process *process
	url     string
	tls     *tls.Config
	login   rpc.Request
}

func (w *world) later(f func() error) { w.closings = append(w.closings, f) }

// Close ends all, last first.
func (w *world) Close() error {
	var errs []error
	for i := len(w.closings) - 1; i >= 0; i-- {
		errs = append(errs, w.closings[i]())
	}
	return errors.Join(errs...)
}

func newWorld(ctx context.Context, s settings, dir string) (*world, error) {
	w := &world{}
	certificate := filepath.Join(dir, "certificate.pem")
	roots, err := makeCertificate(certificate)
	if err != nil {
		return w, err
	}
	var environment []string
	start := func(args ...string) (*process, answer, error) {
		p, err := startProcess(environment, args...)
		if err != nil {
			return nil, answer{}, err
		}
		w.later(p.Close)
		a, err := p.read()
		return p, a, err
	}

	keysHost := "127.0.0.1"
	var l *lab.Lab
	if s.target == "real" {
		bin, err := lab.Build(ctx, s.repository, os.Stderr)
		if err != nil {
			return w, err
		}
		if l, err = lab.New(bin, filepath.Join(dir, "lab")); err != nil {
			return w, err
		}
		w.later(l.Close)
		keysHost = l.HostAddress()
	}
	_, services, err := start("process-services", "-dir", dir)
	if err != nil {
		return w, err
	}
	environment = []string{"BENCH_DSN=" + services.DSN, "BENCH_OPENFGA=http://" + services.Address}
	jimm, jimmAt, err := start("process-jimm", "-certificate", certificate, "-keys", keysHost)
	environment = nil
	if err != nil {
		return w, err
	}
	w.jimm = jimm
	var facts controllerFacts
	if s.target == "real" {
		controllers, err := l.Start(ctx, 1, jimmAt.Keys)
		if err != nil {
			return w, err
		}
		c := controllers[0]
		facts = controllerFacts{c.Name, c.UUID, c.Address, c.CACert, c.User, c.Password}
	} else {
		_, a, err := start("process-sim", "-keys", jimmAt.Keys)
		if err != nil {
			return w, err
		}
		facts = *a.Controller
	}
	model, err := jimm.tell(order{Register: &facts})
	if err != nil {
		return w, err
	}
	bare, bareAt, err := start("process-copy", "-certificate", certificate)
	if err != nil {
		return w, err
	}
	if _, err := bare.tell(order{Register: &facts}); err != nil {
		return w, err
	}

	direct, err := (&juju.Dialer{}).TLSConfig(facts.controller())
	if err != nil {
		return w, err
	}
	local := &tls.Config{RootCAs: roots, ClientSessionCache: tls.NewLRUClientSessionCache(8)}
	path := "/model/" + model.Model + "/api"
	byToken, err := loginRequest(3, "Login", params.LoginRequest{AuthTag: caller.Tag().String(), Token: model.Token})
	if err != nil {
		return w, err
	}
	bySession, err := loginRequest(4, "LoginWithSessionToken", map[string]string{"session-token": sessionToken})
	if err != nil {
		return w, err
	}
	w.ways = []way{
		{"direct", nil, "wss://" + facts.Address + path, direct, byToken},
		{"bare copy", bare, "wss://" + bareAt.Address + path, local, byToken},
		{unaudited, jimm, "wss://" + jimmAt.Address + "/silent" + path, local, bySession},
		{"JIMM", jimm, "wss://" + jimmAt.Address + path, local, bySession},
	}
	return w, nil
}

func loginRequest(version int, method string, args any) (rpc.Request, error) {
	raw, err := json.Marshal(args)
	return rpc.Request{RequestID: 1, Type: "Admin", Version: version, Method: method, Params: raw}, err
}

// open connects and logs in.
func (v way) open(ctx context.Context) (*rpc.Conn, error) {
	conn, _, err := rpc.Dial(ctx, v.url, nil, v.tls, rpc.Options{IdleTimeout: -1})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", v.name, err)
	}
	if _, err := rpc.Exchange(ctx, conn, &v.login); err != nil {
		conn.Abort()
		return nil, fmt.Errorf("%s: cannot log in: %w", v.name, err)
	}
	return conn, nil
}

// makeCertificate writes a key and a certificate for this machine to a file.
func makeCertificate(file string) (*x509.CertPool, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "bench"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	certPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	keyPEM := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(certPEM)
	return roots, os.WriteFile(file, append(certPEM, keyPEM...), 0o600)
}

func serverTLS(file string) (*tls.Config, error) {
	certificate, err := tls.LoadX509KeyPair(file, file)
	return &tls.Config{Certificates: []tls.Certificate{certificate}}, err
}
