package sim

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"sync"

	"github.com/juju/juju/rpc/params"
	"github.com/juju/juju/rpc/rpcreflect"
)

// method is a method of a facade: it decodes the params, does what it does and
// returns the result.
type method func(ctx context.Context, cn *conn, object string, raw json.RawMessage) (any, error)

// none is for methods without params or without a result.
type none = struct{}

// call makes a method of a function that sees to locking the state itself.
func call[P, R any](f func(ctx context.Context, cn *conn, object string, p P) (R, error)) method {
	return func(ctx context.Context, cn *conn, object string, raw json.RawMessage) (any, error) {
		p, err := decode[P](raw)
		if err != nil {
			return nil, err
		}
		result, err := f(ctx, cn, object, p)
		if err != nil {
			return nil, err
		}
		return result, nil
	}
}

// read makes a method of a function that looks at the state.
func read[P, R any](f func(cn *conn, p P) (R, error)) method {
	return call(func(_ context.Context, cn *conn, _ string, p P) (R, error) {
		cn.ctl.mu.RLock()
		defer cn.ctl.mu.RUnlock()
		return f(cn, p)
	})
}

// write makes a method of a function that changes the state.
func write[P, R any](f func(cn *conn, p P) (R, error)) method {
	return call(func(_ context.Context, cn *conn, _ string, p P) (R, error) {
		cn.ctl.mu.Lock()
		defer cn.ctl.mu.Unlock()
		defer cn.ctl.markDirty()
		return f(cn, p)
	})
}

// decode reads params as Juju does: absent ones are empty, a wrong type is an
// error, an unknown field is not.
func decode[P any](raw json.RawMessage) (P, error) {
	var p P
	if len(raw) == 0 {
		return p, nil
	}
	err := json.Unmarshal(raw, &p)
	return p, err
}

// methods are the methods of a facade's version, by name.
type methods map[string]method

// with returns the methods with others added or replaced: how one version of a
// facade differs from another.
func (m methods) with(others methods) methods {
	all := maps.Clone(m)
	maps.Copy(all, others)
	return all
}

// without returns the methods without some of them.
func (m methods) without(names ...string) methods {
	rest := maps.Clone(m)
	for _, name := range names {
		delete(rest, name)
	}
	return rest
}

// facade is what one facade serves, by version.
type facade map[int]methods

// facades are what a generation of controllers serves.
type facades struct {
	controller, model map[string]facade
	// announced are the facades of login results.
	announcedController, announcedModel []params.FacadeVersions
}

// facadesOf returns the facades of a generation, which all its controllers share.
func facadesOf(g Generation) *facades {
	if g == Juju36 {
		return facades36()
	}
	return facades41()
}

var facades36 = sync.OnceValue(func() *facades {
	return newFacades(controllerFacades36(), modelFacades36())
})

var facades41 = sync.OnceValue(func() *facades {
	return newFacades(controllerFacades41(), modelFacades41())
})

func newFacades(controller, model map[string]facade) *facades {
	return &facades{
		controller:          controller,
		model:               model,
		announcedController: announce(controller),
		announcedModel:      announce(model),
	}
}

func announce(served map[string]facade) []params.FacadeVersions {
	var list []params.FacadeVersions
	for _, name := range slices.Sorted(maps.Keys(served)) {
		list = append(list, params.FacadeVersions{Name: name, Versions: slices.Sorted(maps.Keys(served[name]))})
	}
	return list
}

// controllerOnly are the facades that a model connection refuses, common those
// that both kinds of connection take (apiserver/restrict_controller.go).
var (
	controllerOnly = []string{
		"AllModelWatcher", "ApplicationOffers", "Cloud", "Controller", "CrossController", "MigrationTarget", "ModelManager",
		"ModelSummaryWatcher", "ModelUpgrader", "SecretBackends", "UserManager",
	}
	common = []string{"Bundle", "HighAvailability", "ModelConfig", "NotifyWatcher", "Pinger", "SSHServer"}
)

// find returns a method for a connection that is logged in.
func (f *facades) find(onController bool, name string, version int, methodName string) (method, error) {
	served := f.model
	switch {
	case onController:
		served = f.controller
		if served[name] == nil && !slices.Contains(controllerOnly, name) && !slices.Contains(common, name) {
			return nil, coded(params.CodeNotSupported, "facade %q not supported for controller API connection", name)
		}
	case slices.Contains(controllerOnly, name):
		return nil, coded(params.CodeNotSupported, "facade %q not supported for model API connection", name)
	}
	methods, ok := served[name][version]
	if !ok {
		return nil, notImplemented(rpcreflect.CallNotImplementedError{RootMethod: name, Version: version})
	}
	m, ok := methods[methodName]
	if !ok {
		return nil, notImplemented(rpcreflect.CallNotImplementedError{RootMethod: name, Version: version, Method: methodName})
	}
	return m, nil
}

func notImplemented(e rpcreflect.CallNotImplementedError) error {
	return coded(params.CodeNotImplemented, "%s", e.Error())
}
