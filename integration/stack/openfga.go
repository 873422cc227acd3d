package stack

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
)

// startOpenFGA starts the server with a preshared key, and makes JIMM's store.
// JIMM writes its model there itself.
func (s *Stack) startOpenFGA(ctx context.Context) error {
	o := s.options
	key := s.state.Secrets["openfga key"]
	env := environment(
		"OPENFGA_DATASTORE_ENGINE=postgres",
		"OPENFGA_DATASTORE_URI="+s.dsn("openfga"),
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
	var err error
	s.OpenFGAStore, err = s.Store(ctx, "jimm")
	return err
}

func (s *Stack) openFGA() rest {
	return rest{s.options.Client, s.OpenFGAURL, http.Header{"Authorization": {"Bearer " + s.OpenFGAToken}}}
}

// Store finds a store at OpenFGA by its name, or makes one.
func (s *Stack) Store(ctx context.Context, name string) (id string, err error) {
	var found struct {
		Stores []struct{ ID string }
	}
	if err := s.openFGA().call(ctx, http.MethodGet, "/stores?name="+url.QueryEscape(name), nil, &found); err != nil {
		return "", fmt.Errorf("cannot find a store at OpenFGA: %w", err)
	}
	if len(found.Stores) > 0 {
		return found.Stores[0].ID, nil
	}
	var made struct{ ID string }
	if err := s.openFGA().call(ctx, http.MethodPost, "/stores", map[string]string{"name": name}, &made); err != nil {
		return "", fmt.Errorf("cannot make a store at OpenFGA: %w", err)
	}
	return made.ID, nil
}

// RemoveStore loses a store, as the loss of OpenFGA's database would.
func (s *Stack) RemoveStore(ctx context.Context, id string) error {
	return s.openFGA().call(ctx, http.MethodDelete, "/stores/"+url.PathEscape(id), nil, nil)
}
