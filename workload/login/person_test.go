package login

import (
	"crypto"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/juju/names/v6"
	"golang.org/x/oauth2"

	"jimm/workload/estate"
)

func TestAnEmailAddressBecomesAUserName(t *testing.T) {
	for email, want := range map[string]string{
		"alice@example.com":            "alice@example.com",
		"Alice.Liddell+x@EXAMPLE.com":  "alice.liddell+x@example.com",
		"john_doe@example.com":         "john-doe833295@example.com",
		"John_Doe@Example.com":         "john-doe833295@example.com",
		"john/doe@example.com":         "john-doeb1b480@example.com",
		"o'neil@example.com":           "o-neil2a8d5b@example.com",
		"_root@example.com":            "root8ad94a@example.com",
		"j@example.com":                "jdd2fe0@example.com",
		`"a@b"@example.com`:            "a-b-4c23f5@example.com",
		"josé@example.com":             "jos-b0a53c@example.com",
		"\u212Aelvin@example.com":      "elvin0ad876@example.com", // the Kelvin sign
		"alice@sub-domain.example.com": "alice@sub-domain.example.com",
		"alice@xn--bcher-kva.example":  "alice@xn--bcher-kva.example",
	} {
		got, err := personName(email)
		if err != nil || got != want {
			t.Errorf("%q: got %q, %v, want %q", email, got, err, want)
		}
	}
}

func TestAnEmailAddressMayNotBecomeAUserName(t *testing.T) {
	s := offline(t, nil)
	for name, email := range map[string]string{
		"empty":                     "",
		"without domain":            "alice",
		"with an empty domain":      "alice@",
		"without local part":        "@example.com",
		"of a local user":           "admin@local",
		"of a service account":      "robot@serviceaccount",
		"of one, in upper case":     "robot@ServiceAccount",
		"of everyone":               "everyone@external",
		"of JIMM":                   "JIMM@example.com",
		"at an address":             "alice@[127.0.0.1]",
		"at a strange domain":       "alice@exa_mple.com",
		"at one of a Kelvin sign":   "alice@\u212Aelvin.com",
		"at a domain of one letter": "alice@x",
		"with a line break":         "alice@example.com\n",
		"with a space":              "alice@example.com ",
		"too long":                  strings.Repeat("a", 250) + "@example.com",
	} {
		got, err := personName(email)
		if err == nil {
			err = s.checkPerson(got)
		}
		if !estate.Is(err, estate.CodeNotValid) {
			t.Errorf("an address %s becomes %q, %v", name, got, err)
		}
	}
}

func FuzzAUserNameIsOneJujuTakes(f *testing.F) {
	for _, seed := range []string{
		"alice@example.com", "A_B@Example.COM", "a@b@c", "@", "j@example.com", "_@example.com", "\u212A@x.y", "\xff@example.com", "a b@example.com",
		"x@local", "x@serviceaccount", "-@example.com", strings.Repeat("a", 300) + "@example.com",
	} {
		f.Add(seed)
	}
	s := offline(f, nil)
	f.Fuzz(func(t *testing.T, email string) {
		name, err := personName(email)
		if err != nil {
			if name != "" || !estate.Is(err, estate.CodeNotValid) {
				t.Errorf("%q gives %q, %v", email, name, err)
			}
			return
		}
		if !names.IsValidUser(name) || name != strings.ToLower(name) || len(name) > maxName {
			t.Errorf("%q becomes %q", email, name)
		}
		tag := names.NewUserTag(name)
		if at := strings.LastIndexByte(email, '@'); !strings.EqualFold(tag.Domain(), email[at+1:]) && tag.Domain() != "" {
			t.Errorf("%q becomes %q, of another domain", email, name)
		}
		if again, err := personName(name); err != nil || again != name {
			t.Errorf("%q becomes %q, and that %q, %v", email, name, again, err)
		}
		if upper, err := personName(upperASCII(email)); err != nil || upper != name {
			t.Errorf("%q becomes %q, but in upper case %q, %v", email, name, upper, err)
		}
		if s.checkPerson(name) == nil && (tag.IsLocal() || tag.Domain() == "serviceaccount" || tag.Domain() == "external") {
			t.Errorf("%q may be %q", email, name)
		}
	})
}

func upperASCII(s string) string {
	b := []byte(s)
	for i, c := range b {
		if c >= 'a' && c <= 'z' {
			b[i] = c - 'a' + 'A'
		}
	}
	return string(b)
}

// issuer signs whatever a test wants.
type issuer struct {
	url      string
	key      *rsa.PrivateKey
	userInfo map[string]any
	// told is what it says about any access token, if it tells.
	told map[string]any
}

var issuerKey, _ = rsa.GenerateKey(rand.Reader, 2048)

func newIssuer(t *testing.T) *issuer {
	i := &issuer{key: issuerKey}
	mux := http.NewServeMux()
	answer := func(path string, content func() any) {
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_ = json.NewEncoder(w).Encode(content())
		})
	}
	answer("/.well-known/openid-configuration", func() any {
		endpoints := map[string]any{"issuer": i.url, "jwks_uri": i.url + "/keys", "token_endpoint": i.url + "/token", "userinfo_endpoint": i.url + "/userinfo"}
		if i.told != nil {
			endpoints["introspection_endpoint"] = i.url + "/introspect"
		}
		return endpoints
	})
	mux.HandleFunc("POST /introspect", func(w http.ResponseWriter, r *http.Request) {
		if id, secret, _ := r.BasicAuth(); id != "jimm" || secret != "" || r.FormValue("token") == "" {
			http.Error(w, "who asks?", http.StatusUnauthorized)
			return
		}
		_ = json.NewEncoder(w).Encode(i.told)
	})
	answer("/keys", func() any {
		return jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{KeyID: "1", Algorithm: "RS256", Use: "sig", Key: issuerKey.Public()}}}
	})
	answer("/userinfo", func() any { return i.userInfo })
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	i.url = server.URL
	return i
}

// token makes a token of an hour, with these claims beside the usual ones.
func (i *issuer) token(t *testing.T, claims map[string]any) string {
	t.Helper()
	all := map[string]any{"iss": i.url, "aud": "jimm", "sub": "1234", "iat": noon.Unix(), "exp": noon.Add(time.Hour).Unix()}
	maps.Copy(all, claims)
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: jose.JSONWebKey{KeyID: "1", Key: i.key}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	token, err := jwt.Signed(signer).Claims(all).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// unsigned makes a token say that it needs no signature.
func unsigned(token string) string {
	return base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none","kid":"1"}`)) + "." + strings.Split(token, ".")[1] + "."
}

// confused signs a token with the public key, as if it were a shared secret.
func confused(token string) string {
	head := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"HS256","kid":"1"}`)) + "." + strings.Split(token, ".")[1]
	mac := hmac.New(sha256.New, x509.MarshalPKCS1PublicKey(&issuerKey.PublicKey))
	mac.Write([]byte(head))
	return head + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// swapped puts another payload under the signature.
func swapped(token string) string {
	parts := strings.Split(token, ".")
	return parts[0] + "." + base64.RawURLEncoding.EncodeToString([]byte(`{"email":"bob@example.com","email_verified":true}`)) + "." + parts[2]
}

func TestWhoAPersonIs(t *testing.T) {
	ok := map[string]any{"email": "Alice@example.com", "email_verified": true}
	with := func(changes map[string]any) map[string]any {
		claims := maps.Clone(ok)
		maps.Copy(claims, changes)
		return claims
	}
	stranger, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		id, access, userInfo map[string]any
		opaque               string
		// told is what the issuer says about the access token.
		told map[string]any
		// forge changes the id token.
		forge   func(token string) string
		key     crypto.Signer
		config  func(*Config)
		want    person
		problem string
		nonce   string
	}{
		"is in the id token":                        {id: ok},
		"with a name":                               {id: with(map[string]any{"name": "Alice\x1b[31m A."}), want: person{DisplayName: "Alice[31m A."}},
		"with a user name at the issuer":            {id: with(map[string]any{"preferred_username": "alice"}), want: person{DisplayName: "alice"}},
		"verified by a string":                      {id: with(map[string]any{"email_verified": "true"})},
		"not verified":                              {id: with(map[string]any{"email_verified": false}), problem: "not verified"},
		"not verified by a string":                  {id: with(map[string]any{"email_verified": "false"}), problem: "not verified"},
		"verified by a number":                      {id: with(map[string]any{"email_verified": 1}), problem: "not verified"},
		"verified by nobody":                        {id: map[string]any{"email": "alice@example.com"}, problem: "not verified"},
		"verified by trust":                         {id: map[string]any{"email": "alice@example.com"}, config: func(c *Config) { c.TrustEmail = true }},
		"not verified, with trust":                  {id: with(map[string]any{"email_verified": false}), config: func(c *Config) { c.TrustEmail = true }, problem: "not verified"},
		"without e-mail":                            {id: map[string]any{"email_verified": true}, problem: "no e-mail"},
		"is in user info":                           {id: map[string]any{}, userInfo: with(map[string]any{"sub": "1234"})},
		"is in user info, unverified":               {id: map[string]any{}, userInfo: map[string]any{"sub": "1234", "email": "alice@example.com"}, problem: "not verified"},
		"user info is of another":                   {id: map[string]any{}, userInfo: with(map[string]any{"sub": "5678"}), problem: "no e-mail"},
		"user info cannot lift a no":                {id: with(map[string]any{"email_verified": false}), userInfo: with(map[string]any{"sub": "1234"}), problem: "not verified"},
		"is for another client":                     {id: with(map[string]any{"aud": "other"}), problem: "does not answer"},
		"is from another issuer":                    {id: with(map[string]any{"iss": "https://evil.example.com"}), problem: "does not answer"},
		"is over by less than clocks may differ":    {id: with(map[string]any{"iat": noon.Add(-time.Hour).Unix(), "exp": noon.Add(-time.Minute).Unix()})},
		"is over by more":                           {id: with(map[string]any{"exp": noon.Add(-leeway - time.Second).Unix()}), problem: "does not answer"},
		"is of an issuer whose clock is ahead":      {id: with(map[string]any{"iat": noon.Add(leeway).Unix(), "nbf": noon.Add(leeway).Unix(), "exp": noon.Add(leeway + time.Minute).Unix()})},
		"is not valid yet":                          {id: with(map[string]any{"nbf": noon.Add(10 * time.Minute).Unix()}), problem: "does not answer"},
		"is not signed":                             {id: ok, forge: unsigned, problem: "does not answer"},
		"is signed with our public key as a secret": {id: ok, forge: confused, problem: "does not answer"},
		"has another payload than was signed":       {id: ok, forge: swapped, problem: "does not answer"},
		"with groups that Hydra keeps apart":        {id: ok, access: map[string]any{"ext": map[string]any{"groups": []string{"x"}}}, want: person{User: estate.User{Groups: []string{"x"}}}},
		"with groups that the issuer tells":         {id: with(map[string]any{"groups": []string{"x"}}), opaque: "opaque", told: map[string]any{"active": true, "groups": []string{"y"}}, want: person{User: estate.User{Groups: []string{"y"}}}},
		"with groups that the issuer does not tell": {id: with(map[string]any{"groups": []string{"x"}}), opaque: "opaque", told: map[string]any{"active": true}, want: person{User: estate.User{Groups: []string{"x"}}}},
		"with a token that is not active":           {id: ok, opaque: "opaque", told: map[string]any{"active": false, "groups": []string{"y"}}, problem: "does not answer"},
		"is signed with another key":                {id: ok, key: stranger, problem: "does not answer"},
		"is a service account":                      {id: with(map[string]any{"email": "robot@serviceaccount"}), problem: "not one that people can have"},
		"is JIMM":                                   {id: with(map[string]any{"email": "jimm@example.com"}), problem: "not one that people can have"},
		"with groups in the access token":           {id: with(map[string]any{"groups": []string{"x"}}), access: map[string]any{"groups": []string{"b", "a", "", "b"}}, want: person{User: estate.User{Groups: []string{"a", "b"}}}},
		"with groups in the id token":               {id: with(map[string]any{"groups": []string{"x"}}), want: person{User: estate.User{Groups: []string{"x"}}}},
		"with one group":                            {id: with(map[string]any{"groups": "x"}), want: person{User: estate.User{Groups: []string{"x"}}}},
		"with groups of another kind":               {id: with(map[string]any{"groups": map[string]any{"x": 1}})},
		"with a forged access token":                {id: ok, opaque: "eyJhbGciOiJub25lIn0.eyJncm91cHMiOlsieCJdfQ."},
		"with the nonce of this login":              {id: with(map[string]any{"nonce": "n"}), nonce: "n"},
		"with the nonce of another login":           {id: with(map[string]any{"nonce": "m"}), nonce: "n", problem: "does not answer"},
		"without a nonce":                           {id: ok, nonce: "n", problem: "does not answer"},
		"with groups nobody asked for":              {id: with(map[string]any{"groups": []string{"x"}}), config: func(c *Config) { c.GroupClaim = "" }},
	} {
		t.Run(name, func(t *testing.T) {
			i := newIssuer(t)
			i.userInfo, i.told = c.userInfo, c.told
			s := offline(t, func(config *Config) {
				config.Issuer, config.HTTPClient, config.GroupClaim = i.url, nil, "groups"
				if c.config != nil {
					c.config(config)
				}
			})
			provider, err := s.discover(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			granted := &oauth2.Token{AccessToken: c.opaque, TokenType: "Bearer"}
			if c.access != nil {
				granted.AccessToken = i.token(t, c.access)
			}
			if c.key != nil {
				i.key = c.key.(*rsa.PrivateKey)
			}
			forge := c.forge
			if forge == nil {
				forge = func(token string) string { return token }
			}
			got, err := s.person(t.Context(), provider, granted.WithExtra(map[string]any{"id_token": forge(i.token(t, c.id))}), c.nonce)
			if c.problem != "" {
				if err == nil || !strings.Contains(err.Error(), c.problem) || got.Name != "" {
					t.Errorf("got %+v, error %v, want one with %q", got, err, c.problem)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			c.want.Name = "alice@example.com"
			if !reflect.DeepEqual(got, c.want) {
				t.Errorf("got %#v, want %#v", got, c.want)
			}
		})
	}
}
