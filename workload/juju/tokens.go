package juju

import (
	"encoding/base64"
	"time"

	"github.com/google/uuid"
	"github.com/juju/names/v6"

	"jimm/workload/estate"
)

// Tokens makes the tokens that JIMM logs in to controllers with on behalf of
// users (and of itself).
type Tokens struct {
	Keys *Keys
	// Issuer is JIMM's DNS name.
	Issuer string
	// Life is how long a token is valid (default 5 m). It bounds logins, not
	// the connections they open: a controller never looks at a token again.
	Life time.Duration
	// Now and NewID have defaults: time.Now and a random UUID.
	Now   func() time.Time
	NewID func() string
}

// tokenClaims is the body of a token, as Juju's apiserver/authentication/jwt
// reads it: sub and access. Juju verifies the signature and exp.
type tokenClaims struct {
	Issuer   string        `json:"iss"`
	Subject  string        `json:"sub"`
	Audience []string      `json:"aud"`
	IssuedAt int64         `json:"iat"`
	Expires  int64         `json:"exp"`
	ID       string        `json:"jti"`
	Access   estate.Claims `json:"access"`
}

// Mint returns a token that lets u act on one controller with exactly these
// claims, in the form that Admin.Login and the Authorization header want: the
// compact JWS in padded base64.
func (t *Tokens) Mint(controllerUUID string, u estate.User, claims estate.Claims) (string, error) {
	if !names.IsValidUser(u.Name) {
		return "", estate.Errorf(estate.CodeBadRequest, "cannot make a token: its user has no valid name")
	}
	if claims == nil {
		claims = estate.Claims{}
	}
	now := t.now()
	compact, err := t.Keys.Sign(tokenClaims{
		Issuer:   t.Issuer,
		Subject:  u.Tag().String(),
		Audience: []string{controllerUUID},
		IssuedAt: now.Unix(),
		Expires:  now.Add(t.life()).Unix(),
		ID:       t.newID(),
		Access:   claims,
	})
	if err != nil {
		return "", err
	}
	return base64.StdEncoding.EncodeToString([]byte(compact)), nil
}

func (t *Tokens) life() time.Duration {
	if t.Life > 0 {
		return t.Life
	}
	return 5 * time.Minute
}

func (t *Tokens) now() time.Time {
	if t.Now != nil {
		return t.Now()
	}
	return time.Now()
}

func (t *Tokens) newID() string {
	if t.NewID != nil {
		return t.NewID()
	}
	return uuid.NewString()
}
