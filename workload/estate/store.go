package estate

import (
	"context"
	"time"

	"github.com/juju/juju/rpc/params"
)

// Store is the estate's memory. Each noun's part is declared beside it.
type Store interface {
	ControllerStore
	CloudStore
	DefaultsStore
	ModelStore
	OfferStore
	IdentityStore
	ProfileStore
	ResourceStore
	UsersetStore
	SessionStore
	AuditStore
	Signals
	// Leases runs f with leases that end with it, or, with f's context, when
	// they are lost.
	Leases(ctx context.Context, f func(context.Context, Leases) error) error
	// Lead runs f while this process alone, of all that share the store, holds
	// the named lease, and returns when f does. ok is false, and f not called,
	// if another holds it. f's context ends when the lease is lost.
	Lead(ctx context.Context, lease string, f func(context.Context) error) (ok bool, err error)
}

// ControllerState says how far adding or removing a controller has come.
type ControllerState string

// The states of a controller: adding and removing are intents that a sweep
// undoes and finishes.
const (
	ControllerAdding   ControllerState = "adding"
	ControllerLive     ControllerState = "live"
	ControllerRemoving ControllerState = "removing"
)

// Controller is a Juju controller of the estate.
type Controller struct {
	UUID  string
	Name  string
	State ControllerState
	// PublicAddress is host:port, or empty; Addresses are all others, host:port.
	PublicAddress string
	Addresses     []string
	// CACertificate is PEM; empty means the system's roots.
	CACertificate string
	// TLSHostname is the name the certificate is checked against; empty means
	// the host dialled, or juju-apiserver where the CA is the controller's own.
	TLSHostname  string
	AgentVersion string
	// Cloud and Region are where the controller itself runs.
	Cloud, Region string
	Deprecated    bool
	// UnavailableSince is zero while the controller answers.
	UnavailableSince time.Time
	CreatedAt        time.Time
	UpdatedAt        time.Time
}

// Object returns the controller as an object of the authorization model.
func (c Controller) Object() Object { return Object{KindController, c.UUID} }

// ControllerStore remembers controllers. Lookups of what is not there give an
// Error with CodeNotFound.
type ControllerStore interface {
	// InsertController inserts the row; CodeAlreadyExists if name or UUID is taken.
	InsertController(ctx context.Context, c Controller) error
	// SetControllerState moves a controller from one state to another;
	// CodeNotFound if it is not in the first.
	SetControllerState(ctx context.Context, uuid string, from, to ControllerState) error
	// UpdateController saves addresses, certificate, agent version and
	// Deprecated of the controller with this UUID.
	UpdateController(ctx context.Context, c Controller) error
	// SaveAgentVersion sets the agent version.
	SaveAgentVersion(ctx context.Context, uuid, version string) error
	// SetUnavailable sets or (zero) clears since when a controller does not
	// answer.
	SetUnavailable(ctx context.Context, uuid string, since time.Time) error
	// DeleteController removes the row, and what it serves; CodeStillAlive if
	// models are on it.
	DeleteController(ctx context.Context, uuid string) error
	Controller(ctx context.Context, uuid string) (Controller, error)
	ControllerByName(ctx context.Context, name string) (Controller, error)
	// Controllers returns those in any of the states (none given: live), by name.
	Controllers(ctx context.Context, states ...ControllerState) ([]Controller, error)
}

// Cloud is a cloud of the estate: what some controllers can make models in.
type Cloud struct {
	Name string
	// Details are what a client sees: type, auth types, endpoints, regions, CA.
	Details params.Cloud
}

// RegionPriority orders the controllers that serve a region.
type RegionPriority int

// The lower is tried first.
const (
	RegionDeployed  RegionPriority = 1  // the controller itself runs there
	RegionSupported RegionPriority = 10 // it can make models there
)

// RegionController says that a controller serves a region of a cloud.
type RegionController struct {
	Cloud, Region  string
	ControllerUUID string
	Priority       RegionPriority
}

// Credential is a cloud credential, without its attributes: those are a
// secret, at CredentialPath.
type Credential struct {
	Cloud, Owner, Name string
	AuthType           string
	// Attributes are the names of the attributes, for listings.
	Attributes []string
	Valid      bool
	UpdatedAt  time.Time
}

// CloudStore remembers clouds and credentials.
type CloudStore interface {
	// SaveClouds upserts the clouds and replaces which regions of which clouds
	// this controller serves.
	SaveClouds(ctx context.Context, controllerUUID string, clouds []Cloud, serves []RegionController) error
	Cloud(ctx context.Context, name string) (Cloud, error)
	// Clouds returns those with these names (nil: all), by name.
	Clouds(ctx context.Context, names []string) ([]Cloud, error)
	// RegionControllers returns who serves a cloud, or one region of it
	// (region != ""), live controllers only, lowest priority value first.
	RegionControllers(ctx context.Context, cloud, region string) ([]RegionController, error)

	// CloudsServedBy returns the names of the clouds a controller serves.
	CloudsServedBy(ctx context.Context, controllerUUID string) ([]string, error)
	// UnservedClouds returns the names of the clouds that no controller serves,
	// whatever its state.
	UnservedClouds(ctx context.Context) ([]string, error)
	// DeleteCloud removes a cloud that no controller serves any more, with its
	// credentials; CodeNotFound if there is none or it is served.
	DeleteCloud(ctx context.Context, name string) error

	SaveCredential(ctx context.Context, c Credential) error
	DeleteCredential(ctx context.Context, cloud, owner, name string) error
	Credential(ctx context.Context, cloud, owner, name string) (Credential, error)
	// Credentials returns the owner's, of one cloud or (cloud == "") of all, by cloud and name.
	Credentials(ctx context.Context, owner, cloud string) ([]Credential, error)
}

// ModelState says how far a model's creation or destruction has come.
type ModelState string

// The states of a model: creating and dying are intents that a sweep finishes
// or undoes. A row leaves only from creating (it was never made) or from dying
// (the controller has confirmed that it is gone).
const (
	ModelCreating ModelState = "creating"
	ModelLive     ModelState = "live"
	ModelDying    ModelState = "dying"
)

// Model is a model of the estate.
type Model struct {
	// ID is ours, from the intent on; UUID is the controller's, empty while
	// creating unless the model is being imported.
	ID             string
	UUID           string
	Owner, Name    string
	State          ModelState
	ControllerUUID string
	Cloud, Region  string
	// Credential is cloud/owner/name, or empty.
	Credential string
	// Type is iaas or caas.
	Type string
	// Summary is the last the controller said of it, zero before that.
	Summary params.ModelSummary
	// Destroy holds the parameters of a destroy that was asked for.
	Destroy *params.DestroyModelParams
	// GoneSince is when the controller first did not know the model any more
	// although nobody asked us to destroy it; zero normally.
	GoneSince time.Time
	CreatedAt time.Time
	UpdatedAt time.Time
}

// Object returns the model as an object of the authorization model.
func (m Model) Object() Object { return Object{KindModel, m.UUID} }

// Path returns owner/name.
func (m Model) Path() string { return m.Owner + "/" + m.Name }

// ModelStore remembers models. Lookups of what is not there give an Error with
// CodeModelNotFound. Every change sets UpdatedAt.
type ModelStore interface {
	// InsertModel inserts the row; CodeAlreadyExists if owner and name are taken.
	InsertModel(ctx context.Context, m Model) error
	// PlaceModel sets which controller a creating model is being made on.
	PlaceModel(ctx context.Context, id, controllerUUID, credential, region string) error
	// CompleteModel makes a creating model live, with its UUID and type.
	CompleteModel(ctx context.Context, id, uuid, modelType string) error
	// DyingModel records that a model shall be destroyed, and how.
	DyingModel(ctx context.Context, uuid string, p params.DestroyModelParams) error
	// ReviveModel makes a dying model live again: the controller refused.
	ReviveModel(ctx context.Context, uuid string) error
	// DeleteModel removes the row if it is in that state.
	DeleteModel(ctx context.Context, id string, state ModelState) error
	// SaveModelGone sets or (zero) clears GoneSince.
	SaveModelGone(ctx context.Context, uuid string, since time.Time) error
	// SaveSummaries saves what a controller says about its models, by UUID;
	// UUIDs that are not ours are passed over.
	SaveSummaries(ctx context.Context, controllerUUID string, summaries []params.ModelSummary) error
	// MovingModel records that a model was found on another controller, MovedModel
	// makes that its controller, and SettledModel ends it.
	MovingModel(ctx context.Context, uuid, controllerUUID string) error
	MovedModel(ctx context.Context, uuid, controllerUUID string) error
	SettledModel(ctx context.Context, uuid, controllerUUID string) error
	// MovingModels returns where to, by UUID, of those last changed before a time.
	MovingModels(ctx context.Context, before time.Time) (map[string]string, error)
	// SavePushed saves what a controller pushed of its models, by UUID; UUIDs
	// that are not ours are passed over.
	SavePushed(ctx context.Context, controllerUUID string, pushed []params.ModelAbstract) error
	// SaveModelCredential sets the credential of a model.
	SaveModelCredential(ctx context.Context, uuid, credential string) error

	Model(ctx context.Context, uuid string) (Model, error)
	ModelByName(ctx context.Context, owner, name string) (Model, error)
	// Models returns those with these UUIDs (nil: all), creating ones left out,
	// by owner and name.
	Models(ctx context.Context, uuids []string) ([]Model, error)
	// ListedModels is Models for long lists: what controllers said is left JSON,
	// and left out unless documents is true.
	ListedModels(ctx context.Context, uuids []string, documents bool) ([]ListedModel, error)
	// CountModels returns how many models each controller has, by its UUID,
	// creating ones left out.
	CountModels(ctx context.Context) (map[string]int, error)
	// ModelsOn returns a controller's models in any state.
	ModelsOn(ctx context.Context, controllerUUID string) ([]Model, error)
	// ModelsUsing returns the models that use a credential (cloud/owner/name).
	ModelsUsing(ctx context.Context, credential string) ([]Model, error)
	// StaleModels returns those in a state that were last changed before a time.
	StaleModels(ctx context.Context, state ModelState, before time.Time) ([]Model, error)
}
