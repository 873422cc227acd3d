package server

import (
	"context"
	"time"

	"jimm/workload/estate"
	"jimm/workload/login"
	"jimm/workload/observe"
)

// observedLogins counts and traces logins, by method. Those by browser it
// records; the others are requests that are recorded as such.
type observedLogins struct {
	Logins
	watch   *observe.Instruments
	records *recorder
}

// login runs a login, and counts those that were refused unheard.
func (l observedLogins) login(ctx context.Context, method string, f func(context.Context) error) error {
	err := l.watch.Login(ctx, method, f)
	if login.Limited(err) {
		l.watch.LoginLimited(method)
	}
	return err
}

// StartDevice implements facade.Logins. Only the end of it is a login.
func (l observedLogins) StartDevice(ctx context.Context) (*login.Device, error) {
	d, err := l.Logins.StartDevice(ctx)
	if login.Limited(err) {
		l.watch.LoginLimited("device")
	}
	return d, err
}

// AwaitDevice implements facade.Logins.
func (l observedLogins) AwaitDevice(ctx context.Context, d *login.Device) (token string, u estate.User, err error) {
	err = l.login(ctx, "device", func(ctx context.Context) error {
		token, u, err = l.Logins.AwaitDevice(ctx, d)
		return err
	})
	return token, u, err
}

// VerifyToken implements facade.Logins.
func (l observedLogins) VerifyToken(ctx context.Context, token string) (u estate.User, err error) {
	err = l.login(ctx, "token", func(ctx context.Context) error {
		u, err = l.Logins.VerifyToken(ctx, token)
		return err
	})
	return u, err
}

// ClientCredentials implements facade.Logins.
func (l observedLogins) ClientCredentials(ctx context.Context, id, secret string) (u estate.User, err error) {
	err = l.login(ctx, "client-credentials", func(ctx context.Context) error {
		u, err = l.Logins.ClientCredentials(ctx, id, secret)
		return err
	})
	return u, err
}

// Basic implements gateway.Authenticator.
func (l observedLogins) Basic(ctx context.Context, username, password string) (u estate.User, err error) {
	err = l.login(ctx, "basic", func(ctx context.Context) error {
		u, err = l.Logins.Basic(ctx, username, password)
		return err
	})
	return u, err
}

// FinishBrowser implements web.Browsers.
func (l observedLogins) FinishBrowser(ctx context.Context, c login.Callback) (cookie string, u estate.User, err error) {
	if err := l.records.trail.Ready(ctx); err != nil {
		return "", estate.User{}, err
	}
	err = l.login(ctx, "browser", func(ctx context.Context) error {
		cookie, u, err = l.Logins.FinishBrowser(ctx, c)
		return err
	})
	l.records.browserLogin(ctx, u, err)
	return cookie, u, err
}

// VerifyCookie implements facade.Logins and web.Browsers.
func (l observedLogins) VerifyCookie(ctx context.Context, cookie string) (u estate.User, until time.Time, err error) {
	err = l.login(ctx, "cookie", func(ctx context.Context) error {
		u, until, err = l.Logins.VerifyCookie(ctx, cookie)
		return err
	})
	return u, until, err
}
