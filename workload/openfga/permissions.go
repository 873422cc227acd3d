// Package openfga is the estate's permissions: the relationship tuples in an
// OpenFGA server (1.10 or newer), reached over its HTTP API. The authorization
// model is model.fga; package embedded runs the server inside the process.
package openfga

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"time"

	fga "github.com/openfga/go-sdk"
	"github.com/openfga/go-sdk/client"
	"github.com/openfga/go-sdk/credentials"

	"jimm/workload/estate"
)

// What an OpenFGA server does unless it is told otherwise
// (OPENFGA_LIST_USERS_MAX_RESULTS, OPENFGA_LIST_OBJECTS_DEADLINE and
// OPENFGA_LIST_USERS_DEADLINE).
const (
	DefaultListLimit    = 1000
	DefaultListDeadline = 3 * time.Second
)

// Config says which OpenFGA server and store to use.
type Config struct {
	// ReadOnly fails where a store or a model would have to be made.
	ReadOnly bool
	// URL is the server's HTTP API, "http://openfga.example:8080".
	URL string
	// Token is the preshared key of the server, empty if it has none.
	Token string
	// StoreID is the store. If it is empty, the oldest store that is called
	// StoreName is used, and made if there is none.
	StoreID   string
	StoreName string
	// ModelID is the authorization model in the store, which must be ours. If
	// it is empty, the newest one that is ours is used, and written if there
	// is none.
	ModelID string
	// Lock, if set, is held while store and model are found or made, so that
	// units which start at once agree on the store: OpenFGA itself lets two
	// stores have one name. It must be shared by all units.
	Lock func(ctx context.Context) (unlock func(), err error)

	// ObjectsLimit is how many objects the server lists
	// (OPENFGA_LIST_OBJECTS_MAX_RESULTS); negative where there is no limit, which
	// is 0 there, and the fastest. Longer lists are taken from the stream. Zero
	// means ListLimit.
	ObjectsLimit int
	// ListLimit and ListDeadline are what the server is configured with: a list
	// of users as long as the limit, or any list that took as long as the
	// deadline, may have been cut and is completed from the tuples themselves.
	// Zero means OpenFGA's defaults, 1000 and 3 s.
	ListLimit    int
	ListDeadline time.Duration

	// Timeout bounds each request to the server; 10 s if it is zero.
	Timeout time.Duration
	// HTTPClient replaces the client that requests are made with: for a CA of
	// one's own, or another transport.
	HTTPClient *http.Client
}

// Permissions implements estate.Permissions on an OpenFGA server. Every answer
// is read at OpenFGA's higher consistency, so a permission that was taken away
// is gone with the next question.
type Permissions struct {
	readOnly bool
	client   *client.OpenFgaClient
	lister   *client.OpenFgaClient // does not try again: a list past its deadline would only be so again
	http     *http.Client
	schema   schema
	timeout  time.Duration

	storeID, modelID string
	listLimit        int
	objectsLimit     int
	listDeadline     time.Duration
}

var _ estate.Permissions = (*Permissions)(nil)

// Connect reaches the server, finds or (unless ReadOnly) makes the store and the
// authorization model in it, and returns the permissions there.
func Connect(ctx context.Context, config Config) (*Permissions, error) {
	m, err := model()
	if err != nil {
		return nil, fmt.Errorf("cannot read the authorization model: %w", err)
	}
	if address, err := url.Parse(config.URL); err != nil || address.Host == "" || address.Scheme != "http" && address.Scheme != "https" {
		return nil, fmt.Errorf("cannot use OpenFGA at %q: not an http or https URL", config.URL)
	}
	p := &Permissions{
		http:         config.HTTPClient,
		schema:       m.schema,
		timeout:      config.Timeout,
		listLimit:    config.ListLimit,
		objectsLimit: config.ObjectsLimit,
		listDeadline: config.ListDeadline,
		readOnly:     config.ReadOnly,
	}
	if p.timeout == 0 {
		p.timeout = 10 * time.Second
	}
	if p.listLimit == 0 {
		p.listLimit = DefaultListLimit
	}
	if p.objectsLimit == 0 {
		p.objectsLimit = p.listLimit
	}
	if p.listDeadline == 0 {
		p.listDeadline = DefaultListDeadline
	}
	if p.http == nil {
		// The two idle connections of the default transport are too few for a
		// server whose every request asks a question.
		transport := http.DefaultTransport.(*http.Transport).Clone()
		transport.MaxIdleConnsPerHost = 64
		p.http = &http.Client{Transport: transport}
	}
	settings := client.ClientConfiguration{
		ApiUrl:      config.URL,
		HTTPClient:  p.http,
		RetryParams: &fga.RetryParams{MaxRetry: 2, MinWaitInMs: 50},
	}
	if config.Token != "" {
		settings.Credentials = &credentials.Credentials{
			Method: credentials.CredentialsMethodApiToken,
			Config: &credentials.Config{ApiToken: config.Token},
		}
	}
	if p.client, err = client.NewSdkClient(&settings); err != nil {
		return nil, fmt.Errorf("cannot use OpenFGA at %s: %w", config.URL, err)
	}
	settings.RetryParams = &fga.RetryParams{MaxRetry: 0, MinWaitInMs: 1}
	if p.lister, err = client.NewSdkClient(&settings); err != nil {
		return nil, fmt.Errorf("cannot use OpenFGA at %s: %w", config.URL, err)
	}
	if config.Lock != nil {
		unlock, err := config.Lock(ctx)
		if err != nil {
			return nil, fmt.Errorf("cannot lock the OpenFGA store: %w", err)
		}
		defer unlock()
	}
	if p.storeID, err = p.findStore(ctx, config); err != nil {
		return nil, err
	}
	for _, c := range []*client.OpenFgaClient{p.client, p.lister} {
		if err := c.SetStoreId(p.storeID); err != nil {
			return nil, fmt.Errorf("cannot use OpenFGA store %q: %w", p.storeID, err)
		}
	}
	if p.modelID, err = p.findModel(ctx, m.request, config.ModelID); err != nil {
		return nil, err
	}
	for _, c := range []*client.OpenFgaClient{p.client, p.lister} {
		if err := c.SetAuthorizationModelId(p.modelID); err != nil {
			return nil, fmt.Errorf("cannot use OpenFGA model %q: %w", p.modelID, err)
		}
	}
	return p, nil
}

// StoreID returns the id of the store in use.
func (p *Permissions) StoreID() string { return p.storeID }

// ModelID returns the id of the authorization model in use.
func (p *Permissions) ModelID() string { return p.modelID }

// Close drops the idle connections to the server.
func (p *Permissions) Close() { p.http.CloseIdleConnections() }

// within bounds one request.
func (p *Permissions) within(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, p.timeout)
}

var higherConsistency = fga.CONSISTENCYPREFERENCE_HIGHER_CONSISTENCY.Ptr()
