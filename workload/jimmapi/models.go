package jimmapi

import "github.com/juju/juju/rpc/params"

// ModelPlacement says which controller a model is on: what ListModels and
// ModelControllerInfo answer, with the model's owner, which the SDK has not.
type ModelPlacement struct {
	ModelName      string `json:"model-name"`
	ModelOwner     string `json:"model-owner"`
	ModelUUID      string `json:"model-uuid"`
	ControllerName string `json:"controller-name"`
	ControllerUUID string `json:"controller-uuid"`
}

// ModelPlacements is the answer of ListModels.
type ModelPlacements struct {
	Models []ModelPlacement `json:"models"`
}

// ControllerModels is the answer of ListModelsOnController, whose parameter is
// controller-name.
type ControllerModels struct {
	ControllerName string            `json:"controller-name"`
	ControllerUUID string            `json:"controller-uuid"`
	Models         []ControllerModel `json:"models"`
}

// ControllerModel is one model on a controller.
type ControllerModel struct {
	ModelName  string `json:"model-name"`
	ModelOwner string `json:"model-owner"`
	ModelUUID  string `json:"model-uuid"`
	Cloud      string `json:"cloud"`
	Region     string `json:"region,omitempty"`
	// State is live, or dying while the model is being destroyed.
	State string `json:"state"`
	// Gone is set if the controller does not know the model any more.
	Gone bool `json:"gone,omitempty"`
}

// Overview is the answer of EstateOverview.
type Overview struct {
	Controllers []ControllerOverview `json:"controllers"`
	// Clouds and Versions (of controllers) have how many there are of each.
	Clouds   []Count `json:"clouds"`
	Versions []Count `json:"versions"`
	// Models are all; Dying those being destroyed, Gone those that their
	// controllers do not know any more.
	Models int `json:"models"`
	Dying  int `json:"dying-models"`
	Gone   int `json:"gone-models"`
}

// ControllerOverview is one controller. The time of its status is since when it
// has not answered.
type ControllerOverview struct {
	Name         string              `json:"name"`
	UUID         string              `json:"uuid"`
	Cloud        string              `json:"cloud"`
	Region       string              `json:"region,omitempty"`
	AgentVersion string              `json:"agent-version"`
	Models       int                 `json:"models"`
	Status       params.EntityStatus `json:"status"`
}

// Count is how many controllers and models have a name.
type Count struct {
	Name        string `json:"name"`
	Controllers int    `json:"controllers"`
	Models      int    `json:"models"`
}
