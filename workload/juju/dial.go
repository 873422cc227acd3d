package juju

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/gorilla/websocket"
	"github.com/juju/names/v6"

	"github.com/juju/juju/rpc/params"

	"jimm/workload/estate"
	"jimm/workload/rpc"
)

const (
	// controllerName is what the certificates that controllers make for
	// themselves are for (juju api.NewTLSConfig).
	controllerName = "juju-apiserver"

	defaultDialTimeout = 15 * time.Second
)

// Dialer reaches controllers. Its zero value works; it must not be copied.
type Dialer struct {
	// ClientVersion is the Juju version that controllers get to know us as, in
	// the header X-Juju-ClientVersion; empty sends none.
	ClientVersion string
	// Timeout bounds reaching a controller over all its addresses (default 15 s).
	Timeout time.Duration
	// Options are those of the connections made.
	Options rpc.Options
	// Roots are trusted in controllers without a CA certificate; nil, or what it
	// returns being nil, means the system's.
	Roots func() *x509.CertPool
	// Observer, where set, is told of what is asked of controllers.
	Observer Observer

	mu  sync.Mutex
	tls map[string]trust // by controller UUID
}

// Observer is told when something begins; the function it returns is called
// when that has ended.
type Observer interface {
	// Dial is connecting to a controller; c.UUID is empty before it is known.
	Dial(ctx context.Context, c estate.Controller) (context.Context, func(error))
	// Call is a call of a controller, a login among them, that is not one that
	// waits for something to happen.
	Call(ctx context.Context, c estate.Controller, facade, method string) (context.Context, func(error))
}

// observe tells the observer, if there is one, of a call.
func (d *Dialer) observe(ctx context.Context, c estate.Controller, facade, method string) (context.Context, func(error)) {
	if d.Observer == nil || method == "Next" {
		return ctx, func(error) {}
	}
	return d.Observer.Call(ctx, c, facade, method)
}

// trust is how the TLS of one controller is checked. The sessions in it make a
// second connection cheap; they are the controller's own, since all of them
// share one server name.
type trust struct {
	source [sha256.Size]byte
	roots  *x509.CertPool
	config *tls.Config
}

// Dial opens a connection to a controller: path is /api or /model/<uuid>/api.
// The public address is tried first, then all others at once. Nobody is logged
// in on it yet. CodeConnectionFailed if no address answers.
func (d *Dialer) Dial(ctx context.Context, c estate.Controller, path string) (_ *rpc.Conn, err error) {
	if d.Observer != nil {
		var ended func(error)
		ctx, ended = d.Observer.Dial(ctx, c)
		defer func() { ended(err) }()
	}
	config, err := d.TLSConfig(c)
	if err != nil {
		return nil, err
	}
	timeout := d.Timeout
	if timeout <= 0 {
		timeout = defaultDialTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()

	var firstErr error
	if c.PublicAddress != "" {
		// Half of the time is left for the others, if this one does not answer.
		publicCtx, cancel := context.WithTimeout(ctx, timeout/2)
		conn, err := d.dialAddress(publicCtx, config, c.PublicAddress, path)
		cancel()
		if err == nil {
			return conn, nil
		}
		firstErr = err
	}
	conn, err := d.dialFirst(ctx, config, c, path)
	if err != nil {
		if firstErr == nil {
			firstErr = err
		}
		return nil, unreachable(c, firstErr)
	}
	return conn, nil
}

var errNoAddress = errors.New("it has no address")

// dialFirst dials all addresses at once; the first that answers wins.
func (d *Dialer) dialFirst(ctx context.Context, config *tls.Config, c estate.Controller, path string) (*rpc.Conn, error) {
	ctx, cancel := context.WithCancel(ctx)
	type outcome struct {
		conn *rpc.Conn
		err  error
	}
	outcomes := make(chan outcome)
	dialing := 0
	for _, address := range c.Addresses {
		if address == c.PublicAddress {
			continue
		}
		dialing++
		go func() {
			conn, err := d.dialAddress(ctx, config, address, path)
			outcomes <- outcome{conn, err}
		}()
	}
	var winner *rpc.Conn
	err := errNoAddress
	for i := range dialing {
		o := <-outcomes
		switch {
		case o.err != nil && (i == 0 || errors.Is(err, context.Canceled)):
			err = o.err
		case o.err == nil && winner == nil:
			winner = o.conn
			cancel() // ends the others, which are waited for
		case o.err == nil:
			o.conn.Abort()
		}
	}
	cancel()
	if winner == nil {
		return nil, err
	}
	return winner, nil
}

func (d *Dialer) dialAddress(ctx context.Context, config *tls.Config, address, path string) (*rpc.Conn, error) {
	header := http.Header{}
	if d.ClientVersion != "" {
		header.Set(params.JujuClientVersion, d.ClientVersion)
	}
	conn, resp, err := rpc.Dial(ctx, "wss://"+address+path, header, config, d.Options)
	if err != nil {
		if errors.Is(err, websocket.ErrBadHandshake) && resp != nil {
			return nil, errors.New("it answers " + resp.Status)
		}
		return nil, err
	}
	return conn, nil
}

func unreachable(c estate.Controller, err error) error {
	return estate.Errorf(estate.CodeConnectionFailed, "cannot connect to controller %q: %w", c.Name, err)
}

// TLSConfig returns how a controller's TLS is checked. It is shared, and must
// not be changed.
func (d *Dialer) TLSConfig(c estate.Controller) (*tls.Config, error) {
	source := sha256.Sum256([]byte(c.TLSHostname + "\x00" + c.CACertificate))
	var roots *x509.CertPool
	if d.Roots != nil && c.CACertificate == "" {
		roots = d.Roots()
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if t, ok := d.tls[c.UUID]; ok && t.source == source && t.roots == roots {
		return t.config, nil
	}
	config := &tls.Config{
		MinVersion:         tls.VersionTLS12,
		ServerName:         c.TLSHostname,
		RootCAs:            roots,
		ClientSessionCache: tls.NewLRUClientSessionCache(8),
		// A reply of a few kilobytes is one record, not several.
		DynamicRecordSizingDisabled: true,
	}
	if c.CACertificate != "" {
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM([]byte(c.CACertificate)) {
			return nil, estate.Errorf(estate.CodeBadRequest, "cannot connect to controller %q: its CA certificate is not PEM", c.Name)
		}
		if config.ServerName == "" {
			config.ServerName = controllerName
		}
	}
	if c.UUID == "" {
		return config, nil // being probed: not known yet
	}
	if d.tls == nil {
		d.tls = make(map[string]trust)
	}
	d.tls[c.UUID] = trust{source, roots, config}
	return config, nil
}

// Login logs a user in with a token for the controller, which is base64 of a
// compact JWS, and returns the controller's login result. A refusal is an
// *rpc.Error. ctx's end closes the connection.
func Login(ctx context.Context, conn *rpc.Conn, user names.UserTag, token string) (json.RawMessage, error) {
	return login(ctx, conn, params.LoginRequest{AuthTag: user.String(), Token: token})
}

// LoginPassword logs a local user of the controller in.
func LoginPassword(ctx context.Context, conn *rpc.Conn, user names.UserTag, password string) (json.RawMessage, error) {
	return login(ctx, conn, params.LoginRequest{AuthTag: user.String(), Credentials: password})
}

func login(ctx context.Context, conn *rpc.Conn, request params.LoginRequest) (json.RawMessage, error) {
	raw, err := json.Marshal(request)
	if err != nil {
		return nil, err
	}
	return rpc.Exchange(ctx, conn, &rpc.Request{RequestID: 1, Type: "Admin", Version: 3, Method: "Login", Params: raw})
}

// HTTPTransport returns a transport whose connections, whatever host a request
// names, go to the controller, by its public address first and then by any
// other that answers, and are checked like Dial's. Its requests have URLs of the
// form https://<anything>/<path>. Close its idle connections when done.
func (d *Dialer) HTTPTransport(c estate.Controller) (*http.Transport, error) {
	if _, err := d.TLSConfig(c); err != nil {
		return nil, err
	}
	timeout := d.Timeout
	if timeout <= 0 {
		timeout = defaultDialTimeout
	}
	return &http.Transport{
		DialTLSContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			config, err := d.TLSConfig(c)
			if err != nil {
				return nil, err
			}
			ctx, cancel := context.WithTimeout(ctx, timeout)
			defer cancel()
			return d.dialTLS(ctx, config.Clone(), c)
		},
		MaxIdleConnsPerHost:   16,
		IdleConnTimeout:       time.Minute,
		ExpectContinueTimeout: time.Second,
	}, nil
}

// dialTLS tries the addresses one after the other, the public one first.
func (d *Dialer) dialTLS(ctx context.Context, config *tls.Config, c estate.Controller) (net.Conn, error) {
	addresses := c.Addresses
	if c.PublicAddress != "" {
		addresses = append([]string{c.PublicAddress}, addresses...)
	}
	err := errNoAddress
	dialer := tls.Dialer{Config: config, NetDialer: &net.Dialer{Timeout: 5 * time.Second}}
	for i, address := range addresses {
		var conn net.Conn
		var dialErr error
		if conn, dialErr = dialer.DialContext(ctx, "tcp", address); dialErr == nil {
			return conn, nil
		}
		if i == 0 {
			err = dialErr
		}
	}
	return nil, unreachable(c, err)
}
