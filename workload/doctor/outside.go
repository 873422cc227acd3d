package doctor

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"jimm/workload/openfga"
	"jimm/workload/server"
	"jimm/workload/trust"
)

func (e *examination) configuration(context.Context) found {
	roots, err := trust.Open(e.Config.CAFile)
	if err != nil {
		e.roots, _ = trust.Open("")
		return bad("mend JIMM_CA_FILE, which must be a file of PEM certificates", err)
	}
	e.roots = roots
	if e.ConfigError != nil {
		return bad("set these in the environment of jimmsrv, and give this command the same", errors.New(strings.ReplaceAll(e.ConfigError.Error(), "\n", "; ")))
	}
	return good("all settings make sense")
}

// host is the name and the port that clients use.
func (e *examination) host() (name, port string) {
	if host, port, err := net.SplitHostPort(e.Config.DNSName); err == nil {
		return host, port
	}
	return e.Config.DNSName, "443"
}

func (e *examination) dns(ctx context.Context) found {
	name, _ := e.host()
	if name == "" {
		return skipped("JIMM_DNS_NAME is not set")
	}
	if net.ParseIP(name) != nil {
		return doubtful("give JIMM a name: certificates and logins of users name it", "%s is an address, not a name", name)
	}
	addresses, err := net.DefaultResolver.LookupHost(ctx, name)
	if err != nil {
		return bad(fmt.Sprintf("make an entry for %s in DNS that leads to the ingress, or mend JIMM_DNS_NAME", name), err)
	}
	return good("%s is %s", name, strings.Join(addresses, ", "))
}

// expiryWarning is how long before its end a certificate is worth a warning.
const expiryWarning = 14 * 24 * time.Hour

func (e *examination) certificate(ctx context.Context) found {
	name, port := e.host()
	if name == "" {
		return skipped("JIMM_DNS_NAME is not set")
	}
	dialer := tls.Dialer{Config: &tls.Config{RootCAs: e.roots.Pool(), ServerName: name, MinVersion: tls.VersionTLS12}}
	conn, err := dialer.DialContext(ctx, "tcp", net.JoinHostPort(name, port))
	var unknown x509.UnknownAuthorityError
	var expired x509.CertificateInvalidError
	var other x509.HostnameError
	switch {
	case errors.As(err, &unknown):
		return bad("have the ingress use a certificate of a public authority, or put yours into JIMM_CA_FILE and into what clients and controllers trust", err)
	case errors.As(err, &other):
		return bad(fmt.Sprintf("get a certificate for %s, or mend JIMM_DNS_NAME", name), err)
	case errors.As(err, &expired):
		return bad("renew the certificate of the ingress", err)
	case err != nil:
		return bad(fmt.Sprintf("see that something listens for JIMM at %s, and that this machine may reach it", net.JoinHostPort(name, port)), err)
	}
	defer conn.Close()
	until := conn.(*tls.Conn).ConnectionState().PeerCertificates[0].NotAfter
	if left := until.Sub(e.Now()); left < expiryWarning {
		return doubtful("renew the certificate of the ingress", "the certificate ends on %s, in %d days", until.Format(time.DateOnly), int(left.Hours()/24))
	}
	return good("the certificate is trusted, until %s", until.Format(time.DateOnly))
}

// fetch gets a JSON document of another server, and notes its clock.
func (e *examination) fetch(ctx context.Context, whose, address string, into any) (http.Header, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	// Without a proxy: that is how controllers in the same network ask.
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: e.roots.Pool(), MinVersion: tls.VersionTLS12}}
	defer transport.CloseIdleConnections()
	response, err := (&http.Client{Transport: transport}).Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if at, err := http.ParseTime(response.Header.Get("Date")); err == nil {
		e.clocks[whose] = at.Sub(e.Now().Truncate(time.Second))
	}
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answers %s", address, response.Status)
	}
	if err := json.NewDecoder(io.LimitReader(response.Body, 1<<20)).Decode(into); err != nil {
		return nil, fmt.Errorf("%s does not answer with JSON: %w", address, err)
	}
	return response.Header, nil
}

// keySet asks for the signing keys at the address that controllers have.
func (e *examination) keySet(ctx context.Context) found {
	if e.Config.DNSName == "" {
		return skipped("JIMM_DNS_NAME is not set")
	}
	address := "https://" + e.Config.DNSName + e.Config.Prefix + "/.well-known/jwks.json"
	var set struct {
		Keys []struct {
			ID        string `json:"kid"`
			Algorithm string `json:"alg"`
			Private   string `json:"d"`
		} `json:"keys"`
	}
	if _, err := e.fetch(ctx, "JIMM", address, &set); err != nil {
		return bad("see that jimmsrv runs and that the ingress passes "+address+" on: without it no controller starts, and none takes a login", err)
	}
	for _, key := range set.Keys {
		switch {
		case key.Private != "":
			return bad("take whatever answers there out of the way at once, and replace the keys: jaas rotate-keys", errors.New(address+" shows private keys"))
		case key.ID == "" || key.Algorithm == "":
			return bad("see what answers there in place of JIMM", errors.New("a key has no kid or no alg, which Juju wants"))
		}
	}
	if len(set.Keys) == 0 {
		return bad("look into the log of jimmsrv for why it has no signing keys", errors.New(address+" has no keys"))
	}
	return good("%s has %d keys", address, len(set.Keys))
}

func (e *examination) issuer(ctx context.Context) found {
	if e.Config.Issuer == "" {
		return skipped("JIMM_OAUTH_ISSUER_URL is not set")
	}
	var provider struct {
		Issuer string   `json:"issuer"`
		Token  string   `json:"token_endpoint"`
		Device string   `json:"device_authorization_endpoint"`
		Keys   string   `json:"jwks_uri"`
		Grants []string `json:"grant_types_supported"`
	}
	address := strings.TrimSuffix(e.Config.Issuer, "/") + "/.well-known/openid-configuration"
	if _, err := e.fetch(ctx, "the identity provider", address, &provider); err != nil {
		return bad("mend JIMM_OAUTH_ISSUER_URL, or let this machine reach the identity provider", err)
	}
	if provider.Issuer != e.Config.Issuer {
		return bad(fmt.Sprintf("set JIMM_OAUTH_ISSUER_URL to %s", provider.Issuer), fmt.Errorf("it calls itself %s, not %s", provider.Issuer, e.Config.Issuer))
	}
	var keys struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if _, err := e.fetch(ctx, "the identity provider", provider.Keys, &keys); err != nil || len(keys.Keys) == 0 {
		return bad("let this machine reach the keys of the identity provider", errors.Join(err, fmt.Errorf("%d keys at %s", len(keys.Keys), provider.Keys)))
	}
	if provider.Device == "" {
		return doubtful("have the identity provider offer the device flow to JIMM's client: juju login needs it", "%s has no device flow", provider.Issuer)
	}
	if len(provider.Grants) > 0 && !slices.Contains(provider.Grants, "client_credentials") {
		return doubtful("have the identity provider allow client credentials if CI or Terraform shall log in", "%s has no client credentials", provider.Issuer)
	}
	return good("%s answers, with device flow", provider.Issuer)
}

// groups asks the look-up of groups, where there is one.
func (e *examination) groups(ctx context.Context) found {
	asked, ok := server.OpenGroups(e.Config, e.roots).(interface{ Ping(context.Context) error })
	if !ok {
		return good("they are read from tokens; JIMM_IDP_GROUP_FETCHER_TYPE is not set")
	}
	if err := asked.Ping(ctx); err != nil {
		return bad("see that hook-service runs at JIMM_IDP_HOOK_SERVICE_ADDRESS and takes the token that JIMM's client gets for JIMM_IDP_HOOK_SERVICE_SCOPES, and that JIMM_CA_FILE has its authority", err)
	}
	return good("hook-service at %s answers", e.Config.HookService.Address)
}

func (e *examination) permissions(ctx context.Context) found {
	if u, err := url.Parse(e.Config.OpenFGAURL); err != nil || u.Hostname() == "" {
		return skipped("OPENFGA_HOST is not set")
	}
	p, err := openfga.Connect(ctx, openfga.Config{
		ReadOnly: true, URL: e.Config.OpenFGAURL, StoreID: e.Config.OpenFGAStore, ModelID: e.Config.OpenFGAAuthModel, Token: e.Config.OpenFGAToken,
		StoreName: "jimm", HTTPClient: &http.Client{Transport: e.roots.Transport(nil)}, Timeout: e.Timeout,
	})
	if err != nil {
		return bad("see that OpenFGA runs at "+e.Config.OpenFGAURL+" and takes OPENFGA_TOKEN; unset OPENFGA_STORE and OPENFGA_AUTH_MODEL, and jimmsrv finds or makes both", err)
	}
	defer p.Close()
	return good("store %s has the model of this version, %s", p.StoreID(), p.ModelID())
}

// skewLimit is how far clocks may differ: tokens for controllers are valid from
// the moment they are made.
const skewLimit = 10 * time.Second

func (e *examination) clockSkew(context.Context) found {
	if len(e.clocks) == 0 {
		return skipped("nobody else has told the time")
	}
	var near, far []string
	for whose, skew := range e.clocks {
		text := fmt.Sprintf("%s %+d s", whose, int(skew.Round(time.Second).Seconds()))
		if skew.Abs() > skewLimit {
			far = append(far, text)
		} else {
			near = append(near, text)
		}
	}
	slices.Sort(near)
	slices.Sort(far)
	if len(far) > 0 {
		return bad("have all machines keep time (chrony): tokens seem expired, or not valid yet, where clocks differ",
			fmt.Errorf("clocks differ from this machine's: %s", strings.Join(far, ", ")))
	}
	return good("against this machine: %s", strings.Join(near, ", "))
}
