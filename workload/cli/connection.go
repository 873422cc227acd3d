package cli

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"regexp"
	"sort"
	"strings"
	"time"

	jujuerrors "github.com/juju/errors"
	"github.com/juju/juju/api"
	"github.com/juju/juju/api/jujuclient"
	"github.com/juju/juju/juju"
	"github.com/juju/juju/rpc"
	"github.com/juju/juju/rpc/params"
)

// facadeVersion is the version of the JIMM facade that the commands call.
const facadeVersion = 4

// dialTimeout is how long JAAS may take to answer at all. How long the login
// may take is for the person at the browser: api.DefaultDialOpts gives 10 minutes.
const dialTimeout = 30 * time.Second

// connection is a login to JAAS.
type connection struct {
	api.Connection
	jaas *JAAS
	name string
	// others are the names of what else in the client store may be JAAS.
	others []string
}

// connect logs in to the JAAS that the command line, the environment or the
// client store names, and stores the token if it is a new one.
func (j *JAAS) connect(ctx context.Context) (*connection, error) {
	name, err := j.controllerName()
	if err != nil {
		return nil, err
	}
	details, err := j.Store.ControllerByName(name)
	if jujuerrors.Is(err, jujuerrors.NotFound) {
		return nil, fmt.Errorf("controller %q is not in the juju client store: log in with \"juju login HOST:PORT -c %s\"%s",
			name, name, orOther(j.knownJAAS(name)))
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read the juju client store: %w", err)
	}
	account, err := j.Store.AccountDetails(name)
	if jujuerrors.Is(err, jujuerrors.NotFound) {
		account, err = &jujuclient.AccountDetails{}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read the juju client store: %w", err)
	}
	if !details.OIDCLogin && account.SessionToken == "" {
		// A secret of a company login is not for a plain controller to see.
		return nil, notJAAS(name, j.knownJAAS(name))
	}
	id, secret := j.Getenv("JUJU_CLIENT_ID"), j.Getenv("JUJU_CLIENT_SECRET")
	if (id == "") != (secret == "") {
		return nil, errors.New("only one of JUJU_CLIENT_ID and JUJU_CLIENT_SECRET is set: set both, or none to log in as a person")
	}

	done := j.Progress("Logging in to " + name)
	defer done()
	opts := api.DefaultDialOpts()
	opts.DialTimeout, opts.RetryDelay = dialTimeout, 0 // one try: who types can try again
	token := account.SessionToken
	if id != "" {
		opts.LoginProvider = api.NewClientCredentialsLoginProvider(id, secret)
		// Whoever else is logged in stays so.
		account = &jujuclient.AccountDetails{}
	} else {
		var person io.Writer = &announcement{j.Stderr, done}
		if j.noLogin {
			person = nil // what the provider takes for: no device flow
		}
		opts.LoginProvider = api.NewSessionTokenLoginProvider(token, person, func(fresh string) { token = fresh })
	}
	conn, err := juju.NewAPIConnection(ctx, juju.NewAPIConnectionParams{
		ControllerName: name, ControllerStore: j.Store, AccountDetails: account, OpenAPI: api.Open, DialOpts: opts,
	})
	if err != nil {
		return nil, j.explainLogin(err, name, id, account.User)
	}
	if id == "" {
		account.SessionToken, account.LastKnownAccess = token, conn.ControllerAccess()
		if account.User == "" {
			account.User = conn.AuthTag().Id()
		}
		if err := j.Store.UpdateAccount(name, *account); err != nil {
			j.say("WARNING cannot store the login, the next command will ask for it again: %v\n", err)
		}
	}
	return &connection{Connection: conn, jaas: j, name: name, others: j.knownJAAS(name)}, nil
}

// announcement passes on what a person has to do, where a line of progress may be.
type announcement struct {
	io.Writer
	before func()
}

func (a *announcement) Write(text []byte) (int, error) {
	a.before()
	if _, err := io.WriteString(a.Writer, printableLines(string(text))); err != nil {
		return 0, err
	}
	return len(text), nil
}

// call calls a method of the JIMM facade.
func (c *connection) call(ctx context.Context, method string, args, result any) error {
	done := c.jaas.Progress("Waiting for " + c.name)
	started := time.Now()
	err := c.APICall(ctx, "JIMM", facadeVersion, "", method, args, result)
	done()
	if c.jaas.debug {
		c.jaas.say("DEBUG JIMM(%d).%s of %s: %d ms\n", facadeVersion, method, c.name, time.Since(started).Milliseconds())
	}
	switch code := params.ErrCode(err); {
	case err == nil:
		return nil
	case code == params.CodeNotImplemented || errors.Is(err, jujuerrors.NotImplemented):
		return c.missing(ctx, method, err)
	case code == params.CodeUnauthorized:
		return &Exit{ExitDenied, fmt.Errorf("%s; you are logged in as %s: ask an administrator of JAAS, or log in as another user after \"juju logout -c %s\"",
			message(err), c.AuthTag().Id(), c.name)}
	case codeExits[code] != 0:
		return &Exit{codeExits[code], errors.New(message(err) + c.whatThereIs(err))}
	}
	return errors.New(message(err))
}

// lists are the commands that list what there is.
var lists = map[string]string{
	"controller": "jaas controllers", "controller profile": "jaas list-controller-profiles", "cloud": "juju clouds -c %s", "model": "jaas models",
	"group": "jaas groups", "role": "jaas roles", "session": "jaas sessions", "job": "jaas jobs",
}

var missingThing = regexp.MustCompile(`(?:^|: )(controller profile|[a-z]+)[ -]\S+ not found$`)

// whatThereIs says how to find what is there in place of what is not.
func (c *connection) whatThereIs(err error) string {
	found := missingThing.FindStringSubmatch(message(err))
	if found == nil || lists[found[1]] == "" {
		return ""
	}
	return fmt.Sprintf("; %q lists what there is", strings.Replace(lists[found[1]], "%s", c.name, 1))
}

// missing explains that a method is not there: because this is no JAAS at all,
// or not yet in this JAAS.
func (c *connection) missing(ctx context.Context, method string, err error) error {
	var version struct{}
	if method == "Version" || c.APICall(ctx, "JIMM", facadeVersion, "", "Version", nil, &version) != nil {
		return notJAAS(c.name, c.others)
	}
	return errors.New(message(err))
}

// controllerName is the controller that -c names, else the environment, else
// the current one: juju's own order.
func (j *JAAS) controllerName() (string, error) {
	if j.controller != "" {
		return j.controller, nil
	}
	ofModel, _, qualified := strings.Cut(j.Getenv("JUJU_MODEL"), ":")
	env := j.Getenv("JUJU_CONTROLLER")
	switch {
	case qualified && env != "" && ofModel != env:
		return "", fmt.Errorf("JUJU_MODEL names the controller %q, but JUJU_CONTROLLER %q: unset one, or use -c", ofModel, env)
	case qualified && ofModel != "":
		return ofModel, nil
	case env != "":
		return env, nil
	}
	name, err := j.Store.CurrentController()
	if jujuerrors.Is(err, jujuerrors.NotFound) {
		return "", fmt.Errorf("no controller is selected: log in to JAAS with \"juju login HOST:PORT -c NAME\"%s", orOther(j.knownJAAS("")))
	}
	if err != nil {
		return "", fmt.Errorf("cannot read the juju client store: %w", err)
	}
	return name, nil
}

// knownJAAS are the names of controllers in the client store, other than one,
// that have a company login and so may be JAAS.
func (j *JAAS) knownJAAS(except string) []string {
	all, err := j.Store.AllControllers()
	if err != nil {
		return nil // only for a hint; the error shows where it matters
	}
	var known []string
	for name, details := range all {
		if details.OIDCLogin && name != except {
			known = append(known, name)
		}
	}
	sort.Strings(known)
	return known
}

func notJAAS(name string, others []string) error {
	return fmt.Errorf("controller %q is not JAAS: log in to JAAS with \"juju login HOST:PORT -c NAME\"%s", name, orOther(others))
}

// orOther offers the controllers that the caller may have meant.
func orOther(names []string) string {
	if len(names) == 0 {
		return ""
	}
	return ", or use -c " + strings.Join(names, " or -c ")
}

// explainLogin says what to do about a failed login.
func (j *JAAS) explainLogin(err error, name, clientID, user string) error {
	code := ExitUnreachable
	if answer := (*rpc.RequestError)(nil); errors.As(err, &answer) || jujuerrors.Is(err, jujuerrors.Unauthorized) {
		code = ExitDenied
	}
	return &Exit{code, j.loginAdvice(err, name, clientID, user)}
}

func (j *JAAS) loginAdvice(err error, name, clientID, user string) error {
	var unknown x509.UnknownAuthorityError
	var other x509.HostnameError
	var refused *rpc.RequestError
	switch {
	case errors.As(err, &unknown):
		return fmt.Errorf("cannot log in to %q: %w; set SSL_CERT_FILE to the file of its certificate authority", name, err)
	case errors.As(err, &other):
		return fmt.Errorf("cannot log in to %q: %w", name, err)
	case clientID != "" && errors.As(err, &refused):
		return fmt.Errorf("cannot log in to %q as the service account in JUJU_CLIENT_ID, %q: %s; "+
			"check JUJU_CLIENT_SECRET, or unset both to log in as a person", name, clientID, message(err))
	case j.noLogin && params.ErrCode(err) == params.CodeSessionTokenInvalid:
		return fmt.Errorf("cannot log in to %q: the login is over, or there was none; \"juju login -c %s\" makes a new one", name, name)
	case user != "" && jujuerrors.Is(err, jujuerrors.Unauthorized):
		return fmt.Errorf("cannot log in to %q: %s; to change the user, first \"juju logout -c %s\"", name, message(err), name)
	case !errors.As(err, &refused) && !jujuerrors.Is(err, jujuerrors.Unauthorized):
		return fmt.Errorf("cannot log in to %q: %s; see that this machine reaches it, \"jimmctl doctor\" tells those who run JAAS what is wrong", name, message(err))
	}
	return fmt.Errorf("cannot log in to %q: %s", name, message(err))
}

// message is the text of an error as the server gave it, without its code.
func message(err error) string {
	var answer *rpc.RequestError
	if errors.As(err, &answer) {
		return answer.Message
	}
	return err.Error()
}
