package vault

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"io/fs"
	"net"
	"net/http"
	"strings"

	"github.com/hashicorp/vault/api"

	"jimm/workload/estate"
)

// refusedLogin is Vault's refusal of the AppRole, badMount what is wrong with the
// mount, and unreadable an answer that is not Vault's.
type (
	refusedLogin struct{ error }
	badMount     struct{ text string }
	unreadable   struct{ error }
)

func (e *refusedLogin) Unwrap() error { return e.error }
func (e *badMount) Error() string     { return e.text }
func (e *unreadable) Unwrap() error   { return e.error }

// trouble is a way in which Vault fails.
type trouble struct {
	// code and text are for the client; hint is for the log.
	code, text, hint string
	// transient means that it may be over in a moment.
	transient bool
	// undone means that Vault has not done what it was asked.
	undone bool
}

// classify says what an error of the client library means.
func classify(err error) *trouble {
	var (
		refused    *api.ResponseError
		login      *refusedLogin
		mount      *badMount
		strange    *unreadable
		authority  x509.UnknownAuthorityError
		hostname   x509.HostnameError
		invalid    x509.CertificateInvalidError
		handshake  *tls.CertificateVerificationError
		record     tls.RecordHeaderError
		network    *net.OpError
		syntax     *json.SyntaxError
		unsent     *notSent
		wasNotSent = errors.As(err, &unsent)
	)
	switch {
	case errors.As(err, &login):
		return &trouble{
			code: estate.CodeServerConfiguration, text: "Vault does not accept JIMM's AppRole",
			hint: "check VAULT_ROLE_ID, VAULT_ROLE_SECRET_ID and VAULT_NAMESPACE; the secret id may have expired", undone: true,
		}
	case errors.As(err, &mount):
		return &trouble{code: estate.CodeServerConfiguration, text: mount.text, hint: "check VAULT_PATH and the policy of the AppRole", undone: true}
	case errors.As(err, &refused):
		return refusal(refused, wasNotSent)
	case errors.As(err, &authority), errors.As(err, &hostname), errors.As(err, &invalid), errors.As(err, &handshake), errors.As(err, &record),
		err != nil && strings.Contains(err.Error(), "HTTP response to HTTPS client"):
		return &trouble{
			code: estate.CodeServerConfiguration, text: "the TLS connection to Vault cannot be trusted",
			hint: "check VAULT_ADDR, and VAULT_CACERT_BYTES, which must hold the CA of Vault's certificate", undone: true,
		}
	case errors.As(err, &strange), errors.As(err, &syntax):
		return &trouble{code: estate.CodeConnectionFailed, text: "what answers in place of Vault is not Vault", hint: "check VAULT_ADDR", undone: wasNotSent, transient: true}
	case errors.Is(err, context.DeadlineExceeded):
		return &trouble{code: estate.CodeConnectionFailed, text: "Vault does not answer in time", undone: wasNotSent, transient: true}
	}
	dialed := errors.As(err, &network) && network.Op == "dial"
	return &trouble{code: estate.CodeConnectionFailed, text: "Vault cannot be reached", hint: "check that it runs, and VAULT_ADDR", undone: wasNotSent || dialed, transient: true}
}

// refusal says what it means that Vault answered with an error.
func refusal(e *api.ResponseError, notSent bool) *trouble {
	text := strings.Join(e.Errors, "; ")
	switch {
	case strings.Contains(text, "Vault is sealed"):
		return &trouble{code: estate.CodeConnectionFailed, text: "Vault is sealed; an operator has to unseal it", hint: "vault operator unseal", undone: true}
	case strings.Contains(text, "no handler for route"), strings.Contains(text, "unsupported path"), strings.Contains(text, "unsupported operation"):
		return &trouble{code: estate.CodeServerConfiguration, text: "Vault has no KV secrets engine of version 2 where JIMM looks for it", hint: "check VAULT_PATH", undone: true}
	case strings.Contains(text, "not initialized"):
		return &trouble{code: estate.CodeConnectionFailed, text: "Vault is not initialised; an operator has to do that", hint: "vault operator init", undone: true}
	case strings.Contains(text, "Upgrading from non-versioned"), strings.Contains(text, "active node not found"), strings.Contains(text, "active cluster node not found"),
		e.StatusCode == http.StatusTooManyRequests, e.StatusCode == http.StatusPreconditionFailed, e.StatusCode == 472, e.StatusCode == 473:
		return &trouble{code: estate.CodeConnectionFailed, text: "Vault is busy or has no active node at the moment", undone: true, transient: true}
	case e.StatusCode == http.StatusForbidden:
		return &trouble{
			code: estate.CodeServerConfiguration, text: "Vault does not permit it to JIMM",
			hint: "the policy of the AppRole needs create, read and update on MOUNT/data/*, and read, list and delete on MOUNT/metadata/*", undone: true,
		}
	case e.StatusCode == http.StatusRequestEntityTooLarge, strings.Contains(text, "request body too large"):
		return &trouble{code: estate.CodeTooLarge, text: "it is larger than Vault takes", undone: true}
	case e.StatusCode < http.StatusInternalServerError:
		return &trouble{code: estate.CodeNotValid, text: "Vault refuses it", undone: true}
	}
	return &trouble{code: estate.CodeConnectionFailed, text: "Vault has an internal problem", hint: "see Vault's own log", undone: notSent, transient: true}
}

// failed makes the error for a client, and tells the log when Vault begins to
// fail in another way than before.
func (s *Secrets) failed(c call, t *trouble, err error) error {
	if before := s.trouble.Load(); t.code != estate.CodeNotValid && t.code != estate.CodeTooLarge && (before == nil || before.text != t.text) &&
		s.trouble.CompareAndSwap(before, t) {
		s.config.Log.Error("Vault fails", "problem", t.text, "hint", t.hint, "error", err, "path", c.path)
	}
	message := "cannot " + c.verb + " secret: " + t.text
	if !t.undone && !bool(c.repeat) {
		message += "; it is not known whether the secret was stored"
	}
	return &estate.Error{Code: t.code, Message: message, Cause: err}
}

// well tells the log when Vault is well again.
func (s *Secrets) well() {
	if before := s.trouble.Load(); before != nil && s.trouble.CompareAndSwap(before, nil) {
		s.config.Log.Info("Vault is well again", "was", before.text)
	}
}

// statusOf is the HTTP status that Vault answered with, 0 if it did not.
func statusOf(err error) int {
	var refused *api.ResponseError
	if errors.As(err, &refused) {
		return refused.StatusCode
	}
	return 0
}

// isRefusal reports whether Vault refused a call with such words.
func isRefusal(err error, words string) bool {
	var refused *api.ResponseError
	return errors.As(err, &refused) && refused.StatusCode == http.StatusBadRequest && strings.Contains(strings.Join(refused.Errors, "; "), words)
}

func isFileError(err error) bool {
	var path *fs.PathError
	return errors.As(err, &path)
}
