package observe

import (
	"context"

	"jimm/workload/estate"
)

// Secrets measures and traces secrets.
func (i *Instruments) Secrets(s estate.Secrets) estate.Secrets { return secrets{s, i} }

type secrets struct {
	estate.Secrets
	i *Instruments
}

func kept[R any](ctx context.Context, s secrets, method string, f func(context.Context) (R, error)) (R, error) {
	return measured(ctx, s.i, "jimm.secrets", method, s.i.secretsDuration, s.i.secretsErrors, f)
}

func (s secrets) Put(ctx context.Context, path string, value map[string]string) error {
	_, err := kept(ctx, s, "Put", func(ctx context.Context) (struct{}, error) { return struct{}{}, s.Secrets.Put(ctx, path, value) })
	return err
}

func (s secrets) Get(ctx context.Context, path string) (map[string]string, error) {
	return kept(ctx, s, "Get", func(ctx context.Context) (map[string]string, error) { return s.Secrets.Get(ctx, path) })
}

func (s secrets) Delete(ctx context.Context, path string) error {
	_, err := kept(ctx, s, "Delete", func(ctx context.Context) (struct{}, error) { return struct{}{}, s.Secrets.Delete(ctx, path) })
	return err
}

func (s secrets) PutIfVersion(ctx context.Context, path string, version int, value map[string]string) (bool, error) {
	return kept(ctx, s, "PutIfVersion", func(ctx context.Context) (bool, error) { return s.Secrets.PutIfVersion(ctx, path, version, value) })
}

func (s secrets) GetVersion(ctx context.Context, path string) (value map[string]string, version int, err error) {
	value, err = kept(ctx, s, "GetVersion", func(ctx context.Context) (value map[string]string, err error) {
		value, version, err = s.Secrets.GetVersion(ctx, path)
		return value, err
	})
	return value, version, err
}
