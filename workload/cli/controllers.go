package cli

import (
	"context"
	"fmt"
	"net"
	"sort"

	"github.com/canonical/jimm-go-sdk/v3/api/params"
	jujuerrors "github.com/juju/errors"
	"github.com/juju/juju/api/jujuclient"
	"github.com/juju/names/v6"
	"github.com/spf13/cobra"

	jujuparams "github.com/juju/juju/rpc/params"
)

// hidden stands for a password where one is shown.
const hidden = "********"

func (j *JAAS) registerController() *cobra.Command {
	r := &registration{jaas: j}
	cmd := &cobra.Command{
		Use:   "register-controller CONTROLLER",
		Short: "Take a Juju controller into JAAS",
		Long: `Take a Juju controller into JAAS.

CONTROLLER is its name in the juju client store, and will be its name in JAAS.
JAAS logs in there with the name and password of the administrator that the store
holds, keeps them among its secrets, and imports the controller's clouds. The
controller must have been bootstrapped with JAAS as its login-token-refresh-url.

JAAS reaches the controller

  - at its public host name, if the client store knows one, with a certificate
    that a public authority has signed;
  - else, or with --local, at the addresses and with the CA certificate that the
    juju client uses itself;
  - with --public-address, at that address, with a certificate that a public
    authority has signed; or with the controller's own if --local is there too.

With --file all this comes from a YAML file with the keys uuid, name,
public-address, api-addresses, ca-certificate, tls-hostname, username and
password, as --dry-run prints it (without the password).`,
		Example: `  jaas register-controller blue
  jaas register-controller blue --public-address blue.example.com:443
  jaas register-controller blue --dry-run >blue.yaml
  jaas register-controller blue --file blue.yaml`,
		Args:              Arguments("the name of a controller in the juju client store"),
		ValidArgsFunction: j.complete(j.storeNames),
	}
	out := j.NewOutput(cmd, "yaml", "json")
	cmd.Flags().BoolVar(&r.local, "local", false, "use the addresses and the CA certificate in the juju client store")
	cmd.Flags().StringVar(&r.publicAddress, "public-address", "", "address of the controller, `HOST:PORT`")
	cmd.Flags().StringVar(&r.tlsHostname, "tls-hostname", "", "`NAME` that the controller's certificate is for")
	cmd.Flags().StringVar(&r.file, "file", "", "read what to register from this YAML `FILE`; - is standard input")
	cmd.Flags().BoolVar(&r.dryRun, "dry-run", false, "print what would be registered, and do nothing")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if r.file != "" && (r.local || r.publicAddress != "" || r.tlsHostname != "") {
			return UsageError("--file says it all: --local, --public-address and --tls-hostname do not go with it")
		}
		request, err := r.request(args[0])
		if err != nil {
			return fmt.Errorf("cannot register controller %q: %w", args[0], err)
		}
		if r.dryRun {
			request.Password = hidden
			return out.Print(request, nil)
		}
		return j.oneController(cmd.Context(), "AddController", request, out)
	}
	return cmd
}

// registration are the flags of register-controller.
type registration struct {
	jaas                             *JAAS
	local, dryRun                    bool
	publicAddress, tlsHostname, file string
}

// request is what to send to register the controller of this name, or of the
// file's.
func (r *registration) request(name string) (params.AddControllerRequest, error) {
	var request params.AddControllerRequest
	if r.file != "" {
		if err := readInput(r.file, r.jaas.input(), &request); err != nil {
			return request, err
		}
		if name != "" {
			request.Name = name
		}
		if request.Name == "" {
			return request, fmt.Errorf("%s has no name", r.file)
		}
		if request.Password == hidden {
			return request, fmt.Errorf("%s has no password: put the one of user %q there", r.file, request.Username)
		}
		return request, nil
	}
	return r.fromStore(name)
}

// fromStore is what the juju client store knows of a controller.
func (r *registration) fromStore(name string) (params.AddControllerRequest, error) {
	var request params.AddControllerRequest
	details, err := r.jaas.Store.ControllerByName(name)
	if jujuerrors.Is(err, jujuerrors.NotFound) {
		return request, fmt.Errorf("it is not in the juju client store; \"juju controllers\" lists what is, or use --file")
	}
	if err != nil {
		return request, fmt.Errorf("cannot read the juju client store: %w", err)
	}
	if details.OIDCLogin {
		return request, fmt.Errorf("its users log in at an identity provider: it is JAAS itself, not a controller behind it")
	}
	account, err := r.jaas.Store.AccountDetails(name)
	if err != nil && !jujuerrors.Is(err, jujuerrors.NotFound) {
		return request, fmt.Errorf("cannot read the juju client store: %w", err)
	}
	if account == nil || account.User == "" || account.Password == "" {
		return request, fmt.Errorf("the juju client store has no password of its administrator: "+
			"log in there with \"juju login -c %s -u admin\", or use --file", name)
	}
	request = params.AddControllerRequest{
		Name: name, UUID: details.ControllerUUID,
		PublicAddress: r.publicAddress, TLSHostname: r.tlsHostname,
		Username: account.User, Password: account.Password,
	}
	switch {
	case r.local || r.publicAddress == "" && details.PublicDNSName == "":
		request.APIAddresses, request.CACertificate = details.APIEndpoints, details.CACert
	case r.publicAddress == "":
		request.PublicAddress = publicAddress(*details)
	}
	return request, nil
}

// publicAddress is the public host name of a controller with the port that the
// client uses there.
func publicAddress(details jujuclient.ControllerDetails) string {
	if _, _, err := net.SplitHostPort(details.PublicDNSName); err == nil {
		return details.PublicDNSName
	}
	port := "443"
	for _, endpoint := range details.APIEndpoints {
		if host, p, err := net.SplitHostPort(endpoint); err == nil && host == details.PublicDNSName {
			port = p
		}
	}
	return net.JoinHostPort(details.PublicDNSName, port)
}

func (j *JAAS) unregisterController() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "unregister-controller CONTROLLER",
		Short: "Take a controller out of JAAS",
		Long: `Take a controller out of JAAS. The controller itself and the models on it are not
touched.

JAAS refuses while it knows models there. With --force it forgets these, and who
may do what with them; they go on running.`,
		Example:           "  jaas unregister-controller blue\n  jaas unregister-controller blue --force --no-prompt",
		Args:              Arguments("the name of a controller in JAAS"),
		ValidArgsFunction: j.complete(j.completeControllers),
	}
	out := j.NewOutput(cmd, "yaml", "json")
	force := cmd.Flags().Bool("force", false, "also if it has models: JAAS forgets these, and they go on running")
	prompt := j.NewPrompt(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if *force {
			if err := prompt.Confirm("This takes controller %q out of JAAS with all its models, and with who may do what with them.", args[0]); err != nil {
				return err
			}
		}
		return j.oneController(cmd.Context(), "RemoveController", params.RemoveControllerRequest{Name: args[0], Force: *force}, out)
	}
	return cmd
}

func (j *JAAS) showController() *cobra.Command {
	cmd := &cobra.Command{
		Use:               "show-controller CONTROLLER",
		Short:             "Show a controller of JAAS",
		Example:           "  jaas show-controller blue\n  jaas show-controller blue --format json",
		Args:              Arguments("the name of a controller in JAAS"),
		ValidArgsFunction: j.complete(j.completeControllers),
	}
	out := j.NewOutput(cmd, "yaml", "json")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return j.oneController(cmd.Context(), "ShowController", params.ShowControllerRequest{ControllerName: args[0]}, out)
	}
	return cmd
}

func (j *JAAS) setControllerDeprecated() *cobra.Command {
	return j.changeDeprecated(&cobra.Command{
		Use:   "set-controller-deprecated CONTROLLER",
		Short: "Give a controller no new models",
		Long: `Give a controller no new models. Its models stay and work on.
jaas unset-controller-deprecated gives it new ones again.`,
		Example: "  jaas set-controller-deprecated blue",
	}, true)
}

func (j *JAAS) unsetControllerDeprecated() *cobra.Command {
	return j.changeDeprecated(&cobra.Command{
		Use:     "unset-controller-deprecated CONTROLLER",
		Short:   "Give a deprecated controller new models again",
		Long:    "Give a controller new models again, which set-controller-deprecated had ended.",
		Example: "  jaas unset-controller-deprecated blue",
	}, false)
}

// changeDeprecated makes cmd say whether a controller is deprecated.
func (j *JAAS) changeDeprecated(cmd *cobra.Command, deprecated bool) *cobra.Command {
	cmd.Args = Arguments("the name of a controller in JAAS")
	cmd.ValidArgsFunction = j.complete(j.completeControllers)
	out := j.NewOutput(cmd, "yaml", "json")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		request := params.SetControllerDeprecatedRequest{Name: args[0], Deprecated: deprecated}
		return j.oneController(cmd.Context(), "SetControllerDeprecated", request, out)
	}
	return cmd
}

// oneController makes a call that answers with a controller, and prints that.
func (j *JAAS) oneController(ctx context.Context, method string, request any, out *Output) error {
	conn, err := j.connect(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	var info params.ControllerInfo
	if err := conn.call(ctx, method, request, &info); err != nil {
		return err
	}
	return out.Print(info, nil)
}

func (j *JAAS) controllers() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "controllers",
		Aliases: []string{"list-controllers"},
		Short:   "List the controllers of JAAS",
		Long:    "List the controllers of JAAS: those that you may add models to, all for an administrator of JAAS.",
		Example: "  jaas controllers\n  jaas controllers --format json",
		Args:    Arguments(),
	}
	out := j.NewOutput(cmd, "tabular", "yaml", "json")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		ctx := cmd.Context()
		conn, err := j.connect(ctx)
		if err != nil {
			return err
		}
		defer conn.Close()
		var list params.ListControllersResponse
		if err := conn.call(ctx, "ListControllers", nil, &list); err != nil {
			return err
		}
		found := list.Controllers
		if found == nil {
			found = []params.ControllerInfo{}
		}
		sort.Slice(found, func(a, b int) bool { return found[a].Name < found[b].Name })
		if len(found) == 0 && out.Tabular() {
			j.hint("No controllers. An administrator adds one with \"jaas register-controller CONTROLLER\".")
			return nil
		}
		return out.Print(found, func(t *Table) { tabulate(t, found) })
	}
	return cmd
}

// tabulate shows controllers as a table.
func tabulate(t *Table, list []params.ControllerInfo) {
	t.Row("Controller", "Cloud/Region", "Version", "Status", "Address")
	for _, c := range list {
		cloud := c.CloudTag
		if tag, err := names.ParseCloudTag(c.CloudTag); err == nil {
			cloud = tag.Id()
		}
		if c.CloudRegion != "" {
			cloud += "/" + c.CloudRegion
		}
		address := c.PublicAddress
		if address == "" && len(c.APIAddresses) > 0 {
			address = c.APIAddresses[0]
		}
		t.Row(c.Name, cloud, c.AgentVersion, controllerStatus(c.Status), address)
	}
}

func controllerStatus(s jujuparams.EntityStatus) any {
	switch s.Status {
	case "available":
		return Good(string(s.Status))
	case "deprecated":
		return Warn(string(s.Status))
	}
	return Bad(string(s.Status))
}
