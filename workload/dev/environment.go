package dev

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
)

// writeEnvironment puts what a script needs into Dir/env, as assignments of a
// shell.
func (s *Stack) writeEnvironment(context.Context) error {
	var b strings.Builder
	for _, pair := range [][2]string{
		{"SSL_CERT_FILE", s.CAFile},
		{"JIMM_DEV_ADDRESS", s.Address},
		{"JUJU_CLIENT_ID", ServiceAccount},
		{"JUJU_CLIENT_SECRET", ServiceSecret},
		{"JIMM_DEV_USERS", Alice.Email + ":" + Alice.Password + " " + Bob.Email + ":" + Bob.Password},
	} {
		fmt.Fprintf(&b, "%s=%s\n", pair[0], shellQuote(pair[1]))
	}
	return replaceFile(filepath.Join(s.options.Dir, "env"), []byte(b.String()), 0o600)
}

// Usage is the block to read and paste.
func (s *Stack) Usage() string {
	return fmt.Sprintf(`In another terminal:

  export SSL_CERT_FILE=%s
  juju login %s -c jimm

and log in, in the browser, as one of

  %s  %s  (administrator of JIMM; in group engineering)
  %s    %s

or, for scripts with a client of Juju 4, without a browser:

  export JUJU_CLIENT_ID=%s JUJU_CLIENT_SECRET=%s

The browser does not know the certificate of %s: accept it once.
A page that logs in by browser, as the Juju dashboard does, is at %s
(accept the certificate there and at https://%s, too).
Then: juju add-model hello && juju models
What JIMM does is at http://%s/metrics and /debug/status.
All state is in %s; the same settings are in its file env.
Ctrl-C stops everything; the next start goes on from here; --fresh starts over.
`, shellQuote(s.CAFile), s.Address,
		Alice.Email, Alice.Password, Bob.Email, Bob.Password,
		ServiceAccount, ServiceSecret, s.Issuer, s.Dashboard, s.Address, s.Internal, s.options.Dir)
}
