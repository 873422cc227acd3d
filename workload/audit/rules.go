package audit

import "strings"

// method is a key of the allow-list, the same for all versions of a facade.
type method struct{ facade, name string }

// rules is the allow-list by method.
var rules = parseRules(allowed)

// allowed are the fields that are kept, a line per method:
//
//	Facade.Method: path path …
//
// A path leads through objects and arrays by field names; "path.*" keeps the
// names of an object's fields, without their values. A leading "~" marks a
// method or field of Juju 3 or of JIMM itself, which Juju 4's schema lacks.
// Kept are names, tags, ids, levels of access, numbers and flags. Never
// listed are credentials, passwords, tokens, macaroons, certificates, keys,
// scripts and commands, configuration values, secret contents, parameters of
// actions and anything free-form that users paste secrets into.
const allowed = `
~Admin.LoginWithClientCredentials: client-id
Admin.Login: auth-tag client-version

Action.Cancel: entities.tag
Action.EnqueueOperation: actions.name actions.receiver actions.tag actions.parameters.*
Action.Run: applications machines units timeout
Action.RunOnAllMachines: timeout

Annotations.Set: annotations.entity annotations.annotations.*

Application.AddRelation: endpoints via-cidrs
Application.AddUnits: application num-units attach-storage
Application.Consume: args.offer-name args.offer-url args.offer-uuid args.source-model-tag args.application-alias
Application.Deploy: applications.application applications.charm-url applications.channel applications.num-units applications.config.* applications.Force
Application.DeployFromRepository: Args.ApplicationName Args.CharmName Args.channel Args.revision Args.num-units Args.force Args.DryRun Args.Trust
Application.DestroyApplication: applications.application-tag applications.destroy-storage applications.force applications.dry-run
Application.DestroyConsumedApplications: applications.application-tag applications.force
Application.DestroyRelation: endpoints relation-id force
Application.DestroyUnit: units.unit-tag units.destroy-storage units.force units.dry-run
Application.Expose: application exposed-endpoints.*
Application.MergeBindings: args.application-tag args.force
Application.ResolveUnitErrors: all retry tags.entities.tag
Application.ScaleApplications: applications.application-tag applications.scale applications.scale-change applications.force
Application.SetCharm: application charm-url channel force force-units force-base config-settings.*
Application.SetConfigs: Args.application Args.config.*
Application.SetConstraints: application
Application.SetRelationsSuspended: args.relation-id args.suspended
Application.Unexpose: application exposed-endpoints
Application.UnsetApplicationsConfig: Args.application Args.options

ApplicationOffers.ApplicationOffers: offer-urls
ApplicationOffers.DestroyOffers: offer-urls force
ApplicationOffers.GetConsumeDetails: offer-urls.offer-urls user-tag
ApplicationOffers.ModifyOfferAccess: changes.user-tag changes.action changes.access changes.offer-url
ApplicationOffers.Offer: Offers.model-tag Offers.offer-name Offers.application-name Offers.owner-tag

~Audit.LeftOut: events

Block.SwitchBlockOff: type
Block.SwitchBlockOn: type

Charms.AddCharm: url force

Cloud.AddCloud: name force cloud.type cloud.host-cloud-region
Cloud.AddCredentials: credentials.tag credentials.credential.auth-type
Cloud.CheckCredentialsModels: credentials.tag credentials.credential.auth-type
Cloud.Credential: entities.tag
Cloud.CredentialContents: credentials.cloud-name credentials.credential-name include-secrets
Cloud.ModifyCloudAccess: changes.user-tag changes.action changes.access changes.cloud-tag
Cloud.RemoveClouds: entities.tag
Cloud.RevokeCredentialsCheckModels: credentials.tag credentials.force
Cloud.UpdateCloud: clouds.name clouds.force clouds.cloud.type
Cloud.UpdateCredentialsCheckModels: credentials.tag credentials.credential.auth-type force

Controller.ConfigSet: config.*
Controller.DestroyController: destroy-models destroy-storage force
Controller.InitiateMigration: specs.model-tag specs.target-info.controller-tag specs.target-info.controller-alias dry-run
Controller.ModifyControllerAccess: changes.user-tag changes.action changes.access
Controller.RemoveBlocks: all

~JIMM.AddCloudToController: name controller-name force
~JIMM.AddController: uuid name public-address tls-hostname api-addresses
~JIMM.AddGroup: name
~JIMM.AddModelToController: name owner-tag qualifier cloud-tag region credential controller-name
~JIMM.AddRelation: tuples.object tuples.relation tuples.target_object
~JIMM.AddRole: name
~JIMM.CheckRelation: tuple.object tuple.relation tuple.target_object
~JIMM.CheckRelations: tuples.object tuples.relation tuples.target_object
~JIMM.ExplainRelation: tuple.object tuple.relation tuple.target_object
~JIMM.FindAuditEvents: after before user-tag model method offset limit
~JIMM.GetGroup: uuid name
~JIMM.GetRole: uuid name
~JIMM.GrantAuditLogAccess: user-tag level
~JIMM.ImportModel: controller model-tag owner
~JIMM.ListGroups: limit offset
~JIMM.ListRelationshipTuples: tuple.object tuple.relation tuple.target_object page_size resolve_uuids
~JIMM.ListRoles: limit offset
~JIMM.MigrateModel: specs.model-tag specs.target-controller
~JIMM.PrepareModelMigration: model-tag backing-controller-name
~JIMM.PurgeLogs: date
~JIMM.RemoveCloudFromController: cloud-tag controller-name
~JIMM.RemoveController: name force
~JIMM.RemoveControllerProfile: name
~JIMM.RemoveGroup: name
~JIMM.RemoveRelation: tuples.object tuples.relation tuples.target_object
~JIMM.RemoveRole: name
~JIMM.RenameGroup: name new-name
~JIMM.RenameRole: name new-name
~JIMM.RevokeAuditLogAccess: user-tag level
~JIMM.RevokeSessions: ids user-tag all
~JIMM.RotateSigningKeys: emergency
~JIMM.SaveControllerProfile: name juju-version version
~JIMM.SetControllerDeprecated: name deprecated
~JIMM.StartBootstrap: controller-name controller-version cloud.name cloud.type cloud.region.name
~JIMM.StartDestroyController: controller-name
~JIMM.StopBootstrap: job-id
~JIMM.UpdateMigratedModel: model-tag target-controller
~JIMM.UpgradeTo: model-uuids model-tag target-controller-name

~HTTP.DownloadBackup: path bytes
~HTTP.DownloadCharm: path bytes
~HTTP.DownloadLog: path bytes
~HTTP.DownloadResource: path bytes
~HTTP.UploadCharm: path bytes
~HTTP.UploadResource: path bytes
~HTTP.UploadTools: path bytes

KeyManager.AddKeys: user
KeyManager.DeleteKeys: user
KeyManager.ImportKeys: user ssh-keys

MachineManager.AddMachines: params.container-type params.parent-id params.base.name params.base.channel
MachineManager.DestroyMachineWithParams: machine-tags force keep dry-run
MachineManager.ProvisioningScript: machine-id
MachineManager.RetryProvisioning: all machines

ModelConfig.ModelSet: config.*
ModelConfig.ModelUnset: keys
ModelConfig.SetModelSecretBackend: secret-backend-name

ModelManager.ChangeModelCredential: model-credentials.model-tag model-credentials.credential-tag
ModelManager.CreateModel: name qualifier ~owner-tag cloud-tag region credential target-controller config.*
ModelManager.DestroyModels: models.model-tag models.destroy-storage models.force models.max-wait models.timeout
ModelManager.DumpModels: entities.tag
ModelManager.DumpModelsDB: entities.tag
ModelManager.ModelInfo: entities.tag
ModelManager.ModelStatus: entities.tag
ModelManager.ModifyModelAccess: changes.user-tag changes.action changes.access changes.model-tag
ModelManager.SetModelDefaults: config.cloud-tag config.cloud-region config.config.*
ModelManager.UnsetModelDefaults: keys.cloud-tag keys.cloud-region keys.keys

ModelUpgrader.AbortModelUpgrade: model-tag
ModelUpgrader.UpgradeModel: model-tag target-version.Major target-version.Minor target-version.Patch target-version.Build target-version.Tag ~target-version dry-run

SecretBackends.AddSecretBackends: args.name args.backend-type
SecretBackends.ListSecretBackends: names reveal
SecretBackends.RemoveSecretBackends: args.name args.force
SecretBackends.UpdateSecretBackends: args.name args.name-change args.force

Secrets.CreateSecrets: args.uri args.label args.owner-tag
Secrets.GrantSecret: uri label applications
Secrets.ListSecrets: show-secrets filter.uri filter.label
Secrets.RemoveSecrets: args.uri args.label args.revisions
Secrets.RevokeSecret: uri label applications
Secrets.UpdateSecrets: args.uri args.existing-label args.label args.auto-prune

Spaces.CreateSpaces: spaces.space-tag spaces.cidrs
Spaces.MoveSubnets: args.space-tag args.subnets args.force
Spaces.RemoveSpace: space-param.space.tag space-param.force
Spaces.RenameSpace: changes.from-space-tag changes.to-space-tag

Storage.AddToUnit: storages.unit storages.name
Storage.Attach: ids.storage-tag ids.unit-tag
Storage.CreatePool: pools.name pools.provider
Storage.DetachStorage: ids.ids.storage-tag ids.ids.unit-tag force
Storage.Import: storage.storage-name storage.pool storage.force
Storage.Remove: storage.tag storage.destroy-storage storage.force
Storage.RemovePool: pools.name
Storage.UpdatePool: pools.name pools.provider

UserManager.AddUser: users.username
UserManager.DisableUser: entities.tag
UserManager.EnableUser: entities.tag
UserManager.RemoveUser: entities.tag
UserManager.ResetPassword: entities.tag
UserManager.SetPassword: changes.tag
`

func parseRules(list string) map[method]*rule {
	parsed := map[method]*rule{}
	for line := range strings.Lines(list) {
		name, paths, ok := strings.Cut(strings.TrimSpace(line), ":")
		if !ok {
			continue
		}
		facade, methodName, _ := strings.Cut(strings.TrimPrefix(name, "~"), ".")
		top := &rule{}
		for path := range strings.FieldsSeq(paths) {
			at := top
			for field := range strings.SplitSeq(strings.TrimPrefix(path, "~"), ".") {
				if field == "*" {
					at.keys = true
					continue
				}
				if at.fields == nil {
					at.fields = map[string]*rule{}
				}
				if at.fields[field] == nil {
					at.fields[field] = &rule{}
				}
				at = at.fields[field]
			}
			at.leaf = !at.keys
		}
		parsed[method{facade, methodName}] = top
	}
	return parsed
}
