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
	byDevice := fmt.Sprintf(`  juju login %s -c jimm

and log in, in the browser, as one of
`, s.Address)
	byAccount := fmt.Sprintf(`  export JUJU_CLIENT_ID=%s JUJU_CLIENT_SECRET=%s
`, ServiceAccount, ServiceSecret)
	var how string
	switch {
	case s.Services == nil:
		how = byDevice + people() + "\nor, for scripts with a client of Juju 4, without a browser:\n\n" + byAccount
	case s.options.Issuer == IssuerDex:
		how = byDevice + people() + "\nDex has no service accounts: --issuer hydra has.\n"
	default:
		how = byAccount + fmt.Sprintf("  juju login %s -c jimm\n", s.Address) + `
with a client of Juju 4. This Hydra has no login by device: people log in at the
page below, or at a terminal with --issuer dex. They are
` + people()
	}
	text := fmt.Sprintf("In another terminal:\n\n  export SSL_CERT_FILE=%s\n", shellQuote(s.CAFile)) + how + fmt.Sprintf(`
The browser does not know the certificate of %s: accept it once.
A page that logs in by browser, as the Juju dashboard does, is at %s
(accept the certificate there and at https://%s, too).
Then: juju add-model hello && juju models
What JIMM does is at http://%s/metrics and /debug/status.
`, s.Issuer, s.Dashboard, s.Address, s.Internal)
	if s.Services != nil {
		text += fmt.Sprintf("The services' logs and configurations are in %s.\n", filepath.Join(s.options.Dir, "services"))
	}
	return text + fmt.Sprintf(`All state is in %s; the same settings are in its file env.
Ctrl-C stops everything; the next start goes on from here; --fresh starts over.
`, s.options.Dir)
}

// people are those who can log in.
func people() string {
	return fmt.Sprintf("\n  %s  %s  (administrator of JIMM; in group engineering)\n  %s    %s\n", Alice.Email, Alice.Password, Bob.Email, Bob.Password)
}
