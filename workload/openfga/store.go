package openfga

import (
	"context"
	"errors"
	"fmt"

	fga "github.com/openfga/go-sdk"
	"github.com/openfga/go-sdk/client"
)

// findStore returns the id of the configured store, which exists.
func (p *Permissions) findStore(ctx context.Context, config Config) (string, error) {
	if config.StoreID != "" {
		ctx, cancel := p.within(ctx)
		defer cancel()
		_, err := p.client.GetStore(ctx).Options(client.ClientGetStoreOptions{StoreId: &config.StoreID}).Execute()
		if err != nil {
			return "", fmt.Errorf("cannot use OpenFGA store %q: %w", config.StoreID, err)
		}
		return config.StoreID, nil
	}
	if config.StoreName == "" {
		return "", errors.New("cannot use OpenFGA: neither the id nor the name of a store is set")
	}
	id, err := p.oldestStore(ctx, config.StoreName)
	if err != nil || id != "" {
		return id, err
	}
	if p.readOnly {
		return "", fmt.Errorf("there is no OpenFGA store %q", config.StoreName)
	}
	if err := p.createStore(ctx, config.StoreName); err != nil {
		return "", err
	}
	// Another unit may have made one too: all take the oldest.
	id, err = p.oldestStore(ctx, config.StoreName)
	if err == nil && id == "" {
		err = fmt.Errorf("cannot find OpenFGA store %q that was just made", config.StoreName)
	}
	return id, err
}

func (p *Permissions) createStore(ctx context.Context, name string) error {
	ctx, cancel := p.within(ctx)
	defer cancel()
	if _, err := p.client.CreateStore(ctx).Body(client.ClientCreateStoreRequest{Name: name}).Execute(); err != nil {
		return fmt.Errorf("cannot make OpenFGA store %q: %w", name, err)
	}
	return nil
}

// oldestStore returns the id of the oldest store with a name, empty if there is none.
func (p *Permissions) oldestStore(ctx context.Context, name string) (string, error) {
	var oldest *fga.Store
	for token := ""; ; {
		options := client.ClientListStoresOptions{PageSize: fga.ToPtr(int32(100)), Name: &name}
		if token != "" {
			options.ContinuationToken = &token
		}
		page, err := p.listStores(ctx, options)
		if err != nil {
			return "", fmt.Errorf("cannot look for OpenFGA store %q: %w", name, err)
		}
		for _, store := range page.Stores {
			// A server too old to filter by name returns all of them.
			if store.Name != name {
				continue
			}
			if oldest == nil || store.CreatedAt.Before(oldest.CreatedAt) || store.CreatedAt.Equal(oldest.CreatedAt) && store.Id < oldest.Id {
				oldest = &store
			}
		}
		if token = page.ContinuationToken; token == "" {
			break
		}
	}
	if oldest == nil {
		return "", nil
	}
	return oldest.Id, nil
}

func (p *Permissions) listStores(ctx context.Context, options client.ClientListStoresOptions) (*client.ClientListStoresResponse, error) {
	ctx, cancel := p.within(ctx)
	defer cancel()
	return p.client.ListStores(ctx).Options(options).Execute()
}

// findModel returns the id of our authorization model in the store. One that
// is there already is used even if it isn't the newest, so that units of two
// versions, restarting in turns, do not fill the store with models. Should two
// units write it at once, either of the two equal models serves.
func (p *Permissions) findModel(ctx context.Context, ours client.ClientWriteAuthorizationModelRequest, id string) (string, error) {
	ctx, cancel := p.within(ctx)
	defer cancel()
	if id != "" {
		read, err := p.client.ReadAuthorizationModel(ctx).Options(client.ClientReadAuthorizationModelOptions{AuthorizationModelId: &id}).Execute()
		if err != nil {
			return "", fmt.Errorf("cannot read OpenFGA model %q: %w", id, err)
		}
		if !p.isOurs(read.GetAuthorizationModel()) {
			return "", fmt.Errorf("cannot use OpenFGA model %q: it is not the model of this version", id)
		}
		return id, nil
	}
	page, err := p.client.ReadAuthorizationModels(ctx).Options(client.ClientReadAuthorizationModelsOptions{PageSize: fga.ToPtr(int32(50))}).Execute()
	if err != nil {
		return "", fmt.Errorf("cannot read the OpenFGA models of store %q: %w", p.storeID, err)
	}
	for _, m := range page.AuthorizationModels {
		if p.isOurs(m) {
			return m.Id, nil
		}
	}
	if p.readOnly {
		return "", fmt.Errorf("OpenFGA store %q does not have the model of this version", p.storeID)
	}
	written, err := p.client.WriteAuthorizationModel(ctx).Body(ours).Execute()
	if err != nil {
		return "", fmt.Errorf("cannot write the OpenFGA model: %w", err)
	}
	return written.AuthorizationModelId, nil
}

func (p *Permissions) isOurs(m fga.AuthorizationModel) bool {
	s, err := parseSchema(m.SchemaVersion, m.TypeDefinitions)
	return err == nil && p.schema.equal(s)
}
