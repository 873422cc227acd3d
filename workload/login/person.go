package login

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/juju/names/v6"
	"golang.org/x/oauth2"

	"jimm/workload/estate"
)

const (
	// serviceAccountDomain is the domain of service accounts, which people
	// cannot have.
	serviceAccountDomain = "serviceaccount"
	// maxName is the longest user name, in bytes; an e-mail address has no more
	// (RFC 5321, section 4.5.3.1.3).
	maxName = 254
	// maxDisplayName is in runes.
	maxDisplayName = 128
)

// foreignDomains are those no person has: local users of a controller, service
// accounts, and everyone@external.
var foreignDomains = []string{names.LocalUserDomain, serviceAccountDomain, "external"}

// person is who logged in.
type person struct {
	estate.User
	DisplayName string
}

// emailClaims are the claims of OpenID Connect Core 1.0, section 5.1, that tell
// who a person is.
type emailClaims struct {
	Email             string    `json:"email"`
	EmailVerified     *verified `json:"email_verified"`
	Name              string    `json:"name"`
	PreferredUsername string    `json:"preferred_username"`
}

// verified is a boolean that some issuers write as a string.
type verified bool

func (v *verified) UnmarshalJSON(b []byte) error {
	*v = string(b) == "true" || string(b) == `"true"`
	return nil
}

// person tells who a token was granted to. A nonce is what the id token must
// say, unless it is empty.
func (s *Service) person(ctx context.Context, provider *oidc.Provider, granted *oauth2.Token, nonce string) (person, error) {
	ctx = s.clientContext(ctx)
	raw, _ := granted.Extra("id_token").(string)
	if raw == "" {
		return person{}, unreachable(errors.New("token answer without id_token"))
	}
	idToken, err := provider.VerifierContext(ctx, &oidc.Config{ClientID: s.config.ClientID, Now: s.issuerNow}).Verify(ctx, raw)
	if err != nil {
		s.config.Log.ErrorContext(ctx, "cannot verify an id token", "error", err)
		return person{}, unreachable(err)
	}
	if nonce != "" && idToken.Nonce != nonce {
		s.config.Log.Error("an id token is of another login")
		return person{}, unreachable(errors.New("id token with another nonce"))
	}
	var claims emailClaims
	if err := idToken.Claims(&claims); err != nil {
		return person{}, unreachable(err)
	}
	// An issuer may keep the claims of the scope email for its UserInfo endpoint
	// (OpenID Connect Core 1.0, section 5.4).
	if claims.Email == "" || claims.EmailVerified == nil && !s.config.TrustEmail {
		if err := s.askUserInfo(ctx, provider, granted, idToken.Subject, &claims); err != nil {
			s.config.Log.WarnContext(ctx, "cannot ask the identity provider who this is", "error", err)
		}
	}
	if claims.Email == "" {
		return person{}, refuse("the identity provider gave no e-mail address")
	}
	if claims.EmailVerified == nil && !s.config.TrustEmail {
		s.config.Log.WarnContext(ctx, "the identity provider does not say whether an e-mail address is verified; JIMM_OAUTH_TRUST_EMAIL has it taken as verified")
	}
	if claims.EmailVerified == nil && !s.config.TrustEmail || claims.EmailVerified != nil && !bool(*claims.EmailVerified) {
		return person{}, refuse("the e-mail address of the account is not verified at the identity provider")
	}
	name, err := personName(claims.Email)
	if err != nil {
		return person{}, err
	}
	if err := s.checkPerson(name); err != nil {
		return person{}, err
	}
	groups, err := s.groups(ctx, provider, name, granted, idToken)
	if errors.Is(err, errInactive) {
		return person{}, unreachable(err)
	}
	if err != nil {
		return person{}, err
	}
	return person{User: estate.User{Name: name, Groups: groups}, DisplayName: displayName(claims)}, nil
}

// askUserInfo replaces the claims by those of the UserInfo endpoint, if it has
// an e-mail address of the same person.
func (s *Service) askUserInfo(ctx context.Context, provider *oidc.Provider, granted *oauth2.Token, subject string, claims *emailClaims) error {
	if provider.UserInfoEndpoint() == "" {
		return nil
	}
	info, err := provider.UserInfo(ctx, oauth2.StaticTokenSource(granted))
	if err != nil {
		return err
	}
	var told emailClaims
	if err := info.Claims(&told); err != nil {
		return err
	}
	if info.Subject != subject {
		return errors.New("user info is of another person than the id token")
	}
	if told.Email != "" {
		*claims = told
	}
	return nil
}

// issuerNow is the time for tokens of the issuer, whose clock may be ahead of
// ours or behind it by the leeway: one that has expired by less is valid. (That
// a token is not valid yet is let pass by go-oidc for five minutes, of which
// this leaves three.)
func (s *Service) issuerNow() time.Time { return s.config.Now().Add(-leeway) }

// groups returns the ids of a user's groups: those that a token names, else
// those that the look-up knows, whose errors these are then. errInactive if the
// issuer says that the access token is not valid.
func (s *Service) groups(ctx context.Context, provider *oidc.Provider, userName string, granted *oauth2.Token, idToken *oidc.IDToken) ([]string, error) {
	groups, claimed, err := s.claimedGroups(ctx, provider, granted, idToken)
	if err != nil || claimed || s.config.IdPGroups == nil {
		return groups, err
	}
	groups, err = s.config.IdPGroups.GroupsOf(ctx, userName)
	if err != nil {
		s.config.Log.ErrorContext(ctx, "a login is refused: the groups of the user cannot be looked up", "user", userName, "error", errors.Unwrap(err))
	}
	return groups, err
}

// claimedGroups returns the groups that the access token, else the id token,
// names; ok is false if neither does. An access token need not be a JWT, and not
// one for us to read: the issuer is then asked about it, if that is possible.
// errInactive if it says that the token is not valid.
func (s *Service) claimedGroups(ctx context.Context, provider *oidc.Provider, granted *oauth2.Token, idToken *oidc.IDToken) (groups []string, ok bool, err error) {
	if s.config.GroupClaim == "" {
		return nil, false, nil
	}
	if strings.Count(granted.AccessToken, ".") == 2 {
		// The audience is whatever the issuer takes for an API of ours.
		verifier := provider.VerifierContext(ctx, &oidc.Config{SkipClientIDCheck: true, Now: s.issuerNow})
		access, err := verifier.Verify(ctx, granted.AccessToken)
		if err != nil {
			s.config.Log.WarnContext(ctx, "cannot verify an access token: its groups do not count", "error", err)
		} else if groups, ok := groupsOf(access, s.config.GroupClaim); ok {
			return groups, true, nil
		}
	} else if claims, ok, err := s.introspect(ctx, provider, granted.AccessToken); errors.Is(err, errInactive) {
		return nil, false, err
	} else if err != nil {
		s.config.Log.WarnContext(ctx, "cannot ask about an access token: its groups do not count", "error", err)
	} else if groups, found := groupsIn(claims, s.config.GroupClaim); ok && found {
		return groups, true, nil
	}
	if idToken == nil {
		return nil, false, nil
	}
	groups, ok = groupsOf(idToken, s.config.GroupClaim)
	return groups, ok, nil
}

// groupsOf returns the groups in a token; ok is false if there is no such claim.
func groupsOf(t *oidc.IDToken, claim string) (groups []string, ok bool) {
	var claims map[string]json.RawMessage
	if err := t.Claims(&claims); err != nil {
		return nil, false
	}
	return groupsIn(claims, claim)
}

// groupsIn returns a claim that is a list of strings, or one string; sorted, and
// each once. Hydra has claims that it does not know in one named ext.
func groupsIn(claims map[string]json.RawMessage, claim string) (groups []string, ok bool) {
	raw, ok := claims[claim]
	if !ok {
		var more map[string]json.RawMessage
		if json.Unmarshal(claims["ext"], &more) != nil {
			return nil, false
		}
		if raw, ok = more[claim]; !ok {
			return nil, false
		}
	}
	if err := json.Unmarshal(raw, &groups); err != nil {
		var one string
		if json.Unmarshal(raw, &one) != nil {
			return nil, false
		}
		groups = []string{one}
	}
	groups = slices.DeleteFunc(groups, func(g string) bool { return g == "" })
	slices.Sort(groups)
	return slices.Compact(groups), true
}

// personName is the user name of the owner of an e-mail address: the address in
// lower case, and a dash for each character that Juju forbids in user names, or
// nothing at the beginning, where a dash is forbidden too. To keep names unique
// then, and for a local part of one character, which Juju does not take either,
// the first 6 hex digits of the SHA-256 of the lower-case address are put before
// the @. Errors have CodeNotValid.
func personName(email string) (string, error) {
	email = lowerASCII(email)
	at := strings.LastIndexByte(email, '@')
	if at < 1 {
		return "", refuse("the identity provider gave no e-mail address")
	}
	domain := email[at+1:]
	local := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || strings.ContainsRune(".+-", r) {
			return r
		}
		return '-'
	}, email[:at])
	local = strings.TrimLeft(local, ".+-")
	if local != email[:at] || len(local) == 1 {
		sum := sha256.Sum256([]byte(email))
		local += hex.EncodeToString(sum[:3])
	}
	// Nothing is replaced in the domain: that would give out another one's users.
	if !names.IsValidUserName(local) || !names.IsValidUserDomain(domain) || len(local)+1+len(domain) > maxName {
		return "", refuse("the e-mail address of the account cannot be a Juju user name")
	}
	return local + "@" + domain, nil
}

// checkPerson reports whether a person may have this name.
func (s *Service) checkPerson(name string) error {
	local, domain, ok := strings.Cut(name, "@")
	if !ok || !names.IsValidUserName(local) || !names.IsValidUserDomain(domain) || name != lowerASCII(name) {
		return refuse("the e-mail address of the account cannot be a Juju user name")
	}
	if slices.Contains(foreignDomains, domain) || slices.Contains(s.config.Reserved, name) {
		return refuse("the e-mail address of the account is not one that people can have here")
	}
	return nil
}

// refuse is the error of a person whom the issuer knows and we do not take.
func refuse(why string) error {
	return &estate.Error{Code: estate.CodeNotValid, Message: fmt.Sprintf("cannot log in: %s", why)}
}

// lowerASCII leaves other letters alone: some have an ASCII letter as their
// lower case (the Kelvin sign), and would make two people one.
func lowerASCII(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'A' && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, s)
}

// displayName is for people to read only.
func displayName(c emailClaims) string {
	name := c.Name
	if name == "" {
		name = c.PreferredUsername
	}
	name = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, name)
	if runes := []rune(name); len(runes) > maxDisplayName {
		name = string(runes[:maxDisplayName])
	}
	return name
}
