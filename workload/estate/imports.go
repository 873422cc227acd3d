package estate

import (
	"context"
	"errors"
	"slices"

	"github.com/juju/names/v6"

	"github.com/juju/juju/core/life"
	"github.com/juju/juju/rpc/params"
)

// ImportModelArgs says what model to take into the estate.
type ImportModelArgs struct {
	// Controller is the name of the controller it is on.
	Controller string
	// UUID is the model's.
	UUID string
	// Owner is name@domain; the model's own if empty, which then must be that.
	Owner string
}

// ImportModel takes a model that somebody made on a controller itself into the
// list. The owner becomes its only administrator: what the controller granted
// before is not taken over. On a cloud that needs a credential, the model
// gets the owner's, so that it does not depend on one that JIMM does not know.
// Needs administrator of JIMM. CodeModelNotFound if the controller has no such
// model, CodeAlreadyExists if it is in the list or the owner has a model of
// that name, CodeNotFound if the cloud is not known or the owner has no
// credential for it.
func (e *Estate) ImportModel(ctx context.Context, u User, args ImportModelArgs) error {
	if err := e.requireAdmin(ctx, u); err != nil {
		return err
	}
	if !names.IsValidModel(args.UUID) {
		return Errorf(CodeBadRequest, "cannot import model: %q is not a UUID", clip(args.UUID))
	}
	fail := func(err error) error { return reword(err, "cannot import model %s", args.UUID) }
	c, err := e.controllerFor(ctx, u, args.Controller)
	if err != nil {
		return fail(err)
	}
	s, err := e.modelOn(ctx, c, args.UUID)
	if err != nil {
		return fail(err)
	}
	switch {
	case s == nil:
		return fail(Errorf(CodeModelNotFound, "controller %q has no such model", c.Name))
	case s.IsController:
		return fail(Errorf(CodeBadRequest, "it is controller %q's own", c.Name))
	case s.Life != life.Alive && s.Life != "":
		return fail(Errorf(CodeBadRequest, "it is %s", s.Life))
	case !modelName.MatchString(s.Name):
		return fail(Errorf(CodeBadRequest, "its name, %q, is not one that JIMM takes", clip(s.Name)))
	}
	m, err := e.imported(ctx, c, *s, args.Owner)
	if err != nil {
		return fail(err)
	}
	if err := e.Store.EnsureIdentity(ctx, m.Owner); err != nil {
		return fail(err)
	}
	if err := e.Store.InsertModel(ctx, m); err != nil {
		if Is(err, CodeAlreadyExists) {
			err = e.nameCollision(ctx, m)
		}
		return fail(err)
	}
	e.step("import inserted")
	if err := e.completeImport(ctx, c, m); err != nil {
		undoing, cancel := context.WithTimeout(context.WithoutCancel(ctx), e.callTimeout())
		defer cancel()
		if undo := e.forgetModel(undoing, m); undo != nil {
			e.Log.ErrorContext(ctx, "cannot undo the import of a model yet", "model", m.Path(), "error", undo)
		}
		return fail(err)
	}
	return nil
}

// imported is the row of a model that is to be imported.
func (e *Estate) imported(ctx context.Context, c Controller, s params.ModelSummary, ownerName string) (Model, error) {
	if ownerName == "" {
		ownerName = s.Qualifier
		if ValidateUser(ownerName) != nil {
			return Model{}, Errorf(CodeBadRequest, "its owner, %q, is a local user of the controller; name one of JIMM's (--owner)", clip(ownerName))
		}
	}
	if err := ValidateUser(ownerName); err != nil {
		return Model{}, err
	}
	tag, err := names.ParseCloudTag(s.CloudTag)
	if err != nil {
		return Model{}, Errorf(CodeConnectionFailed, "controller %q says that it is on the cloud %q", c.Name, clip(s.CloudTag))
	}
	cloud, err := e.Store.Cloud(ctx, tag.Id())
	if err != nil {
		return Model{}, err
	}
	owner := User{Name: ownerName}
	credential, err := e.credentialForModel(ctx, owner, owner, cloud, "")
	if err != nil {
		return Model{}, err
	}
	now := e.Now()
	m := Model{
		ID: e.NewUUID(), UUID: s.UUID, Owner: ownerName, Name: s.Name, State: ModelCreating, Type: s.Type,
		ControllerUUID: c.UUID, Cloud: cloud.Name, Region: s.CloudRegion, Summary: s, CreatedAt: now, UpdatedAt: now,
	}
	if m.Region == "" {
		m.Region = NoRegion
	}
	if credential != nil {
		m.Credential = credential.Path()
	}
	return m, nil
}

// nameCollision says why a model cannot be inserted.
func (e *Estate) nameCollision(ctx context.Context, m Model) error {
	if known, err := e.Store.Model(ctx, m.UUID); err == nil {
		return Errorf(CodeAlreadyExists, "it is in the list already, as %s", known.Path())
	}
	return Errorf(CodeAlreadyExists, "%s already has a model named %q, and models cannot be renamed: give it another owner", m.Owner, m.Name)
}

// completeImport has the effects of an import; all can be repeated.
func (e *Estate) completeImport(ctx context.Context, c Controller, m Model) error {
	if m.Credential != "" {
		tag, err := credentialTag(m.Credential)
		if err != nil {
			return err
		}
		credential, err := e.Store.Credential(ctx, tag.Cloud().Id(), tag.Owner().Id(), tag.Name())
		if err != nil {
			return err
		}
		if err := e.pushTo(ctx, c, credential, false); err != nil {
			return err
		}
		e.step("import credential pushed")
		claims := Claims{c.tag(): AccessLogin, m.tag(): AccessAdmin}
		if err := e.changeCredential(ctx, Route{Model: m, Controller: c}, User{Name: m.Owner}, claims, tag); err != nil {
			return err
		}
		e.step("import credential changed")
	}
	return e.completeModel(ctx, m, m.UUID, m.Type)
}

// settleImport finishes an import that a dead process left, or undoes it if the
// controller has no such model, or refuses.
func (e *Estate) settleImport(ctx context.Context, c Controller, m Model) error {
	s, err := e.modelOn(ctx, c, m.UUID)
	if err != nil {
		return err
	}
	if s != nil {
		err := e.completeImport(ctx, c, m)
		if err == nil || Is(err, CodeConnectionFailed) || CodeOf(err) == "" {
			return err
		}
		e.Log.WarnContext(ctx, "undoing the import of a model", "model", m.Path(), "controller", c.Name, "error", err)
	}
	return e.forgetModel(ctx, m)
}

// modelOn asks a controller for a model; nil if it has none.
func (e *Estate) modelOn(ctx context.Context, c Controller, uuid string) (*params.ModelSummary, error) {
	ctx, cancel := context.WithTimeout(ctx, e.callTimeout())
	defer cancel()
	summaries, err := e.controllerSummaries(ctx, c)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(summaries, func(s params.ModelSummary) bool { return s.UUID == uuid })
	if i < 0 {
		return nil, nil
	}
	return &summaries[i], nil
}

// UpdateMigratedModel notes that a model of the list was migrated, not by JIMM,
// to another of its controllers. Needs administrator of JIMM.
// CodeModelNotFound if the model is not in the list, or not on that controller.
func (e *Estate) UpdateMigratedModel(ctx context.Context, u User, uuid, controller string) error {
	if err := e.requireAdmin(ctx, u); err != nil {
		return err
	}
	if !names.IsValidModel(uuid) {
		return errNoModel(clip(uuid))
	}
	fail := func(err error) error { return reword(err, "cannot update model %s", uuid) }
	m, err := e.Store.Model(ctx, uuid)
	if err != nil {
		return fail(err)
	}
	if m.State == ModelCreating {
		return fail(Errorf(CodeBadRequest, "its import is not complete"))
	}
	c, err := e.controllerFor(ctx, u, controller)
	if err != nil {
		return fail(err)
	}
	s, err := e.modelOn(ctx, c, uuid)
	if err != nil {
		return fail(err)
	}
	if s == nil {
		return fail(Errorf(CodeModelNotFound, "controller %q has no such model", c.Name))
	}
	if tag, err := names.ParseCloudTag(s.CloudTag); err != nil || tag.Id() != m.Cloud {
		return fail(Errorf(CodeIncompatibleClouds, "it is on cloud %q, and there on %q", m.Cloud, clip(s.CloudTag)))
	}
	if err := e.Store.MovingModel(ctx, uuid, c.UUID); err != nil {
		return fail(err)
	}
	e.step("move intended")
	return e.completeMove(ctx, uuid, c.UUID)
}

// completeMove has all that says where a model is name its new controller; it
// can be repeated.
func (e *Estate) completeMove(ctx context.Context, uuid, controllerUUID string) error {
	object := Object{KindModel, uuid}
	here := Tuple{Subject{Object: Object{KindController, controllerUUID}}, InController, object}
	if err := e.Permissions.Write(ctx, []Tuple{here}, nil); err != nil {
		return err
	}
	e.step("move tuple written")
	if err := e.Store.MovedModel(ctx, uuid, controllerUUID); err != nil {
		return err
	}
	e.step("model moved")
	stored, _, err := e.Permissions.Read(ctx, TupleFilter{Relation: InController, Object: object}, 100, "")
	if err != nil {
		return err
	}
	before := slices.DeleteFunc(stored, func(t Tuple) bool { return t == here })
	if len(before) > 0 {
		if err := e.Permissions.Write(ctx, nil, before); err != nil {
			return err
		}
	}
	e.step("move tuples removed")
	return e.Store.SettledModel(ctx, uuid, controllerUUID)
}

// sweepMoves finishes the moves that dead processes left.
func (e *Estate) sweepMoves(ctx context.Context) error {
	moving, err := e.Store.MovingModels(ctx, e.Now().Add(-e.intentAge()))
	if err != nil {
		return err
	}
	var failed error
	for uuid, controller := range moving {
		failed = errors.Join(failed, e.completeMove(ctx, uuid, controller))
	}
	return failed
}
