package estate

import (
	"context"
	"errors"
)

// Sweep finishes or undoes what dead processes left half done. One process at
// a time runs it (Store.Lead); it is safe, only wasteful, if two do.
func (e *Estate) Sweep(ctx context.Context) error {
	return errors.Join(
		e.sweepControllers(ctx),
		e.sweepCreating(ctx),
		e.sweepDying(ctx),
		e.sweepMoves(ctx),
		e.sweepOffers(ctx),
		e.sweepUsersets(ctx),
		e.dropUnservedClouds(ctx),
		e.sweepSessions(ctx),
	)
}

// sweepControllers undoes the adding and finishes the removing of controllers.
func (e *Estate) sweepControllers(ctx context.Context) error {
	list, err := e.Store.Controllers(ctx, ControllerAdding, ControllerRemoving)
	if err != nil {
		return err
	}
	var failed error
	for _, c := range list {
		if c.UpdatedAt.Before(e.Now().Add(-e.intentAge())) {
			failed = errors.Join(failed, e.forgetController(ctx, c))
		}
	}
	return failed
}

// sweepCreating finishes the creation of models that their controller has
// made, and undoes that of those it has not. One that cannot be asked keeps
// its row: the name stays reserved until it answers.
func (e *Estate) sweepCreating(ctx context.Context) error {
	stale, err := e.Store.StaleModels(ctx, ModelCreating, e.Now().Add(-e.intentAge()))
	if err != nil {
		return err
	}
	var failed error
	for _, m := range stale {
		failed = errors.Join(failed, e.settleCreating(ctx, m))
	}
	return failed
}

func (e *Estate) settleCreating(ctx context.Context, m Model) error {
	ctx, cancel := context.WithTimeout(ctx, e.callTimeout())
	defer cancel()
	c, err := e.Store.Controller(ctx, m.ControllerUUID)
	if err != nil {
		return err
	}
	if m.UUID != "" {
		return e.settleImport(ctx, c, m)
	}
	info, err := e.findModel(ctx, c, m)
	if err != nil {
		return err
	}
	if info == nil {
		e.Log.InfoContext(ctx, "undoing the creation of a model that its controller has not made", "model", m.Path(), "controller", c.Name)
		return e.forgetModel(ctx, m)
	}
	e.Log.InfoContext(ctx, "finishing the creation of a model", "model", m.Path(), "controller", c.Name)
	return e.completeModel(ctx, m, info.UUID, info.Type)
}

// sweepDying asks again to destroy what should be destroyed, and forgets what
// is gone.
func (e *Estate) sweepDying(ctx context.Context) error {
	stale, err := e.Store.StaleModels(ctx, ModelDying, e.Now().Add(-e.intentAge()))
	if err != nil {
		return err
	}
	var failed error
	for _, m := range stale {
		failed = errors.Join(failed, e.settleDying(ctx, m))
	}
	return failed
}

func (e *Estate) settleDying(ctx context.Context, m Model) error {
	c, err := e.Store.Controller(ctx, m.ControllerUUID)
	if err != nil {
		return err
	}
	if m.Destroy != nil {
		// The right to destroy was checked when it was asked for.
		err := e.sendDestroy(ctx, e.Self, c, Claims{c.tag(): AccessLogin, m.tag(): AccessAdmin}, *m.Destroy)
		if err != nil && !isGone(err) {
			return err
		}
	}
	return e.confirmGone(ctx, c, m)
}
