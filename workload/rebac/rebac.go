// Package rebac is the HTTP API by which administrators of JIMM see and change
// who may do what: /rebac/v1 of the ReBAC Admin OpenAPI document, which the
// package rebac-admin-ui-handlers has the routes and types of.
package rebac

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"strings"
	"unicode"
	"unicode/utf8"

	admin "github.com/canonical/rebac-admin-ui-handlers/v1"
	"github.com/canonical/rebac-admin-ui-handlers/v1/resources"
	"github.com/getkin/kin-openapi/openapi3"

	"github.com/juju/juju/rpc/params"

	"jimm/workload/estate"
	"jimm/workload/page"
)

// Path is where the API is, below JIMM's own prefix.
const Path = "/rebac/v1"

// Config is what the API needs.
type Config struct {
	Estate *estate.Estate
	// Authenticate tells who is calling: by the session cookie, or a session
	// token or client credentials. Its errors have codes.
	Authenticate func(w http.ResponseWriter, r *http.Request) (estate.User, error)
	// Language is the authorization model in OpenFGA's language.
	Language string
	// Prefix is the path below which clients know us.
	Prefix string
	Log    *slog.Logger
}

// Handler serves everything below Path.
func Handler(c Config) (http.Handler, error) {
	a := &api{c}
	document, err := a.document()
	if err != nil {
		return nil, err
	}
	mapper := failures{c.Log}
	backend, err := admin.NewReBACAdminBackend(admin.ReBACAdminBackendParams{
		Identities: identities{api: a}, IdentitiesErrorMapper: mapper,
		Groups: groups{api: a}, GroupsErrorMapper: mapper,
		Roles: roles{api: a}, RolesErrorMapper: mapper,
		Entitlements: entitlements{api: a}, EntitlementsErrorMapper: mapper,
		Resources: things{api: a}, ResourcesErrorMapper: mapper,
		Capabilities: capabilities{},
	})
	if err != nil {
		return nil, err
	}
	routes := backend.Handler(c.Prefix + "/rebac")
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+Path+"/swagger.json", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(document)
	})
	// The handlers would answer with a text in JSON, which the document does not say.
	mux.HandleFunc("GET "+Path+"/entitlements/raw", func(w http.ResponseWriter, r *http.Request) {
		if _, ok := a.admit(w, r); ok {
			w.Header().Set("Content-Type", "text/plain; charset=utf-8")
			_, _ = io.WriteString(w, c.Language)
		}
	})
	mux.HandleFunc(Path+"/", func(w http.ResponseWriter, r *http.Request) {
		u, ok := a.admit(w, r)
		if !ok {
			return
		}
		r = r.WithContext(admin.ContextWithIdentity(r.Context(), &u))
		// Links are made of the path that the client knows.
		at := *r.URL
		at.Path, at.RawPath = c.Prefix+at.Path, ""
		r.URL = &at
		routes.ServeHTTP(&jsonWriter{ResponseWriter: w}, r)
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		page.Protect(w.Header())
		mux.ServeHTTP(w, r)
	}), nil
}

// document is the OpenAPI document, with where we are in it, and as the handlers
// answer where that differs.
func (a *api) document() ([]byte, error) {
	d, err := resources.GetSwagger()
	if err != nil {
		return nil, err
	}
	d.Servers = openapi3.Servers{{URL: a.Prefix + Path}}
	// It says that it is itself a text.
	answer := d.Paths.Find("/swagger.json").Get.Responses.Status(http.StatusOK).Value
	answer.Content = openapi3.NewContentWithJSONSchema(openapi3.NewObjectSchema())
	// What is made is answered with 201.
	for _, path := range []string{"/groups", "/roles"} {
		made := d.Paths.Find(path).Post.Responses
		made.Set("201", made.Value("200"))
		made.Delete("200")
	}
	return d.MarshalJSON()
}

type api struct{ Config }

// maxBody is the longest body that is read, in bytes.
const maxBody = 1 << 20

// admit checks what is the same for all requests: who it is, and that the
// request can be read. It answers itself if not.
func (a *api) admit(w http.ResponseWriter, r *http.Request) (estate.User, bool) {
	u, err := a.Authenticate(w, r)
	if err == nil {
		var isAdmin bool
		if isAdmin, err = a.Estate.IsAdmin(r.Context(), u); err == nil && !isAdmin {
			Refuse(w, http.StatusUnauthorized, "user is not an admin")
			return u, false
		}
	}
	switch estate.CodeOf(err) {
	case "":
		if err != nil {
			Refuse(w, http.StatusInternalServerError, failures{a.Log}.internal(err).Message)
			return u, false
		}
	case estate.CodeConnectionFailed:
		Refuse(w, http.StatusServiceUnavailable, err.Error())
		return u, false
	case params.CodeTryAgain:
		var coded *estate.Error
		if errors.As(err, &coded) {
			w.Header().Set("Retry-After", fmt.Sprint(coded.Info["retry-after"]))
		}
		Refuse(w, http.StatusTooManyRequests, err.Error())
		return u, false
	default:
		Refuse(w, http.StatusUnauthorized, "failed to authenticate: "+err.Error())
		return u, false
	}
	query, err := unescaped(r.URL.RawQuery)
	if err != nil || !plain(query) || !plain(r.URL.Path) {
		Refuse(w, http.StatusBadRequest, "the path or query holds control characters, or is not UTF-8")
		return u, false
	}
	switch r.Method {
	case http.MethodPost, http.MethodPut, http.MethodPatch:
		return u, readBody(w, r)
	}
	return u, true
}

// readBody checks that a body is JSON, and is all there.
func readBody(w http.ResponseWriter, r *http.Request) bool {
	// A form of another page can have no such type.
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		Refuse(w, http.StatusUnsupportedMediaType, "the body must be application/json")
		return false
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	var long *http.MaxBytesError
	switch {
	case errors.As(err, &long):
		Refuse(w, http.StatusRequestEntityTooLarge, "the body is longer than 1 MiB")
		return false
	case err != nil || !json.Valid(body):
		Refuse(w, http.StatusBadRequest, "the body is not JSON")
		return false
	case !plainJSON(body):
		Refuse(w, http.StatusBadRequest, "the body holds control characters")
		return false
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	return true
}

func plainJSON(body []byte) bool {
	var tree any
	if json.Unmarshal(body, &tree) != nil {
		return false
	}
	var walk func(v any) bool
	walk = func(v any) bool {
		switch v := v.(type) {
		case string:
			return plain(v)
		case []any:
			for _, each := range v {
				if !walk(each) {
					return false
				}
			}
		case map[string]any:
			for _, each := range v {
				if !walk(each) {
					return false
				}
			}
		}
		return true
	}
	return walk(tree)
}

func plain(text string) bool {
	return utf8.ValidString(text) && !strings.ContainsFunc(text, unicode.IsControl)
}

// caller is who is calling, as admit has found out.
func caller(ctx context.Context) estate.User {
	identity, err := admin.GetIdentityFromContext(ctx)
	if u, ok := identity.(*estate.User); ok && err == nil {
		return *u
	}
	return estate.User{} // who may do nothing
}

// Refuse answers as the API does.
func Refuse(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(resources.Response{Message: text, Status: status})
}

// failures are the estate's errors as the API says them.
type failures struct{ log *slog.Logger }

// MapError is what the handlers call.
func (f failures) MapError(err error) *resources.Response {
	status := http.StatusInternalServerError
	switch estate.CodeOf(err) {
	case estate.CodeNotFound, estate.CodeUserNotFound, estate.CodeModelNotFound:
		status = http.StatusNotFound
	case estate.CodeBadRequest, estate.CodeTupleInvalid, estate.CodeNotValid:
		status = http.StatusBadRequest
	case estate.CodeAlreadyExists:
		status = http.StatusConflict
	case estate.CodeUnauthorized, estate.CodeForbidden:
		status = http.StatusUnauthorized
	case estate.CodeNotImplemented:
		status = http.StatusNotImplemented
	case estate.CodeConnectionFailed:
		status = http.StatusServiceUnavailable
	default:
		return f.internal(err)
	}
	return &resources.Response{Message: err.Error(), Status: status}
}

func (f failures) internal(err error) *resources.Response {
	f.log.Error("cannot answer the admin API", "error", err)
	return &resources.Response{Message: "internal error: JIMM's log says more", Status: http.StatusInternalServerError}
}

// jsonWriter says that an answer is JSON where the handlers do not: for paths
// and methods that there are not.
type jsonWriter struct {
	http.ResponseWriter
	replaced bool
}

// WriteHeader is part of http.ResponseWriter.
func (w *jsonWriter) WriteHeader(status int) {
	if status == http.StatusNotFound || status == http.StatusMethodNotAllowed {
		if w.Header().Get("Content-Type") != "application/json" {
			w.replaced = true
			Refuse(w.ResponseWriter, status, strings.ToLower(http.StatusText(status))+": "+Path+"/capabilities lists what there is")
			return
		}
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write is part of http.ResponseWriter.
func (w *jsonWriter) Write(b []byte) (int, error) {
	if w.replaced {
		return len(b), nil
	}
	return w.ResponseWriter.Write(b)
}
