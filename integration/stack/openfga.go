package stack

import (
	"context"
	"fmt"
	"net/http"
)

// startOpenFGA starts the server with a preshared key, and makes JIMM's store.
// JIMM writes its model there itself.
func (s *Stack) startOpenFGA(ctx context.Context) error {
	o := s.options
	key := s.state.Secrets["openfga key"]
	env := environment(
		"OPENFGA_DATASTORE_ENGINE=postgres",
		"OPENFGA_DATASTORE_URI="+o.Postgres.DSN("openfga"),
		"OPENFGA_DATASTORE_MAX_OPEN_CONNS=20",
		"OPENFGA_AUTHN_METHOD=preshared",
		"OPENFGA_AUTHN_PRESHARED_KEYS="+key,
		"OPENFGA_HTTP_ADDR="+s.address("openfga"),
		"OPENFGA_GRPC_ADDR="+s.address("openfga grpc"),
		"OPENFGA_PLAYGROUND_ENABLED=false",
		"OPENFGA_METRICS_ENABLED=false",
		"OPENFGA_LOG_FORMAT=json",
		"OPENFGA_LOG_LEVEL=info",
	)
	if err := run(ctx, env, o.Bin.OpenFGA, "migrate"); err != nil {
		return fmt.Errorf("cannot make OpenFGA's tables: %w", err)
	}
	s.OpenFGAURL, s.OpenFGAToken = "http://"+s.address("openfga"), key
	s.OpenFGA = NewService("openfga", o.Bin.OpenFGA, o.Dir, o.Client, s.OpenFGAURL+"/healthz", env, "run")
	if err := s.launch(ctx, s.OpenFGA); err != nil {
		return err
	}
	if s.state.OpenFGAStore == "" {
		api := rest{o.Client, s.OpenFGAURL, http.Header{"Authorization": {"Bearer " + key}}}
		var made struct{ ID string }
		if err := api.call(ctx, http.MethodPost, "/stores", map[string]string{"name": "jimm"}, &made); err != nil {
			return fmt.Errorf("cannot make a store at OpenFGA: %w", err)
		}
		s.state.OpenFGAStore = made.ID
	}
	s.OpenFGAStore = s.state.OpenFGAStore
	return s.save()
}
