package juju

import (
	"fmt"

	"github.com/juju/names/v6"

	"jimm/workload/estate"
)

// need is what a connection must claim for a call, beside a login on the
// controller, which every connection needs.
type need struct {
	kind   string // names.ModelTagKind, …; empty: nothing more
	access string
	// why says, for the log, what a controller does without it, where that is
	// the reason for asking for this much.
	why string
}

// needs has every call that JIMM itself makes to controllers, by facade and
// method, and what it has to claim; a call that is not here is not made. Read from
// the facades of Juju 3.6.11 and 4.1 and measured on 4.1 (TestARealController).
// Superuser stands only where Juju leaves no other way. A call without its claims
// fails here, before the controller is asked: some calls are not refused there,
// they just answer less.
var needs = map[string]need{
	// What anyone may who has logged in.
	"Pinger.Ping":              {},
	"ModelSummaryWatcher.Next": {}, // who started it may
	"ModelSummaryWatcher.Stop": {},
	"Cloud.ModelConfigSchema":  {},
	// As the owner of the credential.
	"Cloud.CheckCredentialsModels":       {},
	"Cloud.UpdateCredentialsCheckModels": {},
	"Cloud.RevokeCredentialsCheckModels": {},

	"ApplicationOffers.GetConsumeDetails": {names.ApplicationOfferTagKind, estate.AccessConsume,
		"as the consumer; in another's name it takes superuser, and 3.x then finds no offer, since a token answers for its own user only"},
	"ModelManager.CreateModel": {names.CloudTagKind, estate.AccessAddModel, "as the owner; for another owner it takes superuser"},

	"Client.FullStatus": {names.ModelTagKind, estate.AccessRead, ""},
	"ModelManager.ModelInfo": {names.ModelTagKind, estate.AccessRead,
		"enough for the owner; 4.1 fails for users its own database does not know, so the estate asks as JIMM, as superuser"},
	"ModelUpgrader.UpgradeModel":      {names.ModelTagKind, estate.AccessWrite, ""},
	"ModelUpgrader.AbortModelUpgrade": {names.ModelTagKind, estate.AccessWrite, ""},
	"ApplicationOffers.Offer": {names.ModelTagKind, estate.AccessAdmin,
		"as the caller; for another owner it takes rights of theirs, which no token of the caller's has"},
	"ApplicationOffers.ListApplicationOffers": {names.ModelTagKind, estate.AccessAdmin, ""},
	"ApplicationOffers.DestroyOffers":         {names.ModelTagKind, estate.AccessAdmin, "admin of the offer is not enough on either"},
	"KeyManager.AddKeys":                      {names.ModelTagKind, estate.AccessAdmin, ""},
	"ModelManager.ChangeModelCredential":      {names.ModelTagKind, estate.AccessAdmin, ""},
	"ModelManager.DestroyModels":              {names.ModelTagKind, estate.AccessAdmin, ""},
	"ModelManager.DumpModels":                 {names.ModelTagKind, estate.AccessAdmin, ""},
	"ModelManager.DumpModelsDB":               {names.ModelTagKind, estate.AccessAdmin, ""},
	"ModelManager.ModelStatus":                {names.ModelTagKind, estate.AccessAdmin, ""},

	"ApplicationOffers.FindApplicationOffers": {names.ControllerTagKind, estate.AccessSuperuser,
		"of all models: anyone else sees the offers that their token names: 4.1 and 3.x leave out the others, 3.x without a word"},
	"Cloud.AddCloud": {names.ControllerTagKind, estate.AccessSuperuser, "the controller asks for it"},
	"Cloud.Clouds": {names.ControllerTagKind, estate.AccessSuperuser,
		"anyone else sees the clouds that the controller's own database lets them see: for our users, none"},
	"Cloud.RemoveClouds": {names.ControllerTagKind, estate.AccessSuperuser,
		"anyone else must administer the cloud according to the controller's own database, whatever a token says"},
	forcedUpdate:                   {names.ControllerTagKind, estate.AccessSuperuser, "4.1 takes force from nobody else"},
	"Controller.AllModels":         {names.ControllerTagKind, estate.AccessSuperuser, "the controller asks for it"},
	"Controller.InitiateMigration": {names.ControllerTagKind, estate.AccessSuperuser, "the controller asks for it"},
	"Controller.WatchAllModelSummaries": {names.ControllerTagKind, estate.AccessSuperuser,
		"the controller asks for it; WatchModelSummaries tells anyone of the models that the controller's own database lets them see"},
	"ModelManager.ListModelSummaries": {names.ControllerTagKind, estate.AccessSuperuser,
		"anyone else sees the models that the controller's own database lets them see, which are not the estate's"},
	"ModelManager.ModelDefaultsForClouds": {names.ControllerTagKind, estate.AccessSuperuser, "the controller asks for it"},
}

// forcedUpdate is an upload of a credential that models cannot use.
const forcedUpdate = "Cloud.UpdateCredentialsCheckModels, forced"

// ranks order the access words of one kind of thing.
var ranks = map[string]int{
	estate.AccessLogin: 1, estate.AccessSuperuser: 2,
	estate.AccessRead: 1, estate.AccessWrite: 2, estate.AccessAdmin: 3,
	estate.AccessAddModel: 1, estate.AccessConsume: 2,
}

// check fails with CodeUnauthorized unless claims suffice for a call about a
// thing, such as a model. A superuser may do everything.
func (n need) check(call, controllerUUID string, claims estate.Claims, thing string) error {
	controller := names.NewControllerTag(controllerUUID).String()
	if n.kind == "" || claims[controller] == estate.AccessSuperuser {
		return nil
	}
	tag := n.kind + "-" + thing
	if n.kind == names.ControllerTagKind {
		tag = controller
	}
	if ranks[claims[tag]] >= ranks[n.access] {
		return nil
	}
	cause := fmt.Errorf("cannot call %s on controller %s: the token does not claim %s on %s", call, controllerUUID, n.access, tag)
	if n.why != "" {
		cause = fmt.Errorf("%w (%s)", cause, n.why)
	}
	return &estate.Error{Code: estate.CodeUnauthorized, Message: "permission denied", Cause: cause}
}
