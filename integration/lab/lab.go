package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Options say how controllers are bootstrapped.
type Options struct {
	// Clouds are the cloud names of the first, second … controller of the lab. Those without
	// have the cloud "lab".
	Clouds []string
	// Regions are the regions of the cloud of the first, second … controller, which runs in
	// the first of them. Those without have one, "default".
	Regions [][]string
	// Config is further controller config, a JSON value or a plain string on one line for each key.
	Config map[string]string
	// CAFile names the certificates controllers trust, in PEM. It is needed for an https key
	// URL whose CA is not the machine's.
	CAFile string
}

// Lab is a bridge on this machine and the controllers on it.
type Lab struct {
	// Options are for the controllers that Start makes.
	Options Options

	bin         Bin
	dir         string
	kept        bool
	subnet      *subnet
	controllers []*Controller
}

// New makes a lab without controllers, in a subnet no other lab on this machine uses. The
// controllers' data and logs go into dir. Labs that a killed process left behind are taken
// down. The caller must Close the lab, which removes what is in it.
func New(bin Bin, dir string) (*Lab, error) { return open(bin, dir, false) }

// Open is New for a lab whose controllers outlive it: Close stops them and keeps their data.
// Opened again, the lab has the same subnet and, at the first Start, the same controllers.
// Between the two no other lab takes the subnet; but after a restart of the machine one may,
// and then Open fails until that is closed.
func Open(bin Bin, dir string) (*Lab, error) { return open(bin, dir, true) }

func open(bin Bin, dir string, kept bool) (*Lab, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	if strings.ContainsAny(dir, ",\n") {
		return nil, fmt.Errorf("cannot make a lab in %q: the path has a comma or a line break", dir)
	}
	l := &Lab{bin: bin, dir: dir, kept: kept}
	l.subnet, err = takeSubnet(dir, func(left *Lab) error {
		left.bin = bin
		return left.takeDown()
	})
	if err != nil {
		return nil, err
	}
	if kept {
		err = l.subnet.keep(dir)
	}
	if err == nil {
		err = l.ctl(context.Background(), nil, "net")
	}
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// HostAddress is this machine's IP address in the lab, without port. What controllers are
// to reach must listen there.
func (l *Lab) HostAddress() string { return l.subnet.host().String() }

// Start makes n more controllers and waits until they serve. Each trusts the tokens whose
// keys are at jwksURL, which it fetches during its bootstrap; none if that is empty. In a lab
// that was opened again, those of before come first, unchanged.
func (l *Lab) Start(ctx context.Context, n int, jwksURL string) ([]*Controller, error) {
	started := make([]*Controller, n)
	failed := make(chan error, n)
	for i := range started {
		number := len(l.controllers) + 1
		c := &Controller{lab: l, number: number, env: l.bootstrapEnv(number, jwksURL)}
		c.Log = filepath.Join(l.dir, "c"+strconv.Itoa(number), "log")
		started[i] = c
		l.controllers = append(l.controllers, c)
		go func() { failed <- c.bootstrap(ctx) }()
	}
	var errs []error
	for range started {
		errs = append(errs, <-failed)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return started, nil
}

func (l *Lab) bootstrapEnv(number int, jwksURL string) []string {
	env := []string{"JWKS_URL=" + jwksURL}
	if number <= len(l.Options.Clouds) {
		env = append(env, "CLOUD="+l.Options.Clouds[number-1])
	}
	var args []string
	if number <= len(l.Options.Regions) {
		args = append(args, "-regions", strings.Join(l.Options.Regions[number-1], ","))
	}
	for key, value := range l.Options.Config {
		args = append(args, "-config", key+"="+value)
	}
	env = append(env, "PREPARE_ARGS="+strings.Join(args, "\n"))
	if l.Options.CAFile != "" {
		env = append(env, "SSL_CERT_FILE="+l.Options.CAFile)
	}
	return env
}

// Close takes down the controllers and the bridge, and removes the controllers' data unless
// Open has opened the lab. A lab that is closed already stays closed.
func (l *Lab) Close() error {
	if l.subnet == nil {
		return nil
	}
	if err := l.takeDown(); err != nil {
		return err
	}
	release := l.subnet.release
	if l.kept {
		release = l.subnet.lock.Close
	}
	l.subnet = nil
	return release()
}

func (l *Lab) takeDown() error {
	if l.kept {
		return l.ctl(context.Background(), nil, "off")
	}
	return l.ctl(context.Background(), nil, "down")
}

// ctl runs the script of that name.
func (l *Lab) ctl(ctx context.Context, env []string, args ...string) error {
	cmd := exec.CommandContext(ctx, l.bin.Ctl, args...)
	cmd.Env = append(os.Environ(),
		"LAB="+l.dir, "LABNET="+strconv.Itoa(l.subnet.number),
		"JUJU41="+l.bin.Juju41, "AGENT="+l.bin.Agent, "PREPARE="+l.bin.Prepare,
		"CLOUD=", "PASSWORD=", "JWKS_URL=", "PREPARE_ARGS=",
	)
	cmd.Env = append(cmd.Env, env...)
	cmd.WaitDelay = 10 * time.Second
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("cannot %s in lab %d: %w: %s", strings.Join(args, " "), l.subnet.number, err, strings.TrimSpace(string(out)))
	}
	return nil
}
