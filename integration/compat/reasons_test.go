//go:build integration

package compat

// refused are the words of JIMM where it refuses on purpose.
const (
	usersElsewhere   = `ERROR users are the identity provider's: add and change them there, and give them access with juju grant \(unauthorized access\)`
	accessByJaas     = `ERROR give access to JIMM or a controller with jaas add-permission \(not supported\)`
	backendsRefused  = `ERROR secret backends are each controller's own: see and change them there; a model's is its config secret-backend \(not supported\)`
	neverConnected   = ` *(?:admin: )?last-connection: never connected`
	lastConnectionAt = ` *last-connection: <time>`
)

// reasons are all that is known to be other through JIMM. A reason that nothing
// needs any more fails the test.
var reasons = []reason{
	{
		why:      "JIMM does not know when somebody last used a model: it says that they never have.",
		commands: []string{"models", "models --format yaml", "show-model MODEL", "show-model NEW"},
		direct:   lastConnectionAt + `|model-TAG\* sim/default lxd available 2 2 2 admin <time>|other-TAG sim/default lxd available 0 - - admin <time>`,
		through:  neverConnected + `|model-TAG\* sim/default lxd available 2 2 2 admin never connected|other-TAG sim/default lxd available 0 - - admin never connected`,
	},
	{
		why:      "The administrators of JIMM may administrate every model, and `show-model` says so.",
		commands: []string{"show-model MODEL", "show-model NEW"},
		through:  ` *alice@example.com:| *access: admin|` + neverConnected,
	},
	{
		why:      "JIMM does not tell the display names of a model's or cloud's users.",
		commands: []string{"show-model MODEL", "show-model NEW", "show-cloud CLOUD --controller CONTROLLER", "show-cloud KUBE --controller CONTROLLER"},
		direct:   ` *display-name: .*`,
	},
	{
		why:      "The models of controllers themselves are not JIMM's. Columns are there if any model listed has a value, and through JIMM those of all controllers are listed.",
		commands: []string{"models", "models --format yaml"},
		direct: `(?:- )?-? *(?:name: admin/controller|short-name: controller|is-controller: true|model-uuid: <uuid>|model-type: iaas|controller-uuid: <uuid>|` +
			`controller-name: front|owner: admin|cloud: .*|region: .*|type: lxd|life: alive|status:|current: available|since: <time>|access: admin|last-connection: <time>|agent-version: .*)` +
			`|model-TAG\* dev/west unmanaged available 2 2 admin <time>|other-TAG dev/west unmanaged available 0 - admin (?:<time>|never connected)`,
		through: `model-TAG\* dev/west unmanaged available 2 - 2 admin never connected|other-TAG dev/west unmanaged available 0 - - admin never connected`,
	},
	{
		why:      "Through JIMM there are the clouds of all its controllers.",
		commands: []string{"clouds --controller CONTROLLER"},
		through:  `(?:sim 1 default lxd|dev 2 east unmanaged)`,
	},
	{
		why:      "Everybody may use a cloud of JIMM unless an administrator revokes it.",
		commands: []string{"show-cloud CLOUD --controller CONTROLLER"},
		through:  ` *everyone@external:| *access: add-model`,
	},
	{
		why:      "Users are the identity provider's: JIMM tells only the caller about themselves, with the name that they have there. Clients show no times for users with a domain.",
		commands: []string{"users", "show-user"},
		direct:   `(?:admin\*|juju-metrics|everyone@external|jimm@<address>).*|display-name: admin|date-created: <time>|last-connection: <time>`,
		through:  `admin\* Alice superuser|display-name: (?:Alice|Bob)`,
	},
	{
		why:      "The owner of a model is the administrator of a controller that is used directly, not of JIMM.",
		commands: []string{"show-user"},
		direct:   `access: superuser`, through: `access: login`,
	},
	{
		why: "JIMM describes itself, not one of its controllers: it has the version of the oldest of them, the certificate of its web server, and no machines or controller model. " +
			"Who administrates it has not been in a model before.",
		commands: []string{"controllers --refresh", "show-controller"},
		direct: `front\* model-TAG admin superuser COUNTS (?:none|-) (?:3\.6\.11|4\.1-beta2)|error updating cached details for "front": .*` +
			`| *(?:agent-version|agent-git-commit|controller-model-version|mongo-version|identity-url|ca-fingerprint|current-model|model-uuid): .*` +
			`| *ca-cert: \|| *<certificate>| *controller-machines:| *"0":| *instance-id: 'manual:'| *controller:| *machine-count: 1` +
			`| *access: \(not implemented\)| *errors:| *- \|2-| *(?:- )?.*not supported\)| *- 'runtime error: .*| *- unknown (?:method|facade type) .*| *implemented\)` +
			`| *juju client not compatible with server: .*| *re-install your juju client to match the version running on the controller`,
		through: `front\* - admin superuser COUNTS - 3\.6\.11| *agent-version: 3\.6\.11| *agent-git-commit: development| *controller-model-version: 3\.6\.11| *ca-cert: ""` +
			`| *models:| *(?:model|other)-TAG:| *model-uuid: <uuid>| *machine-count: 2| *access: superuser`,
	},
	{
		why:      "The configuration of JIMM is no controller's: it has no more than its UUID and address. `juju controller-config` on the controller itself shows the controller's.",
		commands: []string{"controller-config"},
		direct:   `.*`, through: `public-dns-address ""`,
	},
	{
		why:      "The configuration of JIMM is no controller's: it has no more than its UUID and address.",
		commands: []string{"controller-config audit-log-max-size"}, generations: []string{"4.1"},
		direct: `ERROR unknown facade type "Controller" \(not implemented\)`, through: `ERROR key "audit-log-max-size" not found in controller "front"`,
		releases: []string{"3.5.4"},
	},
	{
		why:      "The configuration of JIMM is no controller's: ask the controller itself.",
		commands: []string{"controller-config audit-log-max-size"}, generations: []string{"4.1"}, releases: []string{"3.6.11", "4.1"},
		worse: true, through: `ERROR key "audit-log-max-size" not found in controller "front"`,
	},
	{
		why:      "Secret backends are each controller's own, with its own names and secrets: JIMM refuses to show those of one as if they were all.",
		commands: []string{"secret-backends"},
		worse:    true, through: backendsRefused,
	},
	{
		why:      "Revoking what was not granted is an error of JIMM, as it is of Juju 3.6. Juju 4.1 does not notice.",
		commands: []string{"revoke CAROL read MODEL"}, generations: []string{"4.1"},
		worse: true, through: `ERROR user "carol-TAG@example.com" does not have "read" access`,
	},
	{
		why:      "Revoking what was not granted is an error in other words.",
		commands: []string{"revoke CAROL read MODEL"}, generations: []string{"3.6"},
		direct: `ERROR access "read" of user "carol-TAG@example.com" not found`, through: `ERROR user "carol-TAG@example.com" does not have "read" access`,
	},
	{
		why:      "Who is in the identity provider may log in to JIMM, and who administrates it or one of its controllers is for `jaas add-permission` to say: a controller's own words do not tell which is meant.",
		commands: []string{"grant CAROL login", "grant CAROL superuser", "revoke CAROL superuser"},
		worse:    true, through: accessByJaas,
	},
	{
		why:      "This client and a 4.1 controller have no version of the facade Controller in common; JIMM refuses for its own reason.",
		commands: []string{"grant CAROL login", "grant CAROL superuser", "revoke CAROL superuser"}, generations: []string{"4.1"}, releases: []string{"3.5.4"},
		direct: `ERROR unknown facade type "Controller" \(not implemented\)`, through: accessByJaas,
	},
	{
		why:      "Users are the identity provider's, and so is adding, disabling and removing them.",
		commands: []string{"add-user LOCAL", "disable-user LOCAL", "enable-user LOCAL", "remove-user LOCAL -y"},
		worse:    true, through: usersElsewhere + `|You do not have permission to add a user\.|You may ask an administrator to grant you access with "juju grant"\.`,
	},
	{
		why:      "A model that is there already is an error in other words.",
		commands: []string{"add-model NEW CLOUD/REGION"},
		direct:   `ERROR model admin/new-TAG already exists \(already exists\)`,
		through:  `ERROR cannot create model "new-TAG": admin already has a model of this name \(already exists\)`,
	},
	{
		why: "Clients of Juju 3 send SSH keys as model config, which a 4.1 controller refuses; JIMM adds them as keys instead. So the model is there already at the second time, " +
			"and the client is not in the model of before.",
		commands: []string{"add-model NEW CLOUD/REGION", "switch OWNER/MODEL"}, generations: []string{"4.1"}, releases: []string{"3.5.4", "3.6.11"},
		direct:  `ERROR setting model config for model "new-TAG": .*|front:admin/model-TAG \(no change\)`,
		through: `ERROR cannot create model "new-TAG": admin already has a model of this name \(already exists\)|front \(controller\) -> front:admin/model-TAG`,
	},
}
