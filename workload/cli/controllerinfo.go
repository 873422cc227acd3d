package cli

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"
)

// controllerInfo and addController are in two steps what register-controller is
// in one.
func (j *JAAS) controllerInfo() *cobra.Command {
	r := &registration{jaas: j}
	cmd := &cobra.Command{
		Use:   "controller-info CONTROLLER FILE [PUBLIC-ADDRESS]",
		Short: "Write a file for jimmctl add-controller",
		Long: `Write a file for jimmctl add-controller.

CONTROLLER is its name in the juju client store. The file has all that JAAS has to
know of it, with the password of its administrator: only you can read it, and it
should not stay. jaas register-controller does both steps without a file.

JAAS reaches the controller at PUBLIC-ADDRESS, HOST:PORT; without one, or with
--local, at the addresses and with the CA certificate that the juju client uses.`,
		Example: `  jimmctl controller-info blue blue.yaml blue.example.com:443
  jimmctl controller-info blue blue.yaml --local
  jimmctl add-controller blue.yaml`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 2 {
				return Arguments("CONTROLLER", "FILE", "PUBLIC-ADDRESS")(cmd, args)
			}
			return Arguments("the name of a controller in the juju client store", "the file to write")(cmd, args)
		},
		ValidArgsFunction: j.complete(j.storeNames, nil),
	}
	cmd.Flags().BoolVar(&r.local, "local", false, "use the addresses and the CA certificate in the juju client store")
	cmd.Flags().StringVar(&r.tlsHostname, "tls-hostname", "", "`NAME` that the controller's certificate is for")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) > 2 {
			r.publicAddress = args[2]
		}
		request, err := r.fromStore(args[0])
		if err != nil {
			return fmt.Errorf("cannot describe controller %q: %w", args[0], err)
		}
		text, err := yaml.Marshal(request)
		if err != nil {
			return err
		}
		// A file that others can read already must not get the password.
		file, err := os.OpenFile(args[1], os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			return fmt.Errorf("cannot write the file: %w", err)
		}
		if _, err = file.Write(text); err == nil {
			err = file.Close()
		}
		if err != nil {
			return fmt.Errorf("cannot write the file: %w", err)
		}
		j.hint("%s has the administrator's password of controller %q: delete it after \"jimmctl add-controller %s\".", args[1], args[0], args[1])
		return nil
	}
	return cmd
}

func (j *JAAS) addController() *cobra.Command {
	r := &registration{jaas: j}
	cmd := &cobra.Command{
		Use:   "add-controller FILE",
		Short: "Take a Juju controller into JAAS",
		Long: `Take a Juju controller into JAAS.

FILE is what jimmctl controller-info writes: YAML with the keys uuid, name,
public-address, api-addresses, ca-certificate, tls-hostname, username and password.
The file - is standard input. The controller must have been bootstrapped with JAAS
as its login-token-refresh-url.`,
		Example: `  jimmctl controller-info blue blue.yaml blue.example.com:443
  jimmctl add-controller blue.yaml`,
		Args:              Arguments("a file that jimmctl controller-info wrote"),
		ValidArgsFunction: j.complete(nil),
	}
	out := j.NewOutput(cmd, "yaml", "json")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		r.file = args[0]
		request, err := r.request("")
		if err != nil {
			return fmt.Errorf("cannot add a controller: %w", err)
		}
		return j.oneController(cmd.Context(), "AddController", request, out)
	}
	return cmd
}
