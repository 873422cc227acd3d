package config

import (
	"net"
	"net/url"
	"strings"
)

// HookService are the settings of the look-up of groups; without an address
// there is none.
type HookService struct {
	// Address is host:port; Plain is without TLS.
	Address string
	Plain   bool
	Scopes  []string
}

func (v *variables) hookService(clientSecret string) HookService {
	const kind, address = "JIMM_IDP_GROUP_FETCHER_TYPE", "JIMM_IDP_HOOK_SERVICE_ADDRESS"
	h := HookService{Address: v.text(address, ""), Scopes: v.words("JIMM_IDP_HOOK_SERVICE_SCOPES")}
	switch t := v.text(kind, ""); {
	case t == "" && h.Address == "":
		return HookService{}
	case t != "hook-service":
		v.fail(kind, "must be hook-service, or empty and %s too, not %q", address, t)
	case h.Address == "":
		v.fail(address, "is missing: set it to the host:port of hook-service")
		return h
	}
	written := h.Address
	if scheme, _, ok := strings.Cut(written, "://"); ok {
		u, err := url.Parse(written)
		if err != nil || scheme != "https" && scheme != "http" || strings.TrimSuffix(written, "/") != scheme+"://"+u.Host {
			v.fail(address, "must be host:port, or a URL of these with http or https, not %q", written)
			return h
		}
		h.Address, h.Plain = u.Host, scheme == "http"
	}
	if host, port, err := net.SplitHostPort(h.Address); err != nil || host == "" || port == "" {
		v.fail(address, "must be host:port, or a URL of these with http or https, not %q", written)
	}
	if clientSecret == "" {
		v.fail("JIMM_OAUTH_CLIENT_SECRET", "is missing: hook-service wants a token, which JIMM gets with it")
	}
	return h
}
