//go:build integration

package sim_test

import (
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"

	"jimm/integration/lab"
	"jimm/workload/rpc"
	"jimm/workload/sim"

	"github.com/juju/juju/rpc/params"
)

// newRealWorld starts a real 4.1 controller.
func newRealWorld(t *testing.T) *world {
	t.Helper()
	bin, err := lab.Build(t.Context(), "../..", os.Stderr)
	ok(t, err)
	l, err := lab.New(bin, t.TempDir())
	ok(t, err)
	t.Cleanup(func() { ok(t, l.Close()) })
	w := new(world)
	w.trusts(t, newIssuer(t, l.HostAddress()+":0"))
	l.Options.Clouds = []string{"sim"}
	started, err := l.Start(t.Context(), 1, w.issuer.url)
	ok(t, err)
	c := started[0]
	w.peer = peer{uuid: c.UUID, address: c.Address, caCert: c.CACert, password: c.Password, cloud: c.Cloud}
	return w
}

// What the simulated controllers are tested with is true of a real one, and
// both refuse the same questions in the same words.
func TestARealControllerBehavesTheSame(t *testing.T) {
	real, simulated := newRealWorld(t), newWorld(t, sim.Juju41)
	model := real.newModel(t, "m")
	for _, test := range tokenTests() {
		if test.generation == sim.Juju36 {
			continue
		}
		t.Run(test.name, func(t *testing.T) { test.run(t, real, model) })
	}
	runLacking(t, real, model)

	simulatedModel := simulated.newModel(t, "m")
	for _, q := range questions() {
		t.Run(q.facade+"."+q.method+" with "+q.claims, func(t *testing.T) {
			same(t, jsonOf(t, q.ask(t, simulated, simulatedModel)), jsonOf(t, q.ask(t, real, model)))
		})
	}
}

// question is a call of which the errors matter. In its claims and params CONTROLLER,
// MODEL and CLOUD stand for tags.
type question struct {
	// claims of the token: CONTROLLER=login,MODEL=read.
	claims  string
	onModel bool
	facade  string
	version int
	method  string
	params  string
}

func questions() []question {
	const (
		login     = "CONTROLLER=login"
		superuser = "CONTROLLER=superuser"
		reader    = "CONTROLLER=login,MODEL=read"
		writer    = "CONTROLLER=login,MODEL=write"
		admin     = "CONTROLLER=login,MODEL=admin"
		alices    = `"tag":"user-alice@canonical.com"`
		models    = `{"entities":[{"tag":"MODEL"}]}`
		unknown   = `{"entities":[{"tag":"model-22222222-2222-4222-8222-222222222222"}]}`
		clouds    = `{"entities":[{"tag":"CLOUD"}]}`
		noClouds  = `{"entities":[{"tag":"cloud-none"}]}`
		apps      = `{"entities":[{"tag":"application-none"}]}`
		garbage   = `{"entities":[{"tag":"what is this"}]}`
	)
	return []question{
		{login, false, "Nonsense", 1, "Ask", `{}`},
		{login, false, "Cloud", 99, "Clouds", `{}`},
		{login, false, "Cloud", 8, "Nonsense", `{}`},
		{login, false, "Client", 8, "FullStatus", `{}`},
		{login, true, "Cloud", 8, "Clouds", `{}`},
		{login, true, "Nonsense", 1, "Ask", `{}`},
		{login, false, "NotifyWatcher", 1, "Next", `{}`},
		{login, false, "ModelManager", 11, "ListModels", `{"tag": 7}`},
		{login, false, "ModelManager", 11, "ListModels", `{"tag": "nonsense"}`},
		{login, false, "ModelManager", 11, "ListModels", `{` + alices + `}`},
		{login, false, "ModelManager", 11, "ListModels", `{"tag":"user-bob@canonical.com"}`},
		{superuser, false, "ModelManager", 11, "ListModels", `{"tag":"user-bob@canonical.com"}`},
		{login, false, "ModelManager", 11, "ListModelSummaries", `{"user-tag":"user-alice@canonical.com","all":true}`},
		{login, false, "ModelManager", 11, "ListModelSummaries", `{"user-tag":"user-bob@canonical.com"}`},
		{superuser, false, "ModelManager", 11, "ModelInfo", unknown},
		{superuser, false, "ModelManager", 11, "ModelInfo", garbage},
		{"CONTROLLER=login,MODEL=bogus", false, "ModelManager", 11, "ModelInfo", models},
		{superuser, false, "ModelManager", 11, "ModelStatus", unknown},
		{login, false, "ModelManager", 11, "ModelDefaultsForClouds", clouds},
		{superuser, false, "ModelManager", 11, "ModelDefaultsForClouds", noClouds},
		{superuser, false, "ModelManager", 11, "CreateModel", `{"name":"m","qualifier":"admin"}`},
		{superuser, false, "ModelManager", 11, "CreateModel", `{"name":"n","qualifier":""}`},
		{superuser, false, "ModelManager", 11, "CreateModel", `{"name":"n","qualifier":"admin","target-controller":"c"}`},
		{"CONTROLLER=login,CLOUD=add-model", false, "ModelManager", 11, "CreateModel", `{"name":"n","qualifier":"bob@canonical.com"}`},
		{"CONTROLLER=login,CLOUD=add-model", false, "ModelManager", 11, "CreateModel", `{"name":"n","qualifier":"alice@canonical.com","cloud-tag":"cloud-none"}`},
		{login, false, "ModelManager", 11, "ChangeModelCredential", `{"model-credentials":[{"model-tag":"MODEL","credential-tag":"cloudcred-sim_alice@canonical.com_c"}]}`},
		{login, false, "ModelManager", 11, "DumpModels", models},
		{login, false, "ModelManager", 11, "SetModelDefaults", `{"config":[]}`},
		{login, false, "Cloud", 8, "Clouds", `{}`},
		{login, false, "Cloud", 8, "Cloud", clouds},
		{superuser, false, "Cloud", 8, "Cloud", noClouds},
		{login, false, "Cloud", 8, "CloudInfo", clouds},
		{superuser, false, "Cloud", 8, "CloudInfo", noClouds},
		{login, false, "Cloud", 8, "UpdateCloud", `{"clouds":[]}`},
		{login, false, "Cloud", 8, "RemoveClouds", clouds},
		{login, false, "Cloud", 8, "UserCredentials", `{"user-clouds":[{"user-tag":"user-bob@canonical.com","cloud-tag":"CLOUD"}]}`},
		{login, false, "Cloud", 8, "UpdateCredentialsCheckModels", `{"credentials":[{"tag":"cloudcred-sim_bob@canonical.com_c","credential":{"auth-type":"empty"}}]}`},
		{login, false, "Cloud", 8, "UpdateCredentialsCheckModels", `{"credentials":[],"force":true}`},
		{login, false, "Cloud", 8, "RevokeCredentialsCheckModels", `{"credentials":[{"tag":"cloudcred-sim_alice@canonical.com_none"}]}`},
		{login, false, "Cloud", 8, "Credential", `{"entities":[{"tag":"cloudcred-sim_alice@canonical.com_none"}]}`},
		{login, false, "Cloud", 8, "CredentialContents", `{"credentials":[{"cloud-name":"sim","credential-name":"none"}]}`},
		{login, false, "Cloud", 8, "ModifyCloudAccess", `{"changes":[{"user-tag":"user-bob@canonical.com","cloud-tag":"CLOUD","action":"grant","access":"admin"}]}`},
		{login, false, "Controller", 14, "AllModels", `{}`},
		{login, false, "Controller", 14, "ControllerVersion", `{}`},
		{login, false, "Controller", 14, "ConfigSet", `{}`},
		{login, false, "Controller", 14, "ListBlockedModels", `{}`},
		{login, false, "Controller", 14, "WatchAllModelSummaries", `{}`},
		{superuser, false, "Controller", 14, "WatchAllModelSummaries", `{}`},
		{login, false, "Controller", 14, "ModifyControllerAccess", `{"changes":[{"user-tag":"user-bob@canonical.com","action":"grant","access":"login"}]}`},
		{login, false, "Controller", 14, "GetControllerAccess", `{"entities":[{"tag":"user-bob@canonical.com"}]}`},
		{login, false, "UserManager", 3, "AddUser", `{"users":[{"username":"x"}]}`},
		{login, false, "UserManager", 3, "UserInfo", `{"entities":[{"tag":"user-bob@canonical.com"}]}`},
		{superuser, false, "UserManager", 3, "UserInfo", `{"entities":[{"tag":"user-bob@canonical.com"}]}`},
		{login, false, "SecretBackends", 1, "ListSecretBackends", `{}`},
		{login, false, "ApplicationOffers", 6, "ListApplicationOffers", `{"Filters":[{"model-name":"m","model-qualifier":"admin"}]}`},
		{login, false, "ApplicationOffers", 6, "ListApplicationOffers", `{"Filters":[]}`},
		{login, false, "ApplicationOffers", 6, "Offer", `{"Offers":[{"model-tag":"MODEL","application-name":"a"}]}`},
		{superuser, false, "ApplicationOffers", 6, "Offer", `{"Offers":[{"model-tag":"MODEL","application-name":"a","offer-name":"a","endpoints":{"db":"db"}}]}`},
		{login, false, "ApplicationOffers", 6, "GetConsumeDetails", `{"offer-urls":{"offer-urls":["admin/m.none"]},"user-tag":"user-bob@canonical.com"}`},
		{superuser, false, "ApplicationOffers", 6, "GetConsumeDetails", `{"offer-urls":{"offer-urls":["admin/m.none"]},"user-tag":"user-bob@canonical.com"}`},
		{login, false, "ApplicationOffers", 6, "DestroyOffers", `{"offer-urls":["admin/m.none"]}`},
		{login, false, "ApplicationOffers", 6, "ApplicationOffers", `{"offer-urls":["admin/m.none"]}`},
		{login, false, "ApplicationOffers", 6, "ModifyOfferAccess", `{"changes":[{"user-tag":"user-bob@canonical.com","offer-url":"admin/m.none","action":"grant","access":"read"}]}`},
		{superuser, true, "Client", 8, "FullStatus", `{}`},
		{superuser, true, "ModelConfig", 4, "ModelSet", `{}`},
		{superuser, true, "Application", 22, "Expose", `{"application":"none"}`},
		{reader, true, "Application", 22, "Expose", `{"application":"none"}`},
		{writer, true, "Application", 22, "Expose", `{"application":"none"}`},
		{reader, true, "Application", 22, "Deploy", `{"applications":[{"application":"a"}]}`},
		{reader, true, "Application", 22, "Get", `{"application":"none"}`},
		{login, true, "Application", 22, "Get", `{"application":"none"}`},
		{writer, true, "Application", 22, "AddUnits", `{"application":"none","num-units":1}`},
		{writer, true, "Application", 22, "DestroyApplication", `{"applications":[{"application-tag":"application-none"}]}`},
		{writer, true, "Application", 22, "AddRelation", `{"endpoints":["a","b"]}`},
		{writer, true, "Application", 22, "SetConfigs", `{"Args":[{"application":"none","config":{"a":"b"}}]}`},
		{login, true, "Charms", 7, "CharmInfo", `{"url":"local:none-0"}`},
		{reader, true, "Charms", 7, "CharmInfo", `{"url":"local:none-0"}`},
		{login, true, "Resources", 3, "ListResources", apps},
		{reader, true, "Resources", 3, "ListResources", apps},
		{reader, true, "Resources", 3, "AddPendingResources", `{"tag":"application-a"}`},
		{login, true, "Secrets", 2, "ListSecrets", `{}`},
		{reader, true, "Secrets", 2, "ListSecrets", `{"show-secrets":true}`},
		{reader, true, "Secrets", 2, "CreateSecrets", `{"args":[]}`},
		{login, true, "Action", 7, "ListOperations", `{}`},
		{reader, true, "Action", 7, "EnqueueOperation", `{}`},
		{writer, true, "Action", 7, "EnqueueOperation", `{}`},
		{writer, true, "Action", 7, "Run", `{}`},
		{login, true, "Annotations", 2, "Get", models},
		{reader, true, "Annotations", 2, "Set", `{"annotations":[{"entity":"MODEL","annotations":{"a":"b"}}]}`},
		{login, true, "KeyManager", 1, "ListKeys", `{"entities":{"entities":[{"tag":"user-alice@canonical.com"}]},"mode":false}`},
		{reader, true, "KeyManager", 1, "AddKeys", `{"user":"alice","ssh-keys":[]}`},
		{login, true, "Block", 2, "List", `{}`},
		{reader, true, "Block", 2, "SwitchBlockOn", `{"type":"BlockDestroy"}`},
		{writer, true, "KeyManager", 1, "ListKeys", `{"entities":{"entities":[{"tag":"user-alice@canonical.com"}]},"mode":false}`},
		{login, true, "Storage", 7, "ListPools", `{"filters":[{}]}`},
		{login, true, "Storage", 7, "ListStorageDetails", `{"filters":[{}]}`},
		{login, true, "HighAvailability", 3, "ControllerDetails", `{}`},
		{login, true, "HighAvailability", 2, "EnableHA", `{"specs":[]}`},
		{writer, true, "Application", 22, "Unexpose", `{"application":"none"}`},
		{writer, true, "Application", 22, "SetConstraints", `{"application":"none"}`},
		{writer, true, "Application", 22, "DestroyUnit", `{"units":[{"unit-tag":"unit-none-0"}]}`},
		{reader, true, "Application", 22, "ApplicationsInfo", apps},
		{reader, true, "Application", 22, "UnitsInfo", apps},
		{reader, true, "Application", 22, "CharmRelations", `{"application":"none"}`},
		{reader, true, "Application", 22, "GetCharmURLOrigin", `{"application":"none"}`},
		{writer, true, "Application", 22, "DestroyRelation", `{"relation-id":99}`},
		{writer, true, "Secrets", 2, "RemoveSecrets", `{"args":[{"label":"none"}]}`},
		{writer, true, "Secrets", 2, "GrantSecret", `{"label":"none","applications":["a"]}`},
		{reader, true, "Action", 7, "Actions", `{"entities":[{"tag":"action-99"}]}`},
		{reader, true, "Action", 7, "WatchActionsProgress", `{"entities":[{"tag":"action-99"}]}`},
		{reader, true, "Action", 7, "ApplicationsCharmsActions", apps},
		{login, false, "ModelUpgrader", 2, "UpgradeModel", `{"model-tag":"MODEL"}`},
		{superuser, false, "Controller", 14, "WatchModelSummaries", `{}`},
		{superuser, false, "Controller", 14, "GetControllerAccess", `{"entities":[{"tag":"user-bob@canonical.com"}]}`},
		{superuser, false, "Cloud", 8, "AddCloud", `{"name":"sim","cloud":{"type":"kubernetes"}}`},
		{superuser, false, "Cloud", 8, "AddCloud", `{"name":"sim","cloud":{"type":"kubernetes","auth-types":["certificate"]}}`},
		{superuser, false, "Cloud", 8, "RemoveClouds", clouds},
		{superuser, false, "ModelManager", 11, "DestroyModels", `{"models":[{"model-tag":"model-22222222-2222-4222-8222-222222222222"}]}`},
		{superuser, false, "ModelManager", 11, "ModifyModelAccess", `{"changes":[{"user-tag":"user-bob@canonical.com","action":"grant","access":"bogus","model-tag":"MODEL"}]}`},
		{superuser, false, "ModelManager", 11, "ModifyModelAccess", `{"changes":[{"user-tag":"user-bob@canonical.com","action":"revoke","access":"read","model-tag":"MODEL"}]}`},
		{superuser, false, "ModelManager", 11, "CreateModel", `{"name":"n","qualifier":"admin","cloud-tag":"cloud-none"}`},

		{login, true, "Spaces", 6, "ListSpaces", `{}`},
		{login, true, "Subnets", 5, "ListSubnets", `{}`},
		{admin, true, "Application", 22, "Nonsense", `{}`},
		{admin, true, "Admin", 3, "Login", `{}`},
		{admin, false, "Admin", 3, "Login", `{}`},
	}
}

// ask returns the errors in the answer, at its top or in its results, in which
// the peer's own ids have become words again.
func (q question) ask(t *testing.T, w *world, model string) []params.Error {
	t.Helper()
	words := strings.NewReplacer("CONTROLLER", w.controllerTag(), "MODEL", "model-"+model, "CLOUD", "cloud-"+w.peer.cloud)
	claims := make(map[string]string)
	for pair := range strings.SplitSeq(q.claims, ",") {
		tag, access, _ := strings.Cut(pair, "=")
		claims[words.Replace(tag)] = access
	}
	path := "/api"
	if q.onModel {
		path = "/model/" + model + "/api"
	}
	client := w.as(t, path, alice, claims)
	var response json.RawMessage
	err := call(t, client, q.facade, q.version, q.method, json.RawMessage(words.Replace(q.params)), &response)
	var found []params.Error
	var top *rpc.Error
	switch {
	case errors.As(err, &top):
		found = append(found, params.Error{Message: top.Message, Code: top.Code, Info: top.Info})
	case err != nil:
		t.Fatal(err)
	default:
		found = errorsIn(t, response)
	}
	back := strings.NewReplacer(w.controllerTag(), "CONTROLLER", "model-"+model, "MODEL", model, "UUID", w.peer.uuid, "UUID")
	for i, e := range found {
		info := make(map[string]any)
		for tag, access := range e.Info {
			info[back.Replace(tag)] = access
		}
		found[i] = params.Error{Message: back.Replace(e.Message), Code: e.Code, Info: info}
	}
	return found
}

// errorsIn finds all values called error.
func errorsIn(t *testing.T, raw json.RawMessage) []params.Error {
	t.Helper()
	var found []params.Error
	var fields map[string]json.RawMessage
	if json.Unmarshal(raw, &fields) == nil {
		for name, value := range fields {
			if strings.EqualFold(name, "error") {
				var e params.Error
				if json.Unmarshal(value, &e) == nil && e.Message != "" {
					found = append(found, e)
					continue
				}
			}
			found = append(found, errorsIn(t, value)...)
		}
	}
	var list []json.RawMessage
	if json.Unmarshal(raw, &list) == nil {
		for _, value := range list {
			found = append(found, errorsIn(t, value)...)
		}
	}
	return found
}
