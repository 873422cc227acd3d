package estate

import (
	"context"
	"errors"
	"maps"
	"regexp"
	"slices"
	"sort"
	"strings"

	"github.com/juju/names/v6"

	"github.com/juju/juju/core/life"
	"github.com/juju/juju/core/semversion"
	"github.com/juju/juju/rpc/params"
)

// CreateModelArgs says what model to make. Zero fields are chosen for the user.
type CreateModelArgs struct {
	Name string
	// Owner is name@domain; the caller if empty.
	Owner         string
	Cloud, Region string
	// Credential is cloud/owner/name.
	Credential string
	Config     map[string]any
	// TargetController is the name of the controller to make it on.
	TargetController string
}

// modelName is Juju's own rule, with a length that fits everywhere.
var modelName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`)

// CreateModel makes a model on the first of the fitting controllers that can.
// Needs add-model on the cloud and the controller, and administrator of JIMM
// for an owner that is not the caller. CodeAlreadyExists if the owner has a
// model of that name, CodeNotFound if no cloud, region, credential or
// controller fits, CodeConnectionFailed if none of these controllers could be
// reached.
func (e *Estate) CreateModel(ctx context.Context, u User, args CreateModelArgs) (params.ModelInfo, error) {
	none := params.ModelInfo{}
	if !modelName.MatchString(args.Name) {
		return none, Errorf(CodeBadRequest, "cannot create model %q: a name has up to 63 lowercase letters, digits and hyphens, and starts with a letter or digit", clip(args.Name))
	}
	fail := func(err error) (params.ModelInfo, error) {
		return none, reword(err, "cannot create model %q", args.Name)
	}
	owner, err := e.modelOwner(ctx, u, args.Owner)
	if err != nil {
		return fail(err)
	}
	cloud, err := e.cloudForModel(ctx, u, args.Cloud)
	if err != nil {
		return fail(err)
	}
	candidates, err := e.candidates(ctx, u, cloud, args.Region, args.TargetController)
	if err != nil {
		return fail(err)
	}
	credential, err := e.credentialForModel(ctx, u, owner, cloud, args.Credential)
	if err != nil {
		return fail(err)
	}
	now := e.Now()
	m := Model{
		ID: e.NewUUID(), Owner: owner.Name, Name: args.Name, State: ModelCreating,
		Cloud: cloud.Name, CreatedAt: now, UpdatedAt: now,
	}
	// Until it is placed, the row names the controller that is tried first.
	m.ControllerUUID, m.Region = candidates[0].controller.UUID, candidates[0].region
	if err := e.Store.EnsureIdentity(ctx, owner.Name); err != nil {
		return fail(err)
	}
	if err := e.Store.InsertModel(ctx, m); err != nil {
		if Is(err, CodeAlreadyExists) {
			err = Errorf(CodeAlreadyExists, "%s already has a model of this name", owner.Name)
		}
		return fail(err)
	}
	e.step("model inserted")
	info, err := e.createOnCandidates(ctx, u, owner, m, candidates, credential, args)
	if err != nil {
		return fail(err)
	}
	return e.decorate(ctx, u, info)
}

// modelOwner returns who is to own a new model.
func (e *Estate) modelOwner(ctx context.Context, u User, name string) (User, error) {
	if name == "" || name == u.Name {
		return u, nil
	}
	if err := ValidateUser(name); err != nil {
		return User{}, err
	}
	if err := e.requireAdmin(ctx, u); err != nil {
		return User{}, err
	}
	return User{Name: name}, nil
}

// cloudForModel returns the named cloud, or the only one that u may use.
func (e *Estate) cloudForModel(ctx context.Context, u User, name string) (Cloud, error) {
	if name != "" {
		if ok, err := e.Permissions.Check(ctx, u, CanAddModel, Object{KindCloud, name}); err != nil {
			return Cloud{}, err
		} else if !ok {
			return Cloud{}, Errorf(CodeUnauthorized, "permission denied: no add-model access to cloud %q", clip(name))
		}
		return e.Store.Cloud(ctx, name)
	}
	clouds, err := e.Clouds(ctx, u)
	if err != nil {
		return Cloud{}, err
	}
	switch len(clouds) {
	case 0:
		return Cloud{}, Errorf(CodeNotFound, "there is no cloud that %s may add models to", u.Name)
	case 1:
		return clouds[0], nil
	}
	var found []string
	for _, c := range clouds {
		found = append(found, c.Name)
	}
	return Cloud{}, Errorf(CodeBadRequest, "name a cloud: %s", strings.Join(found, ", "))
}

// candidate is a controller that a model can be made on.
type candidate struct {
	controller Controller
	region     string
	priority   RegionPriority
}

// candidates returns who can make a model, in the order to try: controllers
// that run in the region before those that only reach it, those that answered
// last before those that did not, equal ones shuffled.
func (e *Estate) candidates(ctx context.Context, u User, cloud Cloud, region, target string) ([]candidate, error) {
	serving, err := e.Store.RegionControllers(ctx, cloud.Name, region)
	if err != nil {
		return nil, err
	}
	controllers, err := e.Store.Controllers(ctx, ControllerLive)
	if err != nil {
		return nil, err
	}
	byUUID := make(map[string]Controller, len(controllers))
	for _, c := range controllers {
		byUUID[c.UUID] = c
	}
	var found []candidate
	var questions []Question
	seen := map[string]bool{}
	for _, s := range serving { // best priority first, so the first region of a controller is its best
		c, ok := byUUID[s.ControllerUUID]
		if !ok || seen[c.UUID] || target != "" && c.Name != target || target == "" && c.Deprecated {
			continue
		}
		seen[c.UUID] = true
		found = append(found, candidate{c, s.Region, s.Priority})
		questions = append(questions, Question{CanAddModel, c.Object()})
	}
	has, err := e.Permissions.CheckEach(ctx, u, questions)
	if err != nil {
		return nil, err
	}
	allowed := found[:0]
	for i, c := range found {
		if has[i] {
			allowed = append(allowed, c)
		}
	}
	if len(allowed) == 0 {
		where := "cloud " + cloud.Name
		if region != "" {
			where += ", region " + clip(region)
		}
		if target != "" {
			return nil, Errorf(CodeNotFound, "controller %q is not there, does not serve %s, or does not let %s add models", clip(target), where, u.Name)
		}
		return nil, Errorf(CodeNotFound, "no controller serves %s and lets %s add models", where, u.Name)
	}
	if e.Shuffle != nil {
		e.Shuffle(len(allowed), func(i, j int) { allowed[i], allowed[j] = allowed[j], allowed[i] })
	}
	sort.SliceStable(allowed, func(i, j int) bool {
		a, b := allowed[i], allowed[j]
		if up := a.controller.UnavailableSince.IsZero(); up != b.controller.UnavailableSince.IsZero() {
			return up
		}
		return a.priority < b.priority
	})
	return allowed, nil
}

// createOnCandidates tries one controller after the other. When it fails, the
// row is gone, or left for the sweep if nobody can tell whether a controller
// has made the model.
func (e *Estate) createOnCandidates(ctx context.Context, u, owner User, m Model, candidates []candidate, credential *Credential, args CreateModelArgs) (params.ModelInfo, error) {
	var last error
	for _, c := range candidates {
		m.ControllerUUID, m.Region = c.controller.UUID, c.region
		if credential != nil {
			m.Credential = credential.Path()
		}
		err := e.Store.PlaceModel(ctx, m.ID, m.ControllerUUID, m.Credential, m.Region)
		if err != nil {
			return params.ModelInfo{}, err
		}
		e.step("model placed")
		placed := args
		if placed.Config, err = e.withDefaults(ctx, u, m.Cloud, m.Region, args.Config); err != nil {
			return params.ModelInfo{}, err
		}
		info, err := e.createOn(ctx, owner, c.controller, m, credential, placed)
		if err == nil {
			e.step("model created")
			if err := e.completeModel(ctx, m, info.UUID, info.Type); err != nil {
				return info, err
			}
			// So that the list knows it before its controller is asked again.
			return info, e.Store.SaveSummaries(ctx, m.ControllerUUID, []params.ModelSummary{summaryOf(info)})
		}
		e.Log.WarnContext(ctx, "controller did not create a model", "controller", c.controller.Name, "model", m.Path(), "error", err)
		last = reword(err, "controller %q", c.controller.Name)
		var unsure *unsureError
		if errors.As(err, &unsure) {
			return params.ModelInfo{}, last
		}
		if Is(err, CodeAlreadyExists) || Is(err, CodeBadRequest) || Is(err, CodeNotValid) || ctx.Err() != nil {
			break // it would be the same elsewhere
		}
	}
	undoing, cancel := context.WithTimeout(context.WithoutCancel(ctx), e.callTimeout())
	defer cancel()
	if err := e.Store.DeleteModel(undoing, m.ID, ModelCreating); err != nil {
		e.Log.ErrorContext(ctx, "cannot undo a model's creation yet", "model", m.Path(), "error", err)
	}
	return params.ModelInfo{}, last
}

// unsureError is a creation of which nobody can tell whether it happened.
type unsureError struct{ cause error }

func (u *unsureError) Error() string {
	return "the connection broke while the model was being created: " + u.cause.Error() +
		"; it will appear in the list within minutes if it was, else its name is free again"
}
func (u *unsureError) Unwrap() error     { return u.cause }
func (u *unsureError) ErrorCode() string { return CodeConnectionFailed }

// createOn makes the model on one controller, as its owner.
func (e *Estate) createOn(ctx context.Context, owner User, c Controller, m Model, credential *Credential, args CreateModelArgs) (params.ModelInfo, error) {
	ctx, cancel := context.WithTimeout(ctx, e.callTimeout())
	defer cancel()
	peer, err := e.Peers.Connect(ctx, c, owner, Claims{
		c.tag():                             AccessLogin,
		names.NewCloudTag(m.Cloud).String(): AccessAddModel,
	})
	if err != nil {
		return params.ModelInfo{}, err
	}
	defer peer.Close()
	config, keys := splitKeys(c, args.Config)
	create := params.ModelCreateArgs{
		Name: m.Name, Qualifier: owner.Name, Config: config,
		CloudTag: names.NewCloudTag(m.Cloud).String(),
	}
	if m.Region != NoRegion || args.Region != "" {
		create.CloudRegion = m.Region
	}
	if credential != nil {
		tag := credential.Tag()
		if err := e.pushCredential(ctx, peer, *credential, false); err != nil {
			return params.ModelInfo{}, err
		}
		create.CloudCredentialTag = tag.String()
	}
	e.step("model credential pushed")
	info, err := peer.CreateModel(ctx, create)
	if err == nil {
		e.addKeys(ctx, owner, c, info, keys)
		return info, nil
	}
	if !Is(err, CodeConnectionFailed) && ctx.Err() == nil {
		return params.ModelInfo{}, err
	}
	// The call was on its way: ask on a new connection what became of it.
	asking, cancel := context.WithTimeout(context.WithoutCancel(ctx), e.callTimeout())
	defer cancel()
	found, findErr := e.findModel(asking, c, m)
	switch {
	case findErr != nil:
		return params.ModelInfo{}, &unsureError{err}
	case found == nil:
		return params.ModelInfo{}, err
	}
	return *found, nil
}

// splitKeys takes the SSH keys, one a line, out of a model's config for a
// controller that does not want them there: Juju 3 clients always send them,
// and Juju 4 refuses a config that holds them.
func splitKeys(c Controller, config map[string]any) (map[string]any, []string) {
	const attribute = "authorized-keys"
	text, ok := config[attribute].(string)
	version, err := semversion.Parse(c.AgentVersion)
	if !ok || err != nil || version.Major < 4 {
		return config, nil
	}
	rest := maps.Clone(config)
	delete(rest, attribute)
	var keys []string
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			keys = append(keys, line)
		}
	}
	return rest, keys
}

// addKeys gives the owner of a new model the SSH keys that came with it. The
// model is there without them, and juju add-ssh-key gives them again.
func (e *Estate) addKeys(ctx context.Context, owner User, c Controller, info params.ModelInfo, keys []string) {
	if len(keys) == 0 {
		return
	}
	m := Model{UUID: info.UUID}
	r := Route{Model: m, Controller: c, Claims: Claims{c.tag(): AccessLogin, m.tag(): AccessAdmin}}
	if err := e.Peers.AddModelKeys(ctx, r, owner, keys); err != nil {
		e.Log.WarnContext(ctx, "cannot add the SSH keys that came with a new model", "model", info.UUID, "controller", c.Name, "error", err)
	}
}

// findModel asks a controller for a model by owner and name; nil if it has none.
func (e *Estate) findModel(ctx context.Context, c Controller, m Model) (*params.ModelInfo, error) {
	summaries, err := e.controllerSummaries(ctx, c)
	if err != nil {
		return nil, err
	}
	for _, s := range summaries {
		if s.Name == m.Name && s.Qualifier == m.Owner {
			return &params.ModelInfo{
				UUID: s.UUID, Name: s.Name, Type: s.Type, Qualifier: s.Qualifier, ControllerUUID: s.ControllerUUID,
				ProviderType: s.ProviderType, CloudTag: s.CloudTag, CloudRegion: s.CloudRegion,
				CloudCredentialTag: s.CloudCredentialTag, Life: s.Life, Status: s.Status, AgentVersion: s.AgentVersion,
			}, nil
		}
	}
	return nil, nil
}

// completeModel writes the tuples of a model that a controller has made, and
// makes its row live; both can be repeated.
func (e *Estate) completeModel(ctx context.Context, m Model, uuid, modelType string) error {
	object := Object{KindModel, uuid}
	err := e.Permissions.Write(ctx, []Tuple{
		{Subject{Object: Object{KindController, m.ControllerUUID}}, InController, object},
		{User{Name: m.Owner}.Subject(), Administrator, object},
	}, nil)
	if err != nil {
		return err
	}
	e.step("model tuples written")
	return e.Store.CompleteModel(ctx, m.ID, uuid, modelType)
}

// summaryOf is what a controller says of a new model, in the shorter form of
// its list.
func summaryOf(info params.ModelInfo) params.ModelSummary {
	return params.ModelSummary{
		Name: info.Name, Qualifier: info.Qualifier, UUID: info.UUID, Type: info.Type, ControllerUUID: info.ControllerUUID,
		ProviderType: info.ProviderType, CloudTag: info.CloudTag, CloudRegion: info.CloudRegion, CloudCredentialTag: info.CloudCredentialTag,
		Life: info.Life, Status: info.Status, Counts: []params.ModelEntityCount{}, AgentVersion: info.AgentVersion,
	}
}

// ListModels returns the models u may read.
func (e *Estate) ListModels(ctx context.Context, u User) ([]Model, error) {
	uuids, err := e.Permissions.ListObjects(ctx, u, Reader, KindModel)
	if err != nil {
		return nil, err
	}
	if len(uuids) == 0 {
		return nil, nil
	}
	return e.Store.Models(ctx, uuids)
}

// ModelInfo returns what a controller says of a model, with the users that
// OpenFGA knows. Needs reader. When the controller does not answer, it is what
// it said last, with status unavailable. CodeModelNotFound if there is none or
// u may not read it.
func (e *Estate) ModelInfo(ctx context.Context, u User, uuid string) (params.ModelInfo, error) {
	r, err := e.Route(ctx, u, uuid)
	if err != nil {
		return params.ModelInfo{}, err
	}
	info, err := e.askModelInfo(ctx, r)
	switch {
	case err == nil:
	case isGone(err):
		if r.Model.State == ModelDying {
			if err := e.confirmGone(ctx, r.Controller, r.Model); err != nil {
				return params.ModelInfo{}, err
			}
			return params.ModelInfo{}, errNoModel(uuid)
		}
		since := r.Model.GoneSince
		if since.IsZero() {
			since = e.Now()
		}
		info = e.rememberedInfo(r.Model)
		info.Status = unavailableStatus("its controller does not know it any more; destroy it to remove it from the list", since)
	case Is(err, CodeConnectionFailed):
		info = e.rememberedInfo(r.Model)
		info.Status = unavailableStatus("its controller does not answer", e.Now())
	default:
		return params.ModelInfo{}, err
	}
	return e.decorate(ctx, u, info)
}

// askModelInfo asks as superuser: Juju 4.1 fails for users whom its own database
// does not know for the model, which are all but its owner
// (apiserver/common/model/modeluser.go). What the caller may not see, decorate
// leaves out.
func (e *Estate) askModelInfo(ctx context.Context, r Route) (params.ModelInfo, error) {
	ctx, cancel := context.WithTimeout(ctx, e.callTimeout())
	defer cancel()
	peer, err := e.Peers.Connect(ctx, r.Controller, e.Self, Claims{r.Controller.tag(): AccessSuperuser})
	if err != nil {
		return params.ModelInfo{}, err
	}
	defer peer.Close()
	return peer.ModelInfo(ctx, r.Model.UUID)
}

// rememberedInfo is what we know of a model without its controller.
func (e *Estate) rememberedInfo(m Model) params.ModelInfo {
	s := e.summary(m)
	return params.ModelInfo{
		UUID: m.UUID, Name: m.Name, Type: m.Type, Qualifier: m.Owner, ProviderType: s.ProviderType,
		CloudTag: s.CloudTag, CloudRegion: s.CloudRegion, CloudCredentialTag: s.CloudCredentialTag,
		Life: s.Life, Status: s.Status, AgentVersion: s.AgentVersion,
	}
}

// decorate makes a controller's ModelInfo the estate's: our UUID for the
// controller's, our name for its qualifier, and the users from OpenFGA, as far
// as u may see them.
func (e *Estate) decorate(ctx context.Context, u User, info params.ModelInfo) (params.ModelInfo, error) {
	m, err := e.Store.Model(ctx, info.UUID)
	if err != nil {
		return info, err
	}
	info.ControllerUUID, info.Name, info.Qualifier = e.UUID, m.Name, m.Owner
	if tag, err := credentialTag(m.Credential); err == nil {
		info.CloudCredentialTag = tag.String()
	}
	if m.State == ModelDying && info.Life != life.Dead {
		info.Life = life.Dying
	}
	has, err := e.Permissions.CheckEach(ctx, u, []Question{{Administrator, m.Object()}, {Writer, m.Object()}})
	if err != nil {
		return info, err
	}
	admin, writer := has[0], has[1]
	if !writer {
		info.Machines, info.SecretBackends = nil, nil
	}
	info.Users, err = e.modelUsers(ctx, u, m, admin, writer)
	return info, err
}

// modelUsers lists who has access to a model: all for its administrators, the
// caller for others.
func (e *Estate) modelUsers(ctx context.Context, u User, m Model, admin, writer bool) ([]params.ModelUserInfo, error) {
	if !admin {
		access := AccessRead
		if writer {
			access = AccessWrite
		}
		return []params.ModelUserInfo{{UserName: u.Name, Access: params.UserAccessPermission(access)}}, nil
	}
	access, err := e.usersWithAccess(ctx, m.Object())
	if err != nil {
		return nil, err
	}
	access[u.Name] = AccessAdmin
	list := make([]params.ModelUserInfo, 0, len(access))
	for name, word := range access {
		list = append(list, params.ModelUserInfo{UserName: name, Access: params.UserAccessPermission(word)})
	}
	slices.SortFunc(list, func(a, b params.ModelUserInfo) int { return strings.Compare(a.UserName, b.UserName) })
	return list, nil
}

// ModelStatus returns the state of a model in numbers. Needs administrator of
// it. When the controller does not know it: CodeModelNotFound if it was to be
// destroyed, else a status with which a client can destroy it.
func (e *Estate) ModelStatus(ctx context.Context, u User, uuid string) (params.ModelStatus, error) {
	r, err := e.routeAs(ctx, u, uuid, AccessAdmin)
	if err != nil {
		return params.ModelStatus{}, err
	}
	calling, cancel := context.WithTimeout(ctx, e.callTimeout())
	defer cancel()
	status, err := e.askModelStatus(calling, u, r)
	if isGone(err) {
		if r.Model.State == ModelDying {
			if err := e.confirmGone(ctx, r.Controller, r.Model); err != nil {
				return params.ModelStatus{}, err
			}
			return params.ModelStatus{}, errNoModel(uuid)
		}
		status, err = params.ModelStatus{Life: life.Dead, Type: r.Model.Type}, nil
	}
	if err != nil {
		return params.ModelStatus{}, err
	}
	status.ModelTag, status.Qualifier = r.Model.tag(), r.Model.Owner
	return status, nil
}

func (e *Estate) askModelStatus(ctx context.Context, u User, r Route) (params.ModelStatus, error) {
	peer, err := e.Peers.Connect(ctx, r.Controller, u, r.Claims)
	if err != nil {
		return params.ModelStatus{}, err
	}
	defer peer.Close()
	return peer.ModelStatus(ctx, r.Model.UUID)
}

// routeAs is Route for one who needs more than to read.
func (e *Estate) routeAs(ctx context.Context, u User, uuid, access string) (Route, error) {
	r, err := e.Route(ctx, u, uuid)
	if err != nil {
		return Route{}, err
	}
	have := r.Claims[r.Model.tag()]
	if have == AccessAdmin || have == access || access == AccessRead {
		return r, nil
	}
	return Route{}, errPermission
}

// isGone reports whether a controller says that there is no such model.
func isGone(err error) bool { return Is(err, CodeModelNotFound) || Is(err, CodeNotFound) }

// DestroyModel asks a model's controller to destroy it, and remembers that it
// was asked, so that it is asked again if this process dies. Needs
// administrator. The model leaves the list when the controller has confirmed
// that it is gone.
func (e *Estate) DestroyModel(ctx context.Context, u User, p params.DestroyModelParams) error {
	tag, err := names.ParseModelTag(p.ModelTag)
	if err != nil {
		return Errorf(CodeBadRequest, "cannot destroy model: %q is not a model tag", clip(p.ModelTag))
	}
	r, err := e.routeAs(ctx, u, tag.Id(), AccessAdmin)
	if err != nil {
		return err
	}
	if err := e.Store.DyingModel(ctx, r.Model.UUID, p); err != nil {
		return err
	}
	e.step("model dying")
	err = e.sendDestroy(ctx, u, r.Controller, r.Claims, p)
	switch {
	case err == nil:
		e.step("model destroy sent")
		return nil
	case isGone(err):
		return e.confirmGone(ctx, r.Controller, r.Model)
	case Is(err, CodeConnectionFailed) || CodeOf(err) == "" || ctx.Err() != nil:
		// Whether it was heard nobody knows; the sweep asks again.
		return err
	}
	// Refused, for instance because of persistent storage: it lives on, unless
	// an earlier destroy had already been accepted.
	if r.Model.State == ModelLive {
		if revive := e.Store.ReviveModel(context.WithoutCancel(ctx), r.Model.UUID); revive != nil {
			e.Log.ErrorContext(ctx, "cannot take back that a model is dying", "model", r.Model.UUID, "error", revive)
		}
	}
	return err
}

func (e *Estate) sendDestroy(ctx context.Context, u User, c Controller, claims Claims, p params.DestroyModelParams) error {
	ctx, cancel := context.WithTimeout(ctx, e.callTimeout())
	defer cancel()
	peer, err := e.Peers.Connect(ctx, c, u, claims)
	if err != nil {
		return err
	}
	defer peer.Close()
	return peer.DestroyModel(ctx, p)
}

// confirmGone asks the controller itself whether a dying model is gone, and only
// then forgets it.
func (e *Estate) confirmGone(ctx context.Context, c Controller, m Model) error {
	calling, cancel := context.WithTimeout(ctx, e.callTimeout())
	defer cancel()
	peer, err := e.Peers.Connect(calling, c, e.Self, Claims{c.tag(): AccessLogin, m.tag(): AccessAdmin})
	if err != nil {
		return err
	}
	defer peer.Close()
	_, err = peer.ModelStatus(calling, m.UUID)
	if err == nil {
		return nil
	}
	if !isGone(err) {
		return err
	}
	e.step("model gone")
	return e.forgetModel(ctx, m)
}

// forgetModel removes a model's tuples and then its row.
func (e *Estate) forgetModel(ctx context.Context, m Model) error {
	if m.UUID != "" {
		if err := e.forgetOffersOf(ctx, m); err != nil {
			return err
		}
		if err := e.removeTuples(ctx, m.Object()); err != nil {
			return err
		}
		e.step("model tuples removed")
	}
	err := e.Store.DeleteModel(ctx, m.ID, m.State)
	if Is(err, CodeModelNotFound) {
		return nil
	}
	return err
}
