package sim

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/juju/juju/domain/deployment/charm"
	"github.com/juju/juju/rpc/params"
)

// charmFile is a charm of a model. One of a store has no data.
type charmFile struct {
	Charm  params.Charm
	Data   []byte `json:",omitempty"`
	SHA256 string `json:",omitempty"`
}

// resource is a file that belongs to an application, or will once that is
// deployed.
type resource struct {
	params.Resource
	Data   []byte `json:",omitempty"`
	SHA384 string `json:",omitempty"`
}

// addCharm keeps an uploaded archive and returns its URL: as a real controller,
// one of the next revision.
func (c *Controller) addCharm(m *model, name string, data []byte) (string, error) {
	archive, err := charm.ReadCharmArchiveBytes(data)
	if err != nil {
		return "", fmt.Errorf("cannot read the charm: %w", err)
	}
	sum := sha256.Sum256(data)
	hash := hex.EncodeToString(sum[:])
	arch := ""
	if c.config.Generation == Juju41 {
		arch = "amd64/"
	}
	revision := m.next("charm-" + name)
	url := fmt.Sprintf("local:%s%s-%d", arch, name, revision)
	described := describeCharm(archive)
	described.URL, described.Revision = url, revision
	c.putCharm(m, &charmFile{Charm: described, Data: data, SHA256: hash})
	return url, nil
}

func (c *Controller) putCharm(m *model, f *charmFile) {
	if m.Charms == nil {
		m.Charms = make(map[string]*charmFile)
	}
	m.Charms[f.Charm.URL] = f
	c.changed(m)
}

// storeCharm makes up a charm of the store: nothing but its name is known.
func (c *Controller) storeCharm(m *model, name string, revision int) *charmFile {
	url := fmt.Sprintf("ch:amd64/%s-%d", name, revision)
	if f := m.Charms[url]; f != nil {
		return f
	}
	f := &charmFile{Charm: params.Charm{
		URL:      url,
		Revision: revision,
		Config:   map[string]params.CharmOption{},
		Meta:     &params.CharmMeta{Name: name, Summary: "a charm that is not simulated", MinJujuVersion: "0.0.0"},
		Manifest: &params.CharmManifest{Bases: []params.CharmBase{{Name: defaultBase.Name, Channel: defaultBase.Channel, Architectures: []string{"amd64"}}}},
	}}
	c.putCharm(m, f)
	return f
}

// bySHA finds an uploaded charm by a prefix of its hash.
func (m *model) bySHA(prefix string) *charmFile {
	for _, f := range m.Charms {
		if f.SHA256 != "" && strings.HasPrefix(f.SHA256, prefix) {
			return f
		}
	}
	return nil
}

// describeCharm says of a charm what Juju's clients get to see.
func describeCharm(archive *charm.CharmArchive) params.Charm {
	meta := archive.Meta()
	described := params.Charm{
		Config: params.ToCharmOptionMap(archive.Config()),
		Meta: &params.CharmMeta{
			Name:        meta.Name,
			Summary:     meta.Summary,
			Description: meta.Description,
			Subordinate: meta.Subordinate,
			Provides:    relations(meta.Provides),
			Requires:    relations(meta.Requires),
			Peers:       relations(meta.Peers),
			Categories:  meta.Categories,
			Tags:        meta.Tags,
			Terms:       meta.Terms,
			AssumesExpr: meta.Assumes,
			CharmUser:   string(meta.CharmUser),
			// Clients parse it: a charm that says none has 0.0.0.
			MinJujuVersion: meta.MinJujuVersion.String(),
		},
		Version: archive.Version(),
	}
	for name, s := range meta.Storage {
		if described.Meta.Storage == nil {
			described.Meta.Storage = make(map[string]params.CharmStorage)
		}
		described.Meta.Storage[name] = params.CharmStorage{
			Name: s.Name, Description: s.Description, Type: string(s.Type), Shared: s.Shared, ReadOnly: s.ReadOnly,
			CountMin: s.CountMin, CountMax: s.CountMax, MinimumSize: s.MinimumSize, Location: s.Location, Properties: s.Properties,
		}
	}
	for name, r := range meta.Resources {
		if described.Meta.Resources == nil {
			described.Meta.Resources = make(map[string]params.CharmResourceMeta)
		}
		described.Meta.Resources[name] = params.CharmResourceMeta{Name: r.Name, Type: r.Type.String(), Path: r.Path, Description: r.Description}
	}
	for name, container := range meta.Containers {
		if described.Meta.Containers == nil {
			described.Meta.Containers = make(map[string]params.CharmContainer)
		}
		described.Meta.Containers[name] = params.CharmContainer{Resource: container.Resource, Uid: container.Uid, Gid: container.Gid}
	}
	if actions := archive.Actions(); actions != nil {
		described.Actions = &params.CharmActions{ActionSpecs: make(map[string]params.CharmActionSpec)}
		for name, spec := range actions.ActionSpecs {
			described.Actions.ActionSpecs[name] = params.CharmActionSpec{
				Description: spec.Description, Parallel: spec.Parallel, ExecutionGroup: spec.ExecutionGroup, Params: spec.Params,
			}
		}
	}
	if manifest := archive.Manifest(); manifest != nil {
		described.Manifest = &params.CharmManifest{}
		for _, base := range manifest.Bases {
			described.Manifest.Bases = append(described.Manifest.Bases, params.CharmBase{
				Name: base.Name, Channel: base.Channel.String(), Architectures: base.Architectures,
			})
		}
	}
	return described
}

func relations(of map[string]charm.Relation) map[string]params.CharmRelation {
	if len(of) == 0 {
		return nil
	}
	described := make(map[string]params.CharmRelation, len(of))
	for name, r := range of {
		described[name] = params.CharmRelation{
			Name: r.Name, Role: string(r.Role), Interface: r.Interface, Optional: r.Optional, Limit: r.Limit, Scope: string(r.Scope),
		}
	}
	return described
}

// base returns the base a charm runs on.
func (f *charmFile) base() params.Base {
	if m := f.Charm.Manifest; m != nil && len(m.Bases) > 0 {
		return params.Base{Name: m.Bases[0].Name, Channel: m.Bases[0].Channel}
	}
	return defaultBase
}

// endpoint returns an endpoint of a charm; all have juju-info.
func (f *charmFile) endpoint(name string) (params.CharmRelation, bool) {
	for _, of := range []map[string]params.CharmRelation{f.Charm.Meta.Provides, f.Charm.Meta.Requires} {
		if r, ok := of[name]; ok {
			return r, true
		}
	}
	if name == "juju-info" {
		return params.CharmRelation{Name: name, Role: "provider", Interface: name, Scope: "global"}, true
	}
	return params.CharmRelation{}, false
}

// charmName reads the name of a charm in an archive.
func charmName(data []byte) (string, error) {
	archive, err := charm.ReadCharmArchiveBytes(data)
	if err != nil {
		return "", err
	}
	return archive.Meta().Name, nil
}
