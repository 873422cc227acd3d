package login

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"time"

	"golang.org/x/oauth2"

	"jimm/workload/estate"
)

// defaultDeviceLife is for issuers that do not say how long a code is good.
const defaultDeviceLife = 10 * time.Minute

// Device is a login that has been started: what the person has to do, and what
// AwaitDevice needs to know.
type Device struct {
	// UserCode is what the person types in, or compares.
	UserCode string
	// VerificationURI is where; with the code already in it if the issuer
	// offers that.
	VerificationURI string

	config   *oauth2.Config
	response *oauth2.DeviceAuthResponse
}

// StartDevice starts the login of a person (RFC 8628, section 3.1). Errors have
// CodeLoginFailed.
func (s *Service) StartDevice(ctx context.Context) (d *Device, err error) {
	err = s.attempt(ctx, "", always, func() error {
		d, err = s.startDevice(ctx)
		return err
	})
	if Limited(err) {
		return nil, Failed(err)
	}
	return d, err
}

func (s *Service) startDevice(ctx context.Context) (*Device, error) {
	provider, err := s.discover(ctx)
	if err != nil {
		return nil, Failed(err)
	}
	config := s.own(provider)
	if config.Endpoint.DeviceAuthURL == "" {
		return nil, &estate.Error{Code: CodeLoginFailed, Message: "cannot log in: the identity provider offers no login by device; tell the administrator of JIMM"}
	}
	ctx, options := s.authenticated(ctx)
	response, err := config.DeviceAuth(ctx, options...)
	if err != nil {
		_, _, cause, _ := answerOf(err, s.config.ClientSecret)
		s.config.Log.ErrorContext(ctx, "cannot start a login by device", "error", cause)
		return nil, Failed(unreachable(cause))
	}
	if response.DeviceCode == "" || response.UserCode == "" || response.VerificationURI == "" {
		return nil, Failed(unreachable(errors.New("answer without device code, user code or verification URI")))
	}
	if response.Expiry.IsZero() {
		response.Expiry = time.Now().Add(defaultDeviceLife)
	}
	d := &Device{UserCode: response.UserCode, VerificationURI: response.VerificationURI, config: config, response: response}
	if response.VerificationURIComplete != "" {
		d.VerificationURI = response.VerificationURIComplete
	}
	return d, nil
}

// AwaitDevice waits until the person has logged in, denied it, or let the time
// pass, and returns a session token for the client and who it is. Errors have
// CodeLoginFailed, or are those of ctx.
func (s *Service) AwaitDevice(ctx context.Context, d *Device) (token string, u estate.User, err error) {
	granted, err := s.poll(ctx, d)
	if err != nil {
		return "", estate.User{}, err
	}
	provider, err := s.discover(ctx)
	if err != nil {
		return "", estate.User{}, Failed(err)
	}
	p, err := s.person(ctx, provider, granted, "")
	if err != nil {
		return "", estate.User{}, Failed(err)
	}
	session, err := s.begin(ctx, p, estate.Session{
		Kind: estate.SessionDevice, Expires: s.config.Now().Add(s.config.SessionLife), IdleLimit: s.config.SessionIdle,
	})
	switch {
	case err == nil:
	case ctx.Err() != nil:
		return "", estate.User{}, ctx.Err()
	case estate.CodeOf(err) != "":
		return "", estate.User{}, Failed(err)
	default:
		s.config.Log.ErrorContext(ctx, "cannot finish a login by device", "error", err)
		return "", estate.User{}, &estate.Error{Code: CodeLoginFailed, Message: `cannot log in: JIMM could not save the session; run "juju login" again in a minute`, Cause: err}
	}
	p.Session = session.ID
	token, err = s.newToken(session)
	return token, p.User, err
}

// poll asks for the token until there is one. A request that gets no answer is
// repeated, with a longer interval (RFC 8628, section 3.5).
func (s *Service) poll(ctx context.Context, d *Device) (*oauth2.Token, error) {
	response := *d.response
	for {
		granted, err := d.config.DeviceAccessToken(s.clientContext(ctx), &response)
		if err == nil {
			return granted, nil
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		code, status, cause, answered := answerOf(err, s.config.ClientSecret)
		late := !time.Now().Before(response.Expiry)
		switch {
		case code == "access_denied":
			return nil, &estate.Error{Code: CodeLoginFailed, Message: "login was denied at the identity provider", Cause: cause}
		case code == "expired_token" || late:
			return nil, &estate.Error{Code: CodeLoginFailed, Message: `the code was not used in time; run "juju login" again`, Cause: cause}
		case answered && status < http.StatusInternalServerError && code != "temporarily_unavailable":
			s.config.Log.ErrorContext(ctx, "cannot finish a login by device", "error", cause)
			return nil, Failed(unreachable(cause))
		}
		if response.Interval == 0 {
			response.Interval = 5 // the default of section 3.2
		}
		response.Interval *= 2
	}
}

// authenticated makes the request for a device code show our secret, which
// RFC 8628 (section 3.1) wants and golang.org/x/oauth2 does not do by itself.
func (s *Service) authenticated(ctx context.Context) (context.Context, []oauth2.AuthCodeOption) {
	if s.config.ClientSecret == "" {
		return s.clientContext(ctx), nil
	}
	if s.config.AuthStyle == AuthStylePost {
		return s.clientContext(ctx), []oauth2.AuthCodeOption{oauth2.SetAuthURLParam("client_secret", s.config.ClientSecret)}
	}
	client := *s.client
	client.Transport = &basicTransport{base: client.Transport, id: s.config.ClientID, secret: s.config.ClientSecret}
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return context.WithValue(ctx, oauth2.HTTPClient, &client), nil
}

// basicTransport adds a client's id and secret to requests (RFC 6749, section
// 2.3.1).
type basicTransport struct {
	base       http.RoundTripper
	id, secret string
}

func (t *basicTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.SetBasicAuth(url.QueryEscape(t.id), url.QueryEscape(t.secret))
	if t.base == nil {
		return http.DefaultTransport.RoundTrip(r)
	}
	return t.base.RoundTrip(r)
}

// Failed gives an error of ours the code that ends a login by device: after any
// other Juju's clients go on with a password, and hide the error.
func Failed(err error) error {
	var coded *estate.Error
	if !errors.As(err, &coded) {
		return err
	}
	return &estate.Error{Code: CodeLoginFailed, Message: coded.Message, Info: coded.Info, Cause: err}
}
