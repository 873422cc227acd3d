package sim_test

import (
	"fmt"
	"testing"
	"time"

	"jimm/workload/rpc"
	"jimm/workload/sim"

	"github.com/juju/juju/rpc/params"
)

func TestAModelIsCreatedSeenAndDestroyed(t *testing.T) {
	for _, generation := range []sim.Generation{sim.Juju36, sim.Juju41} {
		t.Run(generation.String(), func(t *testing.T) {
			w := newWorld(t, generation)
			client := w.as(t, "/api", alice, map[string]string{w.controllerTag(): "superuser"})
			var uuid, owner string
			if generation == sim.Juju36 {
				var info params.ModelInfoLegacy
				ok(t, call(t, client, "ModelManager", 10, "CreateModel", params.ModelCreateArgsLegacy{Name: "m", OwnerTag: alice}, &info))
				uuid, owner = info.UUID, info.OwnerTag
			} else {
				var info params.ModelInfo
				ok(t, call(t, client, "ModelManager", 11, "CreateModel", params.ModelCreateArgs{Name: "m", Qualifier: "alice@canonical.com"}, &info))
				uuid, owner = info.UUID, "user-"+info.Qualifier
			}
			same(t, owner, alice)
			var summaries struct {
				Results []struct {
					Result struct{ UUID, Name, Life string }
				}
			}
			ok(t, call(t, client, "ModelManager", 10, "ListModelSummaries", params.ModelSummariesRequest{UserTag: alice, All: true}, &summaries))
			same(t, len(summaries.Results), 2) // with the controller's own

			var config params.ModelConfigResults
			model := w.as(t, "/model/"+uuid+"/api", alice, map[string]string{w.controllerTag(): "login", "model-" + uuid: "read"})
			ok(t, call(t, model, "ModelConfig", 3, "ModelGet", nil, &config))
			same(t, config.Config["name"].Value, any("m"))

			var destroyed params.ErrorResults
			args := params.DestroyModelsParams{Models: []params.DestroyModelParams{{ModelTag: "model-" + uuid}}}
			ok(t, call(t, client, "ModelManager", 10, "DestroyModels", args, &destroyed))
			same(t, destroyed, params.ErrorResults{Results: []params.ErrorResult{{}}})
			entities := params.Entities{Entities: []params.Entity{{Tag: "model-" + uuid}}}
			var last params.ModelInfoResultsLegacy
			eventually(t, "the model is gone", func() bool {
				last = params.ModelInfoResultsLegacy{}
				ok(t, call(t, client, "ModelManager", 10, "ModelInfo", entities, &last))
				if last.Results[0].Result != nil {
					same(t, string(last.Results[0].Result.Life), "dying")
				}
				return last.Results[0].Error != nil
			})
			same(t, last.Results[0].Error.Code, "not found")
		})
	}
}

func TestWhatATokenLacksIsSaidAsARealControllerSaysIt(t *testing.T) {
	w := newWorld(t, sim.Juju41)
	runLacking(t, w, w.newModel(t, "m"))
}

// runLacking asks what a real 4.1 controller is asked, too.
func runLacking(t *testing.T, w *world, uuid string) {
	model := "model-" + uuid
	login := map[string]string{w.controllerTag(): "login"}
	controller := w.as(t, "/api", alice, login)
	onModel := w.as(t, "/model/"+uuid+"/api", alice, login)
	accessRequired := func(tag, access string) rpc.Error {
		return rpc.Error{
			Code:    "access required",
			Message: fmt.Sprintf("access permissions required: map[%s:%s]", tag, access),
			Info:    map[string]any{tag: access},
		}
	}
	entities := params.Entities{Entities: []params.Entity{{Tag: model}}}
	tests := []struct {
		name           string
		client         *rpc.Client
		facade         string
		version        int
		method         string
		arg            any
		top            rpc.Error // of the reply
		nested         *params.Error
		nestedInModels bool
	}{
		{name: "AddCloud asks for superuser", client: controller, facade: "Cloud", version: 8, method: "AddCloud",
			arg: params.AddCloudArgs{Name: "c"}, top: accessRequired(w.controllerTag(), "superuser")},
		{name: "CreateModel asks for add-model", client: controller, facade: "ModelManager", version: 11, method: "CreateModel",
			arg: params.ModelCreateArgs{Name: "n", Qualifier: "alice@canonical.com"}, top: accessRequired("cloud-"+w.peer.cloud, "add-model")},
		{name: "FullStatus asks for read", client: onModel, facade: "Client", version: 8, method: "FullStatus",
			arg: params.StatusParams{}, top: accessRequired(model, "read")},
		{name: "ModelGet asks for read", client: onModel, facade: "ModelConfig", version: 4, method: "ModelGet",
			top: accessRequired(model, "read")},
		{name: "ModelSet asks for write", client: onModel, facade: "ModelConfig", version: 4, method: "ModelSet",
			arg: params.ModelSet{}, top: accessRequired(model, "write")},
		{name: "DestroyModels asks for admin in its results", client: controller, facade: "ModelManager", version: 11, method: "DestroyModels",
			arg: params.DestroyModelsParams{Models: []params.DestroyModelParams{{ModelTag: model}}},
			nested: &params.Error{Code: "access required", Message: "access permissions required: map[" + model + ":admin]",
				Info: map[string]any{model: "admin"}}},
		{name: "ModelInfo is plainly denied", client: controller, facade: "ModelManager", version: 11, method: "ModelInfo",
			arg: entities, nested: &params.Error{Code: "unauthorized access", Message: "permission denied"}},
		{name: "ModelStatus is plainly denied", client: controller, facade: "ModelManager", version: 11, method: "ModelStatus",
			arg: entities, nested: &params.Error{Code: "unauthorized access", Message: "permission denied"}, nestedInModels: true},
		{name: "ModifyModelAccess is plainly denied", client: controller, facade: "ModelManager", version: 11, method: "ModifyModelAccess",
			arg:    params.ModifyModelAccessRequest{Changes: []params.ModifyModelAccess{{ModelTag: model, UserTag: "user-bob@x", Action: "grant", Access: "read"}}},
			nested: &params.Error{Code: "unauthorized access", Message: "permission denied"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var results struct {
				Results []params.ErrorResult `json:"results"`
				Models  []params.ErrorResult `json:"models"`
			}
			err := call(t, test.client, test.facade, test.version, test.method, test.arg, &results)
			if test.nested == nil {
				same(t, errorOf(t, err), test.top)
				return
			}
			ok(t, err)
			list := results.Results
			if test.nestedInModels {
				list = results.Models
			}
			same(t, list, []params.ErrorResult{{Error: test.nested}})
		})
	}
}

func TestTenThousandModelsAreSeededFast(t *testing.T) {
	w := newWorld(t, sim.Juju41)
	began := time.Now()
	uuids, err := w.SeedModels(10000, func(i int) sim.Model {
		return sim.Model{Name: fmt.Sprintf("m%d", i), Owner: "alice@canonical.com"}
	})
	ok(t, err)
	t.Logf("seeded in %v", time.Since(began))
	same(t, len(uuids), 10000)
	client := w.as(t, "/api", alice, map[string]string{w.controllerTag(): "superuser"})
	var summaries params.ModelSummaryResults
	ok(t, call(t, client, "ModelManager", 11, "ListModelSummaries", params.ModelSummariesRequest{UserTag: alice, All: true}, &summaries))
	same(t, len(summaries.Results), 10001)
}
