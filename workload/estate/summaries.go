package estate

import (
	"context"
	"encoding/json"
	"sync"
	"time"

	"github.com/juju/names/v6"

	"github.com/juju/juju/core/life"
	"github.com/juju/juju/core/status"
	"github.com/juju/juju/rpc/params"
)

// ListedModel is a model as lists show it. What its controller said of it
// stays JSON: of ten thousand models nobody reads all.
type ListedModel struct {
	UUID, Owner, Name string
	State             ModelState
	ControllerUUID    string
	Cloud, Region     string
	// Credential is cloud/owner/name, or empty.
	Credential string
	Type       string
	GoneSince  time.Time
	CreatedAt  time.Time
	// Said is a params.ModelSummary and Pushed a params.ModelAbstract; both nil
	// until the controller said so, or where they were not asked for.
	Said, Pushed json.RawMessage

	// Access is the caller's, a word of Juju.
	Access string
	// ControllerName is that of its controller, and UnavailableSince when that
	// stopped to answer; zero while it does.
	ControllerName   string
	UnavailableSince time.Time
}

// Life is that of the model where we know better than its controller, else empty.
func (m ListedModel) Life() life.Value {
	if m.State == ModelDying {
		return life.Dying
	}
	return ""
}

// Status is that of the model where we know better than its controller, else nil.
func (m ListedModel) Status() *params.EntityStatus {
	var s params.EntityStatus
	switch {
	case !m.UnavailableSince.IsZero():
		s = unavailableStatus("its controller does not answer", m.UnavailableSince)
	case !m.GoneSince.IsZero():
		s = unavailableStatus("its controller does not know it any more; destroy it to remove it from the list", m.GoneSince)
	case m.Said == nil:
		s = params.EntityStatus{Status: status.Available, Since: &m.CreatedAt}
	default:
		return nil
	}
	return &s
}

// CredentialTag is the tag of the model's credential, empty if it has none.
func (m ListedModel) CredentialTag() string {
	if tag, err := credentialTag(m.Credential); err == nil {
		return tag.String()
	}
	return ""
}

// ListSummaries returns what `juju models` shows of the models u may read,
// from what their controllers last said, by owner and name; no controller is
// asked.
func (e *Estate) ListSummaries(ctx context.Context, u User) ([]ListedModel, error) {
	return e.listed(ctx, u, true)
}

// ListModelNames is ListSummaries without access and what controllers said.
func (e *Estate) ListModelNames(ctx context.Context, u User) ([]ListedModel, error) {
	return e.listed(ctx, u, false)
}

func (e *Estate) listed(ctx context.Context, u User, summaries bool) ([]ListedModel, error) {
	if !summaries {
		models, _, err := e.readable(ctx, u, false)
		return models, err
	}
	admin, err := e.IsAdmin(ctx, u)
	if err != nil {
		return nil, err
	}
	// What may be done with the models is found out while they are read.
	var higher levelsOf
	var running sync.WaitGroup
	if !admin {
		running.Go(func() { higher = e.higherLevels(ctx, u) })
	}
	models, err := e.readableBy(ctx, u, admin, true)
	running.Wait()
	if err == nil {
		err = higher.err
	}
	if err != nil || len(models) == 0 {
		return nil, err
	}
	controllers, err := e.controllersByUUID(ctx)
	if err != nil {
		return nil, err
	}
	for i := range models {
		m := &models[i]
		switch {
		case admin || higher.administrator[m.UUID]:
			m.Access = AccessAdmin
		case higher.writer[m.UUID]:
			m.Access = AccessWrite
		default:
			m.Access = AccessRead
		}
		c := controllers[m.ControllerUUID]
		m.ControllerName, m.UnavailableSince = c.Name, c.UnavailableSince
	}
	return models, nil
}

// readable returns the models u may read, and whether that is because u
// administers JIMM.
func (e *Estate) readable(ctx context.Context, u User, documents bool) ([]ListedModel, bool, error) {
	admin, err := e.IsAdmin(ctx, u)
	if err != nil {
		return nil, false, err
	}
	models, err := e.readableBy(ctx, u, admin, documents)
	return models, admin, err
}

func (e *Estate) readableBy(ctx context.Context, u User, admin, documents bool) ([]ListedModel, error) {
	if admin { // of JIMM, and so of every model, by way of its controller
		return e.Store.ListedModels(ctx, nil, documents)
	}
	uuids, err := e.Permissions.ListObjects(ctx, u, Reader, KindModel)
	if err != nil || len(uuids) == 0 {
		return nil, err
	}
	return e.Store.ListedModels(ctx, uuids, documents)
}

func (e *Estate) controllersByUUID(ctx context.Context) (map[string]Controller, error) {
	list, err := e.Store.Controllers(ctx, ControllerLive, ControllerRemoving)
	if err != nil {
		return nil, err
	}
	byUUID := make(map[string]Controller, len(list))
	for _, c := range list {
		byUUID[c.UUID] = c
	}
	return byUUID, nil
}

// levelsOf are the models that a user may do more with than read.
type levelsOf struct {
	writer, administrator map[string]bool
	err                   error
}

func (e *Estate) higherLevels(ctx context.Context, u User) levelsOf {
	var found levelsOf
	var running sync.WaitGroup
	var writerErr error
	list := func(relation Relation, set *map[string]bool, failed *error) {
		uuids, err := e.Permissions.ListObjects(ctx, u, relation, KindModel)
		*failed = err
		*set = make(map[string]bool, len(uuids))
		for _, uuid := range uuids {
			(*set)[uuid] = true
		}
	}
	running.Go(func() { list(Writer, &found.writer, &writerErr) })
	list(Administrator, &found.administrator, &found.err)
	running.Wait()
	if found.err == nil {
		found.err = writerErr
	}
	return found
}

// ModelSummaries is ListSummaries with all that controllers said read.
func (e *Estate) ModelSummaries(ctx context.Context, u User) ([]params.ModelSummary, error) {
	models, err := e.ListSummaries(ctx, u)
	if err != nil || len(models) == 0 {
		return nil, err
	}
	summaries := make([]params.ModelSummary, len(models))
	for i, m := range models {
		if summaries[i], err = e.readSummary(m); err != nil {
			return nil, err
		}
	}
	return summaries, nil
}

// readSummary is what we know of a model, as a client sees it.
func (e *Estate) readSummary(m ListedModel) (params.ModelSummary, error) {
	var s params.ModelSummary
	if m.Said != nil {
		if err := json.Unmarshal(m.Said, &s); err != nil {
			return s, err
		}
	}
	s.UUID, s.Name, s.Qualifier, s.Type = m.UUID, m.Name, m.Owner, m.Type
	s.ControllerUUID, s.CloudTag = e.UUID, names.NewCloudTag(m.Cloud).String()
	if s.CloudRegion == "" && m.Region != NoRegion {
		s.CloudRegion = m.Region
	}
	if tag := m.CredentialTag(); tag != "" {
		s.CloudCredentialTag = tag
	}
	s.UserAccess = params.UserAccessPermission(m.Access)
	s.UserLastConnection = nil // the controller's, of JIMM itself
	if s.Life == "" {
		s.Life = life.Alive
	}
	if known := m.Life(); known != "" {
		s.Life = known
	}
	if known := m.Status(); known != nil {
		s.Status = *known
	}
	return s, nil
}

// summary is what we know of one model.
func (e *Estate) summary(m Model) params.ModelSummary {
	l := ListedModel{
		UUID: m.UUID, Owner: m.Owner, Name: m.Name, State: m.State, ControllerUUID: m.ControllerUUID,
		Cloud: m.Cloud, Region: m.Region, Credential: m.Credential, Type: m.Type,
		GoneSince: m.GoneSince, CreatedAt: m.CreatedAt,
	}
	if m.Summary.UUID != "" {
		l.Said, _ = json.Marshal(m.Summary) // what was read from JSON
	}
	s, _ := e.readSummary(l)
	return s
}

func unavailableStatus(why string, since time.Time) params.EntityStatus {
	return params.EntityStatus{Status: "unavailable", Info: why, Since: &since}
}
