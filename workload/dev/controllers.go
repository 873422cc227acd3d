package dev

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strconv"

	"jimm/integration/lab"
	"jimm/workload/estate"
	"jimm/workload/sim"
)

// startControllers starts two controllers that trust our keys.
func (s *Stack) startControllers(ctx context.Context) error {
	if s.options.Juju == "real" {
		return s.startReal(ctx)
	}
	return s.startSimulated(ctx)
}

// cloud is the one that both controllers serve: a juju client asks for a cloud
// if there is more than one. Each is at home in another of its regions, so that
// the choice of a region is that of a controller.
const cloud = "dev"

var regions = [][]string{{"east", "west"}, {"west", "east"}}

func (s *Stack) startSimulated(ctx context.Context) error {
	dir := filepath.Join(s.options.Dir, "controllers")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	for i, c := range []struct {
		name       string
		generation sim.Generation
	}{{"juju36", sim.Juju36}, {"juju41", sim.Juju41}} {
		s.progress("Starting simulated controller %s", c.name)
		started, err := sim.Start(ctx, sim.Config{
			Name: c.name, Generation: c.generation,
			JWKSURL: "https://" + s.Address + "/.well-known/jwks.json", HTTPClient: s.client,
			Cloud: sim.Cloud{Name: cloud, Regions: regions[i]}, AdminPassword: s.state.AdminPassword,
			StateFile: filepath.Join(dir, c.name+".json"), Log: s.log,
		})
		if err != nil {
			return err
		}
		s.later(started.Close)
		s.Simulated = append(s.Simulated, started)
	}
	return nil
}

// startReal starts real controllers. They cannot reach this machine's
// loopback: the key set is served to them on the bridge between.
func (s *Stack) startReal(ctx context.Context) error {
	root, err := s.repository()
	if err != nil {
		return err
	}
	bin, err := lab.Build(ctx, root, s.options.Out)
	if err != nil {
		return err
	}
	if s.Lab, err = lab.Open(bin, filepath.Join(s.options.Dir, "lab")); err != nil {
		return err
	}
	s.later(s.Lab.Close)
	s.Lab.Options.Clouds, s.Lab.Options.Regions = []string{cloud, cloud}, regions
	// The controllers keep the URL they are bootstrapped with.
	if s.state.KeysPort == 0 {
		s.state.KeysPort = nextPort(s.options.Port, 2)
	}
	keys, err := net.Listen("tcp", net.JoinHostPort(s.Lab.HostAddress(), strconv.Itoa(s.state.KeysPort)))
	if err != nil {
		return err
	}
	s.state.KeysPort = keys.Addr().(*net.TCPAddr).Port
	if err := s.state.save(s.options.Dir); err != nil {
		return errors.Join(err, keys.Close())
	}
	s.later(serve(keys, nil, s.Server.KeySetHandler(), s.log))
	s.progress("Starting two Juju 4.1 controllers")
	s.Real, err = s.Lab.Start(ctx, 2, "http://"+keys.Addr().String()+"/.well-known/jwks.json")
	return err
}

// registrations say how to add the controllers to the estate.
func (s *Stack) registrations() []estate.AddControllerArgs {
	var list []estate.AddControllerArgs
	for _, c := range s.Simulated {
		list = append(list, estate.AddControllerArgs{
			Name: c.Name(), UUID: c.UUID(), Addresses: []string{c.Address()}, CACertificate: c.CACert(),
			Username: "admin", Password: s.state.AdminPassword,
		})
	}
	for _, c := range s.Real {
		list = append(list, estate.AddControllerArgs{
			Name: c.Name, UUID: c.UUID, Addresses: []string{c.Address}, CACertificate: c.CACert,
			Username: c.User, Password: c.Password,
		})
	}
	return list
}

// repository finds the checkout this runs in: real controllers and services are
// built from it.
func (s *Stack) repository() (string, error) {
	if s.options.Repository != "" {
		return s.options.Repository, nil
	}
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "integration", "peers", "build.sh")); err == nil {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("--juju real and --stack real build programs from JIMM's repository: run it there")
		}
		dir = parent
	}
}

// AdminPassword is that of the simulated controllers' user admin.
func (s *Stack) AdminPassword() string { return s.state.AdminPassword }
