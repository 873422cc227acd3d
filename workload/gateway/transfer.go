package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httputil"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/juju/names/v6"

	"github.com/juju/juju/core/semversion"
	"github.com/juju/juju/rpc/params"

	"jimm/workload/estate"
)

// Authenticator verifies what clients send in an Authorization header of type
// Basic: an empty name and a session token, or a client id and its secret.
type Authenticator interface {
	// Basic fails with a coded error, such as CodeSessionTokenInvalid or
	// CodeUnauthorized, for credentials that are not good.
	Basic(ctx context.Context, username, password string) (estate.User, error)
}

// Controllers reaches controllers by HTTP. Whatever host a request names, the
// transport's connections go to the controller.
type Controllers interface {
	HTTPTransport(c estate.Controller) (*http.Transport, error)
}

// Tokens makes tokens that let a user act on a controller with these claims.
type Tokens interface {
	Mint(controllerUUID string, u estate.User, claims estate.Claims) (string, error)
}

// TransferConfig is what a Transfer needs. Fields said to be optional may be
// zero.
type TransferConfig struct {
	Models Models
	Logins Authenticator
	// Sessions ends requests when the session of their user does. Optional.
	Sessions Sessions
	// Holds ends requests when their user loses access. Optional.
	Holds       Holds
	Controllers Controllers
	Tokens      Tokens
	// Secrets has the logins of controllers that take no tokens over HTTP.
	Secrets estate.Secrets
	// CheckOrigin decides about requests of web pages. Optional: by default
	// they must come from JIMM's own host.
	CheckOrigin func(r *http.Request) bool
	// Recorder takes the audit events. Optional.
	Recorder Recorder
	// Now tells the time. Optional.
	Now func() time.Time
	// Log is optional.
	Log *slog.Logger
}

// Transfer passes HTTP requests about a model through to its controller: charms
// and resources up and down, agents up, backups down, and the model's log.
// Nothing of the client's credentials reaches the controller; what the client
// may do is asked of the estate before the controller is.
type Transfer struct {
	config TransferConfig
	proxy  *httputil.ReverseProxy

	ctx     context.Context
	stop    context.CancelFunc
	mu      sync.Mutex
	closed  bool
	streams sync.WaitGroup
	open    atomic.Int64
	// transports are by controller UUID.
	transports map[string]*transport
}

// transport reaches a controller as it was known when it was made.
type transport struct {
	*http.Transport
	public, ca, name string
	addresses        []string
}

// NewTransfer returns a Transfer. Close ends it.
func NewTransfer(c TransferConfig) *Transfer {
	if c.Log == nil {
		c.Log = slog.Default()
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	t := &Transfer{config: c, transports: make(map[string]*transport)}
	t.ctx, t.stop = context.WithCancel(context.Background())
	t.proxy = &httputil.ReverseProxy{
		Rewrite:        func(*httputil.ProxyRequest) {}, // the request is complete
		Transport:      roundTripper{},
		FlushInterval:  -1,
		BufferPool:     &buffers{},
		ModifyResponse: t.response,
		ErrorHandler:   t.failed,
		ErrorLog:       slog.NewLogLogger(c.Log.Handler(), slog.LevelDebug),
	}
	return t
}

// Streams returns how many clients read a log.
func (t *Transfer) Streams() int { return int(t.open.Load()) }

// Close ends the log streams and waits for them, and lets go of the
// connections to controllers. Requests under way end on their own.
func (t *Transfer) Close() {
	t.mu.Lock()
	t.closed = true
	for _, tr := range t.transports {
		tr.CloseIdleConnections()
	}
	t.mu.Unlock()
	t.stop()
	t.streams.Wait()
}

// endpoint is what a controller offers over HTTP for a model, and what of it
// may pass.
type endpoint struct {
	// path are the segments behind /model/<uuid>/ (object: /model-<uuid>/);
	// those in braces are any name.
	path   []string
	object bool
	// what it is called in the audit log.
	what string
	// methods say what access each needs: to the model, or superuser.
	methods map[string]string
	// bare is set where controllers of Juju 3 do not look at what a token
	// claims for the model, because they do not know which model it is about
	// (apiserver/authentication/jwt of 3.6.11 leaves ModelTag empty, and the
	// endpoint's authorizer wants one). They then take a superuser only.
	bare map[string]bool
}

// endpoints are those that Juju's clients use (juju apiserver/apiserver.go of
// 3.6.11 and 4.1); not all exist in both.
var endpoints = []endpoint{
	{path: []string{"charms", "{object}"}, what: "Charm", object: true,
		methods: map[string]string{http.MethodGet: estate.AccessRead, http.MethodPut: estate.AccessWrite},
		bare:    map[string]bool{http.MethodPut: true}},
	{path: []string{"charms"}, what: "Charm",
		methods: map[string]string{http.MethodGet: estate.AccessRead, http.MethodPost: estate.AccessWrite},
		bare:    map[string]bool{http.MethodPost: true}},
	{path: []string{"applications", "{application}", "resources", "{resource}"}, what: "Resource",
		methods: map[string]string{http.MethodGet: estate.AccessRead, http.MethodPut: estate.AccessWrite}},
	{path: []string{"tools"}, what: "Tools",
		methods: map[string]string{http.MethodPost: estate.AccessAdmin},
		bare:    map[string]bool{http.MethodPost: true}},
	{path: []string{"backups"}, what: "Backup",
		methods: map[string]string{http.MethodGet: estate.AccessSuperuser}},
	{path: []string{"log"}, what: "Log",
		methods: map[string]string{http.MethodGet: estate.AccessRead},
		bare:    map[string]bool{http.MethodGet: true}},
}

// target is what a request is about, as its path says.
type target struct {
	model string
	// does is what it is called in the audit log: DownloadCharm.
	does string
	// path is escaped, and has nothing but what was recognised.
	path   string
	access string
	bare   bool
}

// url returns where the target is on a controller.
func (t target) url(scheme, query string) *url.URL {
	path, err := url.PathUnescape(t.path)
	if err != nil {
		path = t.path // it was escaped by us: it can't be
	}
	return &url.URL{Scheme: scheme, Host: controllerHost, Path: path, RawPath: t.path, RawQuery: query}
}

// targetOf reads the path of a request. CodeNotFound if nothing that passes is
// there, CodeBadRequest if it is not what it seems.
func targetOf(r *http.Request) (target, error) {
	missing := estate.Errorf(estate.CodeNotFound, "there is nothing at this path")
	segments := strings.Split(strings.TrimPrefix(r.URL.EscapedPath(), "/"), "/")
	for i, s := range segments {
		name, err := url.PathUnescape(s)
		if err != nil || !isName(name) {
			return target{}, estate.Errorf(estate.CodeBadRequest, "the path is not valid")
		}
		segments[i] = name
	}
	model, object := strings.CutPrefix(segments[0], "model-")
	rest := segments[1:]
	if !object {
		if segments[0] != "model" || len(rest) == 0 {
			return target{}, missing
		}
		model, rest = rest[0], rest[1:]
	}
	for _, e := range endpoints {
		if e.object != object || !e.matches(rest) {
			continue
		}
		if !names.IsValidModel(model) {
			return target{}, estate.Errorf(estate.CodeBadRequest, "the path has no model UUID where it should")
		}
		access, ok := e.methods[r.Method]
		if !ok {
			return target{}, estate.Errorf(params.CodeMethodNotAllowed, "unsupported method: %q", r.Method)
		}
		path := "/model/" + model
		if object {
			path = "/model-" + model
		}
		for _, s := range rest {
			path += "/" + url.PathEscape(s)
		}
		does := "Upload" + e.what
		if r.Method == http.MethodGet {
			does = "Download" + e.what
		}
		return target{model, does, path, access, e.bare[r.Method]}, nil
	}
	return target{}, missing
}

func (e endpoint) matches(segments []string) bool {
	return slices.EqualFunc(e.path, segments, func(want, got string) bool {
		return want == got || strings.HasPrefix(want, "{")
	})
}

// isName reports whether a segment of a path is a name and nothing else.
func isName(s string) bool {
	return s != "" && s != "." && s != ".." && len(s) <= 256 &&
		!strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r == 0x7f || r == '/' || r == '\\' || r == 0xfffd })
}

// queryOf returns the query to pass on. Juju's router puts what it finds in the
// path there, as :model and the like: nobody else may.
func queryOf(r *http.Request) (string, error) {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return "", estate.Errorf(estate.CodeBadRequest, "the query is not valid")
	}
	for key := range query {
		if strings.HasPrefix(key, ":") {
			return "", estate.Errorf(estate.CodeBadRequest, "the query is not valid")
		}
	}
	return r.URL.RawQuery, nil
}

// authorized is a request that may pass.
type authorized struct {
	target target
	query  string
	user   estate.User
	route  estate.Route
	claims estate.Claims
	// authorization is the header for the controller.
	authorization string
}

// authorize finds out who asks, whether they may, and how to say so to the
// controller. Nothing is dialled before it has succeeded. What is known of a
// request that may not pass is returned beside the error.
func (t *Transfer) authorize(r *http.Request, about target) (a authorized, err error) {
	a.target = about
	if a.query, err = queryOf(r); err != nil {
		return a, err
	}
	username, password, ok := r.BasicAuth()
	if !ok {
		return a, estate.Errorf(params.CodeNoCreds, "authentication failed: no credentials provided")
	}
	if a.user, err = t.config.Logins.Basic(r.Context(), username, password); err != nil {
		return a, &loginFailure{err}
	}
	if a.route, err = t.config.Models.Route(r.Context(), a.user, about.model); err != nil {
		return a, err
	}
	controller := names.NewControllerTag(a.route.Controller.UUID).String()
	required := estate.Claims{names.NewModelTag(about.model).String(): about.access}
	if about.access == estate.AccessSuperuser || isFirehose(r) {
		required = estate.Claims{controller: estate.AccessSuperuser}
	}
	if a.claims, err = t.config.Models.Widen(r.Context(), a.user, a.route, a.route.Claims, required); err != nil {
		return a, err
	}
	a.authorization, err = t.authorization(r.Context(), a.route.Controller, a.user, a.claims, about.bare)
	return a, err
}

// isFirehose reports whether a request for a log is for that of all models, as
// 4.1 gives it to anyone who may read one (apiserver/debuglog.go).
func isFirehose(r *http.Request) bool {
	value := r.URL.Query().Get("firehose")
	all, err := strconv.ParseBool(value)
	return value != "" && (all || err != nil)
}

// loginFailure is a refusal of the client's credentials.
type loginFailure struct{ error }

func (f *loginFailure) Unwrap() error { return f.error }

// authorization returns what a controller takes over HTTP for a user who has
// passed our own check.
func (t *Transfer) authorization(ctx context.Context, c estate.Controller, u estate.User, claims estate.Claims, bare bool) (string, error) {
	switch version, err := semversion.Parse(c.AgentVersion); {
	case err == nil && version.Compare(firstBearer) < 0:
		login, err := t.config.Secrets.Get(ctx, estate.ControllerSecretPath(c.UUID))
		if err != nil {
			return "", err
		}
		if !names.IsValidUser(login["username"]) {
			return "", fmt.Errorf("the login kept for controller %q is damaged", c.Name)
		}
		request := http.Request{Header: http.Header{}}
		request.SetBasicAuth(names.NewUserTag(login["username"]).String(), login["password"])
		return request.Header.Get("Authorization"), nil
	case err == nil && version.Major < 4 && bare:
		claims = maps.Clone(claims)
		claims[names.NewControllerTag(c.UUID).String()] = estate.AccessSuperuser
	}
	token, err := t.config.Tokens.Mint(c.UUID, u, claims)
	return "Bearer " + token, err
}

// firstBearer is the first version known to take tokens over HTTP: 3.5.4 does
// not, 3.6.11 and 4.1 do (apiserver/authentication/jwt/jwt.go, Authenticate).
// Before it JIMM uses the login it was given when the controller was added.
var firstBearer = semversion.MustParse("3.6.11")

// notForwarded are request headers that stay here: credentials of all kinds
// that Juju knows, and what speaks of the way to us.
var notForwarded = []string{
	"Authorization", "Cookie", "Macaroons", "Bakery-Protocol-Version",
	params.MachineNonceHeader, params.MigrationModelHTTPHeader,
	"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-Ip", "Origin", "Referer",
}

// ServeHTTP passes one request through.
func (t *Transfer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	about, err := targetOf(r)
	if err != nil {
		t.refuse(w, r, err)
		return
	}
	request, err := t.authorize(r, about)
	ended, refused := t.record(r, about, request)
	if err == nil {
		err = refused
	}
	var reach *transport
	if err == nil {
		reach, err = t.transport(request.route.Controller)
	}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	if err == nil {
		var leave func()
		leave, err = t.attend(ctx, request, cancel)
		defer leave()
	}
	if err != nil {
		ended(err)
		t.refuse(w, r, err)
		return
	}
	// What is still so when the proxy panics because one side has gone.
	p := &pass{transport: reach, controller: request.route.Controller, err: errCutOff}
	defer func() { ended(p.err) }()
	out := r.WithContext(context.WithValue(ctx, passing{}, p))
	out.URL = about.url("https", request.query)
	out.Host = controllerHost
	out.Header = r.Header.Clone()
	for _, name := range notForwarded {
		out.Header.Del(name)
	}
	out.Header.Set("Authorization", request.authorization)
	t.proxy.ServeHTTP(w, out)
	if p.err == errCutOff {
		p.err = nil
	}
}

// errCutOff is of a transfer that one side has left.
var errCutOff = estate.Errorf(estate.CodeConnectionFailed, "the transfer was cut off")

// attend has what is done for a user ended with their session, or when they lose
// access. There is always something to call in the end.
func (t *Transfer) attend(ctx context.Context, request authorized, end func()) (stop func(), err error) {
	leave := func() {}
	if t.config.Sessions != nil {
		if leave, err = t.config.Sessions.Attend(ctx, request.user, end); err != nil {
			return func() {}, err
		}
	}
	if t.config.Holds == nil {
		return leave, nil
	}
	hold := t.config.Holds.Hold(request.user, request.route, request.claims, end)
	return func() {
		hold.Release()
		leave()
	}, nil
}

// controllerHost stands in requests for the controller's host: where they go
// is the transport's matter.
const controllerHost = "juju-apiserver"

// passing is the context key of a pass.
type passing struct{}

// pass is where a request goes.
type pass struct {
	transport  *transport
	controller estate.Controller
	// err is what became of it.
	err error
}

func passOf(r *http.Request) *pass {
	p, _ := r.Context().Value(passing{}).(*pass)
	return p
}

// roundTripper sends each request by the transport of its controller.
type roundTripper struct{}

func (roundTripper) RoundTrip(r *http.Request) (*http.Response, error) {
	return passOf(r).transport.RoundTrip(r)
}

// transport returns the transport of a controller.
func (t *Transfer) transport(c estate.Controller) (*transport, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return nil, estate.Errorf(estate.CodeConnectionFailed, "shutting down")
	}
	known := t.transports[c.UUID]
	if known != nil && known.public == c.PublicAddress && known.ca == c.CACertificate && known.name == c.TLSHostname && slices.Equal(known.addresses, c.Addresses) {
		return known, nil
	}
	made, err := t.config.Controllers.HTTPTransport(c)
	if err != nil {
		return nil, err
	}
	if known != nil {
		known.CloseIdleConnections()
	}
	made.DisableCompression = true // what the client has not asked for
	reach := &transport{made, c.PublicAddress, c.CACertificate, c.TLSHostname, slices.Clone(c.Addresses)}
	t.transports[c.UUID] = reach
	return reach, nil
}

// response looks at what a controller answers before it goes to the client.
func (t *Transfer) response(response *http.Response) error {
	response.Header.Del("Set-Cookie")
	if p := passOf(response.Request); response.StatusCode >= http.StatusBadRequest {
		p.err = estate.Errorf(estate.CodeBadRequest, "controller %q has answered %s", p.controller.Name, response.Status)
	}
	if response.StatusCode != http.StatusUnauthorized {
		return nil
	}
	// It is us whom the controller does not know, not the client, who would try
	// to log in there.
	text, _ := io.ReadAll(io.LimitReader(response.Body, 1<<10))
	_ = response.Body.Close()
	c := passOf(response.Request).controller
	return estate.Errorf(estate.CodeConnectionFailed, "controller %q does not accept JIMM: %s", c.Name, plain(text))
}

// plain makes a controller's text fit for an error message.
func plain(text []byte) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, string(text)))
}

// failed answers for a request that did not get through.
func (t *Transfer) failed(w http.ResponseWriter, r *http.Request, err error) {
	if r.Context().Err() != nil {
		passOf(r).err = estate.Errorf(estate.CodeConnectionFailed, "the client is gone")
		return
	}
	var tooLarge *http.MaxBytesError
	p := passOf(r)
	if estate.CodeOf(err) == "" && !errors.As(err, &tooLarge) {
		err = estate.Errorf(estate.CodeConnectionFailed, "controller %q has not answered: %w", p.controller.Name, err)
	}
	p.err = err
	t.refuse(w, r, err)
}

// refuse answers with an error as Juju does.
func (t *Transfer) refuse(w http.ResponseWriter, r *http.Request, err error) {
	status, body := t.httpError(r, err)
	if status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Basic realm="juju"`)
	}
	if after, ok := body.Info["retry-after"]; ok {
		w.Header().Set("Retry-After", fmt.Sprint(after))
	}
	if r.ContentLength != 0 {
		// Whoever sends a charm is not kept sending it.
		w.Header().Set("Connection", "close")
	}
	w.Header().Set("Content-Type", params.ContentTypeJSON)
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(params.ErrorResult{Error: body})
}

// httpError returns the status and the error that a client gets to see.
func (t *Transfer) httpError(r *http.Request, err error) (int, *params.Error) {
	code := estate.CodeOf(err)
	if code == "" {
		t.config.Log.ErrorContext(r.Context(), "cannot pass a request through", "method", r.Method, "path", r.URL.Path, "error", err)
		return http.StatusInternalServerError, &params.Error{Message: "internal error"}
	}
	body := &params.Error{Code: code, Message: err.Error()}
	var coded *estate.Error
	if errors.As(err, &coded) {
		body.Info = coded.Info
	}
	if code == params.CodeTryAgain {
		return http.StatusTooManyRequests, body
	}
	var login *loginFailure
	if errors.As(err, &login) && code != estate.CodeConnectionFailed {
		return http.StatusUnauthorized, body
	}
	switch code {
	case params.CodeNoCreds:
		return http.StatusUnauthorized, body
	case estate.CodeUnauthorized, estate.CodeForbidden, estate.CodeAccessRequired:
		return http.StatusForbidden, body
	case estate.CodeNotFound, estate.CodeModelNotFound:
		return http.StatusNotFound, body
	case estate.CodeBadRequest:
		return http.StatusBadRequest, body
	case params.CodeMethodNotAllowed:
		return http.StatusMethodNotAllowed, body
	case estate.CodeConnectionFailed:
		t.config.Log.WarnContext(r.Context(), "cannot pass a request through", "method", r.Method, "path", r.URL.Path, "error", err)
		return http.StatusGatewayTimeout, body
	}
	return http.StatusInternalServerError, body
}

// buffers are what bodies are copied with.
type buffers struct{ pool sync.Pool }

const copyBuffer = 32 << 10

func (b *buffers) Get() []byte {
	if p, ok := b.pool.Get().(*[copyBuffer]byte); ok {
		return p[:]
	}
	return make([]byte, copyBuffer)
}

func (b *buffers) Put(p []byte) { b.pool.Put((*[copyBuffer]byte)(p)) }
