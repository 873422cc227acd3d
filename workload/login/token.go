package login

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"jimm/workload/estate"
)

const (
	// sessionIssuer tells session tokens from anything else that may be signed
	// with keys derived from the same secret.
	sessionIssuer = "jimm"
	// maxToken is the length of the longest session token that is looked at, in
	// bytes.
	maxToken = 64 << 10
	// leeway is by how much clocks may differ, ours and the issuer's: what is
	// older, or from the future by more, is not valid.
	leeway = 2 * time.Minute
)

// newToken makes the token of a session: standard base64 of a compact JWT.
func (s *Service) newToken(of estate.Session) (string, error) {
	compact, err := jwt.Signed(s.signer).Claims(jwt.Claims{
		Issuer:   sessionIssuer,
		Subject:  of.User,
		ID:       of.ID,
		IssuedAt: jwt.NewNumericDate(of.StartedAt),
		Expiry:   jwt.NewNumericDate(of.Expires),
	}).Serialize()
	if err != nil {
		return "", fmt.Errorf("cannot make a session token: %w", err)
	}
	return base64.StdEncoding.EncodeToString([]byte(compact)), nil
}

// VerifyToken tells whose session token this is. Its session is in use then.
// Errors have CodeSessionTokenInvalid, which makes a Juju client start the
// device flow, and the same text whatever is wrong with the token; those
// without a code are of the place where sessions are kept.
func (s *Service) VerifyToken(ctx context.Context, token string) (estate.User, error) {
	claims, err := s.readToken(token)
	if errors.Is(err, errForeign) {
		return estate.User{}, s.attempt(ctx, "", refusedLogin, func() error { return noSession(err) })
	}
	if err != nil {
		return estate.User{}, noSession(err)
	}
	session, err := s.config.Sessions.UseSession(ctx, claims.ID)
	switch {
	case estate.Is(err, estate.CodeNotFound):
		return estate.User{}, noSession(err)
	case err != nil:
		return estate.User{}, err
	case session.User != claims.Subject || session.Kind != estate.SessionDevice:
		return estate.User{}, noSession(errors.New("token is not of its session"))
	}
	return estate.User{Name: session.User, Groups: session.Groups, Session: session.ID}, nil
}

func noSession(cause error) error {
	return &estate.Error{
		Code:    estate.CodeSessionTokenInvalid,
		Message: `no valid session; run "juju login" to log in`,
		Cause:   cause,
	}
}

// errForeign is the cause of errors about what is no token of ours.
var errForeign = errors.New("token is not ours")

// readToken returns what a token of ours says.
func (s *Service) readToken(token string) (jwt.Claims, error) {
	var claims jwt.Claims
	if token == "" {
		return claims, errors.New("no token")
	}
	if len(token) > maxToken {
		return claims, fmt.Errorf("%w: it has %d bytes", errForeign, len(token))
	}
	compact, err := base64.StdEncoding.Strict().DecodeString(token)
	if err != nil {
		return claims, fmt.Errorf("%w: it is not base64", errForeign)
	}
	parsed, err := jwt.ParseSigned(string(compact), []jose.SignatureAlgorithm{jose.HS256})
	if err != nil {
		return claims, fmt.Errorf("%w: it is not a JWT", errForeign)
	}
	if err := parsed.Claims(s.config.SessionKey, &claims); err != nil {
		return claims, fmt.Errorf("%w: it is not signed with our key", errForeign)
	}
	// Without an expiry the library takes a token as valid for ever.
	if claims.Expiry == nil {
		return claims, errors.New("token does not expire")
	}
	if claims.ID == "" {
		return claims, errors.New("token has no id")
	}
	// The clock of the unit that made it may be ahead; when it ends is the
	// session's to say.
	if err := claims.ValidateWithLeeway(jwt.Expected{Issuer: sessionIssuer, Time: s.config.Now()}, leeway); err != nil {
		return claims, err
	}
	return claims, s.checkPerson(claims.Subject)
}
