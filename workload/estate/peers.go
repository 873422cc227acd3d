package estate

import (
	"context"
	"encoding/json"

	"github.com/go-macaroon-bakery/macaroon-bakery/v3/bakery"
	"github.com/juju/names/v6"

	"github.com/juju/juju/rpc/params"
)

// Access words of Juju, as tokens for controllers carry them.
const (
	AccessLogin     = "login"
	AccessSuperuser = "superuser"
	AccessRead      = "read"
	AccessWrite     = "write"
	AccessAdmin     = "admin"
	AccessAddModel  = "add-model"
	AccessConsume   = "consume"
)

// Claims are what a token says its user may do: Juju tag to access word.
type Claims map[string]string

// Peers is the port to the controllers.
type Peers interface {
	// Probe logs in to a controller that is not yet part of the estate, with an
	// administrator's password, and tells what it is. The facts' UUID is the
	// one the controller gave. CodeConnectionFailed if it cannot be reached or
	// its certificate does not verify; CodeUnauthorized if the login fails.
	Probe(ctx context.Context, c Controller, username, password string) (Facts, error)
	// Connect gives a connection on which u acts with exactly these claims.
	// CodeConnectionFailed if no address answers.
	Connect(ctx context.Context, c Controller, u User, claims Claims) (Peer, error)
	// AddModelKeys gives u SSH keys, as in authorized_keys, on a model. Needs
	// admin of the model in the route's claims.
	AddModelKeys(ctx context.Context, r Route, u User, keys []string) error
	// FullStatus returns what a controller says of a model, with storage: a
	// params.FullStatus as it is on the wire. Patterns narrow it down.
	FullStatus(ctx context.Context, r Route, patterns []string) (json.RawMessage, error)
	// StatusDocument returns the status of a model as juju status prints it in
	// JSON, times as ISO 8601 has them.
	StatusDocument(ctx context.Context, r Route) (json.RawMessage, error)
}

// OfferPath names an offer, or all of a model, as the controller does.
type OfferPath struct {
	ModelUUID string
	// Qualifier and Model are the owner and the name of the model there.
	Qualifier, Model string
	Name             string
}

// Facts are what a controller says of itself.
type Facts struct {
	UUID         string
	AgentVersion string
	// Addresses are all API addresses it announces, host:port.
	Addresses []string
	// Cloud and Region are where it runs.
	Cloud, Region string
	Clouds        map[names.CloudTag]params.Cloud
	// Facades are the facade versions of its controller connection.
	Facades map[string][]int
}

// Peer is a connection to a controller. Its calls take and return the newest
// wire types whatever the controller's version. Errors carry the controller's
// code; CodeConnectionFailed if the connection broke.
type Peer interface {
	// Close returns the connection.
	Close() error
	Clouds(ctx context.Context) (map[names.CloudTag]params.Cloud, error)
	// CreateModel makes a model. args.Qualifier is the owner's name@domain.
	CreateModel(ctx context.Context, args params.ModelCreateArgs) (params.ModelInfo, error)
	ModelInfo(ctx context.Context, uuid string) (params.ModelInfo, error)
	ModelStatus(ctx context.Context, uuid string) (params.ModelStatus, error)
	DestroyModel(ctx context.Context, p params.DestroyModelParams) error
	// ModelSummaries returns all models of the controller; needs superuser.
	ModelSummaries(ctx context.Context) ([]params.ModelSummary, error)
	// WatchModelSummaries calls f with what the controller pushes of all its
	// models, first of each, until ctx ends, f fails, or the connection breaks,
	// and returns why. CodeNotSupported if the controller does not push; needs
	// superuser.
	WatchModelSummaries(ctx context.Context, f func([]params.ModelAbstract) error) error
	// Ping makes sure that the controller answers.
	Ping(ctx context.Context) error
	// Done is closed when the connection has ended.
	Done() <-chan struct{}
	ChangeModelCredential(ctx context.Context, modelUUID string, credential names.CloudCredentialTag) error
	// UpdateCredential uploads a credential; with check, first asks which of
	// the models there could use it.
	UpdateCredential(ctx context.Context, tag names.CloudCredentialTag, c params.CloudCredential, force bool) (params.UpdateCredentialResult, error)
	RevokeCredential(ctx context.Context, tag names.CloudCredentialTag, force bool) error
	// MakeOffer offers endpoints of an application, as the caller; needs admin
	// of the model.
	MakeOffer(ctx context.Context, args params.AddApplicationOffer) error
	// ModelOffers returns a model's offers, of one name if the path has it, with
	// who is connected; needs admin of the model.
	ModelOffers(ctx context.Context, path OfferPath) ([]params.ApplicationOfferAdminDetailsV5, error)
	// AllOffers returns the offers of all models; needs superuser. Of models of
	// one name and several owners it may leave out all but one's.
	AllOffers(ctx context.Context) ([]params.ApplicationOfferAdminDetailsV5, error)
	// ConsumeDetails returns what the caller needs to relate to an offer; needs
	// consume of it.
	ConsumeDetails(ctx context.Context, uuid string, path OfferPath, version bakery.Version) (params.ConsumeOfferDetails, error)
	// RemoveOffer removes an offer, with force its relations too; needs admin
	// of the model.
	RemoveOffer(ctx context.Context, path OfferPath, force bool) error
	// Call is any other call. CodeNotSupported if the controller has no version
	// of the facade that is meant.
	Call(ctx context.Context, c Call, params, result any) error
}

// Call says what to call on a controller. What a token has to claim for it is
// known for each facade and method; a call for which it is not is refused.
type Call struct {
	Facade, Method string
	// Most is the highest version of the facade that is meant (0: any), and
	// Least the lowest.
	Least, Most int
	// ID is of the object that is called, such as a watcher, if not the facade.
	ID string
	// About is what the call needs its right on, unless that is the controller:
	// the UUID of a model or an offer, or the name of a cloud.
	About string
}
