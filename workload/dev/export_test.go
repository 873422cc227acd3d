package dev

import (
	"encoding/base64"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"

	"jimm/workload/openfga/embedded"
)

// UnitEnvironment is the environment of a jimmsrv that is one more unit of the stack's
// JIMM, on the same services. They are there until stop is called.
func (s *Stack) UnitEnvironment() (_ map[string]string, stop func(), err error) {
	certificate, key, err := s.ca.serverFiles(s.options.Dir, s.tls)
	if err != nil {
		return nil, nil, err
	}
	permissions, ok := s.around.permissions.(*embedded.Server)
	if !ok {
		return nil, nil, errors.New("only for a stack with embedded services")
	}
	fga := httptest.NewServer(http.HandlerFunc(permissions.Handler().ServeHTTP))
	host, port, err := net.SplitHostPort(fga.Listener.Addr().String())
	return map[string]string{
		"JIMM_UUID": s.state.UUID, "JIMM_DSN": s.Store.Pool().Config().ConnString(), "JIMM_TLS_CERT": certificate, "JIMM_TLS_KEY": key, "JIMM_CA_FILE": s.CAFile,
		"JIMM_OAUTH_ISSUER_URL": s.Issuer, "JIMM_OAUTH_CLIENT_ID": s.around.provider.ID, "JIMM_OAUTH_CLIENT_SECRET": s.around.provider.Secret,
		"JIMM_SESSION_SECRET_KEY": s.state.SessionKey, "JIMM_SECRET_STORAGE_KEYS": base64.StdEncoding.EncodeToString([]byte(s.state.SealKey)),
		"OPENFGA_HOST": host, "OPENFGA_PORT": port, "OPENFGA_LIST_OBJECTS_MAX_RESULTS": "0",
	}, fga.Close, err
}
