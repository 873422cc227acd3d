package login

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"jimm/workload/estate"
)

const (
	// sessionIssuer tells session tokens from anything else that may be signed
	// with keys derived from the same secret.
	sessionIssuer = "jimm"
	// maxToken is the length of the longest session token that is looked at, in
	// bytes. Groups make them long.
	maxToken = 1 << 20
)

// sessionClaims are what a session token says.
type sessionClaims struct {
	jwt.Claims
	Groups []string `json:"groups,omitempty"`
}

// newToken makes a session token: standard base64 of a compact JWT.
func (s *Service) newToken(u estate.User) (string, error) {
	id := make([]byte, 16)
	if _, err := io.ReadFull(s.config.Random, id); err != nil {
		return "", fmt.Errorf("cannot make a session token: %w", err)
	}
	now := s.config.Now()
	compact, err := jwt.Signed(s.signer).Claims(sessionClaims{
		Claims: jwt.Claims{
			Issuer:   sessionIssuer,
			Subject:  u.Name,
			ID:       hex.EncodeToString(id),
			IssuedAt: jwt.NewNumericDate(now),
			Expiry:   jwt.NewNumericDate(now.Add(s.config.SessionLife)),
		},
		Groups: u.Groups,
	}).Serialize()
	if err != nil {
		return "", fmt.Errorf("cannot make a session token: %w", err)
	}
	return base64.StdEncoding.EncodeToString([]byte(compact)), nil
}

// VerifyToken tells whose session token this is. Errors have
// CodeSessionTokenInvalid, which makes a Juju client start the device flow, and
// the same text whatever is wrong.
func (s *Service) VerifyToken(_ context.Context, token string) (estate.User, error) {
	u, err := s.readToken(token)
	if err != nil {
		return estate.User{}, &estate.Error{
			Code:    estate.CodeSessionTokenInvalid,
			Message: `no valid session; run "juju login" to log in`,
			Cause:   err,
		}
	}
	return u, nil
}

func (s *Service) readToken(token string) (estate.User, error) {
	if token == "" {
		return estate.User{}, errors.New("no token")
	}
	if len(token) > maxToken {
		return estate.User{}, fmt.Errorf("token of %d bytes", len(token))
	}
	compact, err := base64.StdEncoding.Strict().DecodeString(token)
	if err != nil {
		return estate.User{}, errors.New("token is not base64")
	}
	parsed, err := jwt.ParseSigned(string(compact), []jose.SignatureAlgorithm{jose.HS256})
	if err != nil {
		return estate.User{}, errors.New("token is not a JWT of ours")
	}
	var claims sessionClaims
	if err := parsed.Claims(s.config.SessionKey, &claims); err != nil {
		return estate.User{}, errors.New("token is not signed with our key")
	}
	// Without an expiry the library takes a token as valid for ever.
	if claims.Expiry == nil {
		return estate.User{}, errors.New("token does not expire")
	}
	if err := claims.ValidateWithLeeway(jwt.Expected{Issuer: sessionIssuer, Time: s.config.Now()}, 0); err != nil {
		return estate.User{}, err
	}
	if err := s.checkPerson(claims.Subject); err != nil {
		return estate.User{}, err
	}
	return estate.User{Name: claims.Subject, Groups: claims.Groups}, nil
}
