package facade

import (
	"context"
	"encoding/json"
	"sync/atomic"
	"time"

	"jimm/workload/estate"
	"jimm/workload/login"
)

// Logins tells who is calling; login.Service does.
type Logins interface {
	StartDevice(ctx context.Context) (*login.Device, error)
	AwaitDevice(ctx context.Context, d *login.Device) (token string, u estate.User, err error)
	VerifyToken(ctx context.Context, token string) (estate.User, error)
	ClientCredentials(ctx context.Context, id, secret string) (estate.User, error)
	VerifyCookie(ctx context.Context, cookie string) (u estate.User, until time.Time, err error)
}

// Admin answers the Admin facade of one connection, of either kind, until one
// of its methods logs in.
type Admin struct {
	logins Logins
	cookie string
	device atomic.Pointer[login.Device]
	// refused is why client credentials did not log in. Juju 4 then tries a session
	// token, though it has none, and would wait for a person to log in.
	refused atomic.Pointer[error]
}

// NewAdmin makes the Admin facade of a new connection, which was made with this
// cookie of a session by browser, or none.
func NewAdmin(logins Logins, cookie string) *Admin { return &Admin{logins: logins, cookie: cookie} }

// Handle answers a request to the Admin facade. User is set when it logs in;
// the login result is then the caller's to make.
//
// Errors: CodeSessionTokenInvalid makes a client start the device flow;
// CodeNotSupported is for the logins of clients without the company account.
func (a *Admin) Handle(ctx context.Context, version int, method string, p json.RawMessage) (result any, user *estate.User, err error) {
	if version < 4 || method == "Login" {
		if method == "Login" || method == "RedirectInfo" {
			return nil, nil, errOldLogin
		}
		return nil, nil, estate.Errorf(estate.CodeNotImplemented, "no such request - method Admin(%d).%s is not implemented", version, clip(method))
	}
	switch method {
	case "LoginDevice":
		device, err := a.logins.StartDevice(ctx)
		if err != nil {
			return nil, nil, err
		}
		a.device.Store(device)
		return deviceResult{UserCode: device.UserCode, VerificationURI: device.VerificationURI}, nil, nil
	case "GetDeviceSessionToken":
		device := a.device.Load()
		if device == nil {
			return nil, nil, estate.Errorf(estate.CodeBadRequest, "no login by device has been started on this connection")
		}
		token, _, err := a.logins.AwaitDevice(ctx, device)
		if err != nil {
			return nil, nil, err
		}
		return tokenParams{SessionToken: token}, nil, nil
	case "LoginWithSessionToken":
		var args tokenParams
		if err := decode(p, &args); err != nil {
			return nil, nil, err
		}
		if refused := a.refused.Load(); args.SessionToken == "" && refused != nil {
			return nil, nil, login.Failed(*refused)
		}
		u, err := a.logins.VerifyToken(ctx, args.SessionToken)
		if err != nil {
			return nil, nil, err
		}
		return nil, &u, nil
	case "LoginWithClientCredentials":
		var args clientParams
		if err := decode(p, &args); err != nil {
			return nil, nil, err
		}
		u, err := a.logins.ClientCredentials(ctx, args.ClientID, args.ClientSecret)
		if err != nil {
			a.refused.Store(&err)
			return nil, nil, err
		}
		return nil, &u, nil
	case "LoginWithSessionCookie":
		u, _, err := a.logins.VerifyCookie(ctx, a.cookie)
		if err != nil {
			return nil, nil, err
		}
		return nil, &u, nil
	case "RedirectInfo":
		return nil, nil, estate.Errorf(estate.CodeNotImplemented, "not redirected")
	}
	return nil, nil, estate.Errorf(estate.CodeNotImplemented, "no such request - method Admin(%d).%s is not implemented", version, clip(method))
}

var errOldLogin = &estate.Error{
	Code:    estate.CodeNotSupported,
	Message: "this is JIMM: log in with the company account (juju login, without -u), or with JUJU_CLIENT_ID and JUJU_CLIENT_SECRET; clients before Juju 3.5 cannot",
}

func decode(p json.RawMessage, into any) error {
	if len(p) == 0 {
		return nil
	}
	if err := json.Unmarshal(p, into); err != nil {
		// The parameters hold secrets, and an error of the decoder may quote them.
		return estate.Errorf(estate.CodeBadRequest, "cannot read the login's parameters")
	}
	return nil
}

// The parameters and results of Admin v4, as in Juju's
// api/sessiontokenloginprovider.go and api/clientcredentialsloginprovider.go.
type (
	deviceResult struct {
		UserCode        string `json:"user-code"`
		VerificationURI string `json:"verification-uri"`
	}
	tokenParams struct {
		SessionToken string `json:"session-token"`
	}
	clientParams struct {
		ClientID     string `json:"client-id"`
		ClientSecret string `json:"client-secret"`
	}
)
