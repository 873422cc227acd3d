// Package macaroons answers controllers that ask whether somebody may consume
// an offer. A controller whose offer a model elsewhere wants to relate to gives
// that model's controller a macaroon with a condition for JIMM to confirm; the
// other takes it here, and what it gets is proof for the first one. Both speak
// the protocol of the bakery (github.com/go-macaroon-bakery), third-party
// caveats and their discharge.
//
// Controllers find the way here by their login-token-refresh-url, with
// macaroons in place of .well-known/jwks.json (Juju 3.6.11 and 4.1,
// JAASOfferBakery).
package macaroons

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/go-macaroon-bakery/macaroon-bakery/v3/bakery/checkers"
	"github.com/go-macaroon-bakery/macaroon-bakery/v3/httpbakery"
	"github.com/juju/names/v6"
	"gopkg.in/errgo.v1"

	"jimm/workload/estate"
)

// Path is where the handler is found.
const Path = "/macaroons"

// Offers tells who may consume an offer: estate.Estate does.
type Offers interface {
	// CheckConsumer fails with estate.CodeUnauthorized unless the user may.
	CheckConsumer(ctx context.Context, userName, offerUUID string) error
}

// Config are the settings of a handler.
type Config struct {
	Offers  Offers
	Secrets estate.Secrets
	// Life is for how long what was confirmed is valid (default 15 m): so long
	// may a relation be made after the right to it is gone.
	Life time.Duration
	// Timeout bounds one answer (default 30 s).
	Timeout time.Duration
	// Now tells the time (default time.Now).
	Now func() time.Time
	Log *slog.Logger
}

// maxRequest bounds a request in bytes; a caveat has some hundred.
const maxRequest = 64 << 10

// Handler returns the handler for everything below Path. It loads the key pair
// that conditions are encrypted to, or makes it: ctx is for that only.
func Handler(ctx context.Context, c Config) (http.Handler, error) {
	if c.Life <= 0 {
		c.Life = 15 * time.Minute
	}
	if c.Timeout <= 0 {
		c.Timeout = 30 * time.Second
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	key, err := openKey(ctx, c.Secrets)
	if err != nil {
		return nil, err
	}
	d := httpbakery.NewDischarger(httpbakery.DischargerParams{
		Key:             key,
		CheckerP:        httpbakery.ThirdPartyCaveatCheckerPFunc(c.check),
		ErrorToResponse: errorToResponse,
	})
	mux := http.NewServeMux()
	d.AddMuxHandlers(mux, Path)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), c.Timeout)
		defer cancel()
		r = r.WithContext(ctx)
		r.Body = http.MaxBytesReader(w, r.Body, maxRequest)
		mux.ServeHTTP(w, r)
	}), nil
}

// isConsumer is the only condition that we confirm.
const isConsumer = "is-consumer"

// The facts that a controller looks for in what we confirm. It has declared
// the model of the offer and the user itself.
const (
	factOffer = "offer-uuid"
	factUser  = "username"
)

// check confirms is-consumer <user tag> <offer UUID>.
func (c Config) check(ctx context.Context, p httpbakery.ThirdPartyCaveatCheckerParams) ([]checkers.Caveat, error) {
	condition, args, err := checkers.ParseCaveat(string(p.Caveat.Condition))
	if err != nil {
		return nil, badRequest("the condition cannot be read")
	}
	if condition != isConsumer {
		return nil, badRequest("%s is the only condition that can be confirmed here", isConsumer)
	}
	fields := strings.Fields(args)
	if len(fields) != 2 {
		return nil, badRequest("the condition %s has a user tag and the UUID of an offer", isConsumer)
	}
	user, err := names.ParseUserTag(fields[0])
	if err != nil {
		return nil, badRequest("the condition %s has no user tag", isConsumer)
	}
	offer := fields[1]
	if err := c.Offers.CheckConsumer(ctx, user.Id(), offer); err != nil {
		return nil, c.refusal(ctx, err)
	}
	return []checkers.Caveat{
		checkers.DeclaredCaveat(factOffer, offer),
		checkers.DeclaredCaveat(factUser, user.Id()),
		checkers.TimeBeforeCaveat(c.Now().Add(c.Life)),
	}, nil
}

func badRequest(format string, args ...any) error {
	return &httpbakery.Error{Code: httpbakery.ErrBadRequest, Message: fmt.Sprintf(format, args...)}
}

// refusal puts the estate's errors in the bakery's words; what is not for the
// asker goes to the log.
func (c Config) refusal(ctx context.Context, err error) error {
	switch estate.CodeOf(err) {
	case estate.CodeUnauthorized:
		return &httpbakery.Error{Code: httpbakery.ErrPermissionDenied, Message: err.Error()}
	case estate.CodeBadRequest:
		return badRequest("%v", err)
	}
	c.Log.ErrorContext(ctx, "cannot tell who may consume an offer", "error", err, "cause", errors.Unwrap(err))
	if estate.Is(err, estate.CodeConnectionFailed) {
		return &httpbakery.Error{Message: err.Error()}
	}
	return &httpbakery.Error{Message: "internal error"}
}

// errorToResponse is the bakery's, except that what is no answer of ours is a
// request that cannot be read: it says of these that the server is at fault.
func errorToResponse(ctx context.Context, err error) (int, any) {
	if _, ours := errgo.Cause(err).(*httpbakery.Error); !ours {
		err = &httpbakery.Error{Code: httpbakery.ErrBadRequest, Message: err.Error()}
	}
	return httpbakery.ErrorToResponse(ctx, err)
}
