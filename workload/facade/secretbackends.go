package facade

import "jimm/workload/estate"

const byModelBackend = "secret backends are each controller's own: see and change them there; a model's is its config secret-backend"

var secretBackendsMethods = methods{
	"AddSecretBackends":    refuse(estate.CodeNotSupported, byModelBackend),
	"ListSecretBackends":   refuse(estate.CodeNotSupported, byModelBackend),
	"RemoveSecretBackends": refuse(estate.CodeNotSupported, byModelBackend),
	"UpdateSecretBackends": refuse(estate.CodeNotSupported, byModelBackend),
}
