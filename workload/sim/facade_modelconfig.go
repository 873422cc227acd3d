package sim

import (
	"fmt"
	"maps"

	"github.com/juju/names/v6"

	"github.com/juju/juju/core/permission"
	"github.com/juju/juju/rpc/params"
)

// defaultModelConfig are the settings that a model has unless others are given:
// those of Juju's own that its clients look at.
var defaultModelConfig = map[string]any{
	"agent-stream":                    "released",
	"apt-ftp-proxy":                   "",
	"apt-http-proxy":                  "",
	"apt-https-proxy":                 "",
	"apt-mirror":                      "",
	"apt-no-proxy":                    "",
	"automatically-retry-hooks":       true,
	"backup-dir":                      "",
	"charmhub-url":                    "https://api.charmhub.io",
	"cloudinit-userdata":              "",
	"container-inherit-properties":    "",
	"container-networking-method":     "local",
	"default-base":                    "",
	"default-space":                   "",
	"development":                     false,
	"disable-network-management":      false,
	"disable-telemetry":               false,
	"egress-subnets":                  "",
	"enable-os-refresh-update":        true,
	"enable-os-upgrade":               true,
	"firewall-mode":                   "instance",
	"ftp-proxy":                       "",
	"http-proxy":                      "",
	"https-proxy":                     "",
	"ignore-machine-addresses":        false,
	"image-metadata-url":              "",
	"image-stream":                    "released",
	"logging-config":                  "<root>=INFO",
	"mode":                            "requires-prompts",
	"no-proxy":                        "127.0.0.1,localhost,::1",
	"num-container-provision-workers": 4,
	"num-provision-workers":           16,
	"provisioner-harvest-mode":        "destroyed",
	"proxy-ssh":                       false,
	"resource-tags":                   "",
	"saas-ingress-allow":              "0.0.0.0/0,::/0",
	"secret-backend":                  "auto",
	"ssl-hostname-verification":       true,
	"test-mode":                       false,
	"transmit-vendor-metrics":         true,
	"update-status-hook-interval":     "5m",
}

// fixedModelConfig are settings that belong to the model itself.
var fixedModelConfig = map[string]bool{"name": true, "uuid": true, "type": true, "agent-version": true, "controller-uuid": true}

var modelConfig3 = methods{
	"ModelGet":            read(modelGet),
	"ModelSet":            write(modelSet),
	"ModelUnset":          write(modelUnset),
	"GetModelConstraints": read(getModelConstraints),
	"SetModelConstraints": write(setModelConstraints),
	"Sequences":           read(modelSequences),
}

var modelConfig4 = modelConfig3.with(methods{
	"GetModelSecretBackend": read(getModelSecretBackend),
	"SetModelSecretBackend": write(setModelSecretBackend),
})

// configModel returns the model a ModelConfig call is about: on a controller
// connection the controller's own.
func (cn *conn) configModel(access permission.Access) (*model, error) {
	uuid := cn.model
	if uuid == "" {
		uuid = cn.ctl.state.ControllerModel
	}
	var err error
	if access == permission.ReadAccess {
		err = cn.onModel(access, uuid)
	} else {
		err = cn.has(access, names.NewModelTag(uuid))
	}
	if err != nil {
		return nil, err
	}
	m := cn.ctl.state.Models[uuid]
	if m == nil {
		return nil, coded(params.CodeModelNotFound, "model %q not found", uuid)
	}
	return m, nil
}

func modelGet(cn *conn, _ none) (params.ModelConfigResults, error) {
	m, err := cn.configModel(permission.ReadAccess)
	if err != nil {
		return params.ModelConfigResults{}, err
	}
	return params.ModelConfigResults{Config: cn.ctl.modelConfig(m)}, nil
}

func (c *Controller) modelConfig(m *model) map[string]params.ConfigValue {
	config := make(map[string]params.ConfigValue, len(defaultModelConfig)+8)
	for name, value := range defaultModelConfig {
		config[name] = params.ConfigValue{Value: value, Source: "default"}
	}
	for _, region := range []string{"", m.Region} {
		source := "controller"
		if region != "" {
			source = "region"
		}
		for name, value := range c.state.CloudDefaults[m.Cloud][region] {
			config[name] = params.ConfigValue{Value: value, Source: source}
		}
	}
	for name, value := range m.Config {
		config[name] = params.ConfigValue{Value: value, Source: "model"}
	}
	config["name"] = params.ConfigValue{Value: m.Name, Source: "model"}
	config["uuid"] = params.ConfigValue{Value: m.UUID, Source: "model"}
	config["type"] = params.ConfigValue{Value: c.state.providerType(m.Cloud), Source: "model"}
	config["agent-version"] = params.ConfigValue{Value: c.config.Generation.String(), Source: "model"}
	return config
}

func modelSet(cn *conn, args params.ModelSet) (none, error) {
	m, err := cn.configModel(permission.WriteAccess)
	if err != nil {
		return none{}, err
	}
	if err := m.blocked("BlockChange"); err != nil {
		return none{}, err
	}
	for name, value := range args.Config {
		if fixedModelConfig[name] && fmt.Sprint(value) != fmt.Sprint(cn.ctl.modelConfig(m)[name].Value) {
			return none{}, coded(params.CodeNotValid, "config key %q not valid: it cannot be changed", name)
		}
	}
	if m.Config == nil {
		m.Config = make(map[string]any)
	}
	maps.Copy(m.Config, args.Config)
	cn.ctl.changed(m)
	return none{}, nil
}

func modelUnset(cn *conn, args params.ModelUnset) (none, error) {
	m, err := cn.configModel(permission.WriteAccess)
	if err != nil {
		return none{}, err
	}
	if err := m.blocked("BlockChange"); err != nil {
		return none{}, err
	}
	for _, name := range args.Keys {
		delete(m.Config, name)
	}
	cn.ctl.changed(m)
	return none{}, nil
}

func getModelConstraints(cn *conn, _ none) (params.GetConstraintsResults, error) {
	m, err := cn.configModel(permission.ReadAccess)
	if err != nil {
		return params.GetConstraintsResults{}, err
	}
	return params.GetConstraintsResults{Constraints: m.Constraints}, nil
}

func setModelConstraints(cn *conn, args params.SetConstraints) (none, error) {
	m, err := cn.configModel(permission.WriteAccess)
	if err != nil {
		return none{}, err
	}
	m.Constraints = args.Constraints
	cn.ctl.changed(m)
	return none{}, nil
}

func modelSequences(cn *conn, _ none) (params.ModelSequencesResult, error) {
	m, err := cn.configModel(permission.ReadAccess)
	if err != nil {
		return params.ModelSequencesResult{}, err
	}
	return params.ModelSequencesResult{Sequences: m.Sequence}, nil
}

func getModelSecretBackend(cn *conn, _ none) (params.StringResult, error) {
	m, err := cn.readModel()
	if err != nil {
		return params.StringResult{}, err
	}
	backend, _ := m.Config["secret-backend"].(string)
	if backend == "" {
		backend = "auto"
	}
	return params.StringResult{Result: backend}, nil
}

func setModelSecretBackend(cn *conn, arg params.SetModelSecretBackendArg) (params.ErrorResult, error) {
	m, err := cn.writeModel()
	if err != nil {
		return params.ErrorResult{}, err
	}
	if arg.SecretBackendName != "auto" && arg.SecretBackendName != "internal" {
		return resultOf(coded(params.CodeSecretBackendNotFound, "secret backend not found: %q", arg.SecretBackendName)), nil
	}
	if m.Config == nil {
		m.Config = make(map[string]any)
	}
	m.Config["secret-backend"] = arg.SecretBackendName
	cn.ctl.changed(m)
	return params.ErrorResult{}, nil
}
