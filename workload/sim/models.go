package sim

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/juju/names/v6"

	"github.com/juju/juju/core/permission"
	"github.com/juju/juju/rpc/params"
)

// Model says what model to seed.
type Model struct {
	// Name and Owner (alice@example.com) must differ from those of other models
	// together.
	Name, Owner string
	// UUID is generated if it is empty.
	UUID string
	// Cloud and Region default to the controller's own.
	Cloud, Region string
	// Applications are deployed with one unit each.
	Applications []string
}

// SeedModels makes n models at once, each as describe says for i from 0. It
// returns their UUIDs.
func (c *Controller) SeedModels(n int, describe func(i int) Model) ([]string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	defer c.markDirty()
	uuids := make([]string, 0, n)
	for i := range n {
		seed := describe(i)
		m, err := c.newModel(params.ModelCreateArgs{
			Name:        seed.Name,
			Qualifier:   seed.Owner,
			CloudRegion: seed.Region,
			CloudTag:    cloudTag(seed.Cloud),
		}, seed.UUID)
		if err != nil {
			return uuids, fmt.Errorf("cannot seed model %s/%s: %w", seed.Owner, seed.Name, err)
		}
		for _, name := range seed.Applications {
			c.addApplication(m, &application{Name: name, Charm: c.storeCharm(m, name, 1).Charm.URL, Base: defaultBase}, 1)
		}
		c.changed(m)
		uuids = append(uuids, m.UUID)
	}
	return uuids, nil
}

func cloudTag(name string) string {
	if name == "" {
		return ""
	}
	return names.NewCloudTag(name).String()
}

// ModelUUIDs returns the UUIDs of all models but the controller's own, dying
// ones too.
func (c *Controller) ModelUUIDs() []string {
	c.mu.RLock()
	defer c.mu.RUnlock()
	uuids := make([]string, 0, len(c.state.Models))
	for id := range c.state.Models {
		if id != c.state.ControllerModel {
			uuids = append(uuids, id)
		}
	}
	slices.Sort(uuids)
	return uuids
}

// newModel makes a model. The state must be locked.
func (c *Controller) newModel(args params.ModelCreateArgs, uuid string) (*model, error) {
	s := c.state
	cloudName := c.config.Cloud.Name
	if args.CloudTag != "" {
		tag, err := names.ParseCloudTag(args.CloudTag)
		if err != nil {
			return nil, err
		}
		cloudName = tag.Id()
	}
	cloud := s.Clouds[cloudName]
	if cloud == nil && c.config.Generation == Juju41 {
		return nil, fmt.Errorf("creating new model %s/%s: creating model %q: determining model type when creating model %q: "+
			"determining model type from cloud: cloud not found for name %q", args.Qualifier, args.Name, args.Name, args.Name, cloudName)
	}
	if cloud == nil {
		return nil, notFound("cloud %q", cloudName)
	}
	region := args.CloudRegion
	if region == "" && len(cloud.Regions) > 0 {
		region = cloud.Regions[0].Name
	}
	if region != "" && !slices.ContainsFunc(cloud.Regions, func(r params.CloudRegion) bool { return r.Name == region }) {
		return nil, notFound("cloud %q region %q", cloudName, region)
	}
	if !names.IsValidModelName(args.Name) {
		return nil, fmt.Errorf("%q is not a valid name: model names may only contain lowercase letters, digits and hyphens", args.Name)
	}
	if !names.IsValidUser(args.Qualifier) {
		return nil, coded(params.CodeNotValid, "cannot create model with invalid qualifier")
	}
	var credential string
	if args.CloudCredentialTag != "" {
		tag, err := names.ParseCloudCredentialTag(args.CloudCredentialTag)
		if err != nil {
			return nil, err
		}
		if s.Credentials[tag.Id()] == nil {
			return nil, notFound("cloud credential for new model is not valid: credential %q", tag.Id())
		}
		credential = tag.Id()
	}
	key := [2]string{args.Qualifier, args.Name}
	if s.byName[key] != "" {
		return nil, coded(params.CodeAlreadyExists, "model %s/%s already exists", args.Qualifier, args.Name)
	}
	if uuid == "" {
		uuid = newUUID()
	}
	m := &model{
		UUID:       uuid,
		Name:       args.Name,
		Owner:      args.Qualifier,
		Cloud:      cloudName,
		Region:     region,
		Credential: credential,
		Life:       alive,
		Created:    c.clock.Now(),
	}
	for name, value := range args.Config {
		if m.Config == nil {
			m.Config = make(map[string]any, len(args.Config))
		}
		m.Config[name] = value
	}
	s.Models[uuid], s.byName[key] = m, uuid
	return m, nil
}

// destroy makes a model dying, and gone soon after. The state must be locked.
func (c *Controller) destroy(m *model) {
	if m.Life != alive {
		return
	}
	m.Life = dying
	c.changed(m)
	c.removeLater(m.UUID)
}

func (c *Controller) removeLater(uuid string) {
	c.tasks.Go(func() {
		select {
		case <-c.ctx.Done():
			return // it is still dying at the next start
		case <-c.clock.After(c.config.RemovalDelay):
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		m := c.state.Models[uuid]
		if m == nil {
			return
		}
		delete(c.state.Models, uuid)
		delete(c.state.byName, [2]string{m.Owner, m.Name})
		for _, u := range c.state.Users {
			delete(u.Access, m.tag().String())
		}
		c.changed(m)
	})
}

// info describes a model; machines and secret backends are for who may write.
func (c *Controller) info(m *model, detailed bool) params.ModelInfo {
	version := c.config.Generation.Version()
	info := params.ModelInfo{
		Name:           m.Name,
		Type:           "iaas",
		UUID:           m.UUID,
		ControllerUUID: c.state.UUID,
		IsController:   m.UUID == c.state.ControllerModel,
		ProviderType:   c.state.providerType(m.Cloud),
		CloudTag:       names.NewCloudTag(m.Cloud).String(),
		CloudRegion:    m.Region,
		Qualifier:      m.Owner,
		Life:           m.Life,
		Status:         m.status(),
		Users:          c.modelUsers(m),
		Machines:       []params.ModelMachineInfo{},
		SecretBackends: []params.SecretBackendResult{},
		AgentVersion:   &version,
		SupportedFeatures: []params.SupportedFeature{
			{Name: "juju", Description: "the version of Juju used by the model", Version: version.String()},
		},
	}
	if m.Credential != "" {
		valid := true
		info.CloudCredentialTag = names.NewCloudCredentialTag(m.Credential).String()
		info.CloudCredentialValidity = &valid
	}
	if detailed {
		info.Machines = m.machineInfo()
		info.SecretBackends = []params.SecretBackendResult{{
			Result:     params.SecretBackend{Name: "internal", BackendType: "controller"},
			NumSecrets: len(m.Secrets),
			Status:     "active",
		}}
	}
	return info
}

func (s *state) providerType(cloud string) string {
	if c := s.Clouds[cloud]; c != nil {
		return c.Type
	}
	return ""
}

func (m *model) status() params.EntityStatus {
	status := params.EntityStatus{Status: "available", Since: &m.Created}
	if m.Life != alive {
		status.Status, status.Info = "destroying", "attempt 1 to destroy model"
	}
	return status
}

// modelUsers are the users that the controller's own database knows for a model.
func (c *Controller) modelUsers(m *model) []params.ModelUserInfo {
	tag := m.tag().String()
	users := []params.ModelUserInfo{}
	for id, u := range c.state.Users {
		access := params.UserAccessPermission(u.Access[tag])
		if id == m.Owner {
			access = params.ModelAdminAccess
		}
		if access == "" {
			continue
		}
		users = append(users, params.ModelUserInfo{
			ModelTag: tag, UserName: id, DisplayName: u.DisplayName, LastConnection: u.LastConnection, Access: access,
		})
	}
	slices.SortFunc(users, func(a, b params.ModelUserInfo) int { return strings.Compare(a.UserName, b.UserName) })
	return users
}

func (c *Controller) summary(m *model) params.ModelSummary {
	version := c.config.Generation.Version()
	summary := params.ModelSummary{
		Name:           m.Name,
		Qualifier:      m.Owner,
		UUID:           m.UUID,
		Type:           "iaas",
		ControllerUUID: c.state.UUID,
		IsController:   m.UUID == c.state.ControllerModel,
		ProviderType:   c.state.providerType(m.Cloud),
		CloudTag:       names.NewCloudTag(m.Cloud).String(),
		CloudRegion:    m.Region,
		Life:           m.Life,
		Status:         m.status(),
		Counts:         []params.ModelEntityCount{},
		AgentVersion:   &version,
	}
	if m.Credential != "" {
		summary.CloudCredentialTag = names.NewCloudCredentialTag(m.Credential).String()
	}
	if n := len(m.Machines); n > 0 {
		summary.Counts = append(summary.Counts,
			params.ModelEntityCount{Entity: params.Machines, Count: int64(n)},
			params.ModelEntityCount{Entity: params.Cores, Count: int64(n)})
	}
	if n := m.unitCount(); n > 0 {
		summary.Counts = append(summary.Counts, params.ModelEntityCount{Entity: params.Units, Count: int64(n)})
	}
	return summary
}

func (m *model) modelStatus() params.ModelStatus {
	status := params.ModelStatus{
		ModelTag:           m.tag().String(),
		Qualifier:          m.Owner,
		Life:               m.Life,
		Type:               "iaas",
		HostedMachineCount: len(m.Machines),
		ApplicationCount:   len(m.Applications),
		UnitCount:          m.unitCount(),
		Machines:           m.machineInfo(),
	}
	for _, name := range sortedKeys(m.Applications) {
		status.Applications = append(status.Applications, params.ModelApplicationInfo{Name: name})
	}
	return status
}

// sorted returns models by owner and name.
func (s *state) sorted() []*model {
	models := make([]*model, 0, len(s.Models))
	for _, m := range s.Models {
		models = append(models, m)
	}
	slices.SortFunc(models, func(a, b *model) int {
		if n := strings.Compare(a.Owner, b.Owner); n != 0 {
			return n
		}
		return strings.Compare(a.Name, b.Name)
	})
	return models
}

// userAccess is what the controller's own database says of a user and a model.
func (s *state) userAccess(id string, m *model) permission.Access {
	if id == adminName || id == m.Owner {
		return permission.AdminAccess
	}
	if u := s.Users[id]; u != nil {
		return permission.Access(u.Access[m.tag().String()])
	}
	return permission.NoAccess
}

// lastConnection is when a user was last seen, nil if never.
func (s *state) lastConnection(id string) *time.Time {
	if u := s.Users[id]; u != nil {
		return u.LastConnection
	}
	return nil
}
