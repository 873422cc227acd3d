package sim

import (
	"bytes"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"
	"path"
	"strconv"
	"strings"

	"github.com/juju/names/v6"

	"github.com/juju/juju/core/permission"
	"github.com/juju/juju/rpc/params"
)

// maxUpload is the most that an upload may have, in bytes.
const maxUpload = 1 << 30

// fileRoutes adds the endpoints that carry files (apiserver/apiserver.go).
func (c *Controller) fileRoutes(mux *http.ServeMux) {
	// The model is part of the first word there, which a pattern cannot say.
	put, get := c.withAccess(permission.WriteAccess, c.putCharmObject), c.withAccess("", c.getCharmObject)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		model, object, found := strings.Cut(strings.TrimPrefix(r.URL.Path, "/model-"), "/charms/")
		if !found || !strings.HasPrefix(r.URL.Path, "/model-") {
			http.NotFound(w, r)
			return
		}
		r.SetPathValue("model", model)
		r.SetPathValue("object", object)
		switch r.Method {
		case http.MethodPut:
			put(w, r)
		case http.MethodGet:
			get(w, r)
		default:
			http.Error(w, fmt.Sprintf("http method %s not implemented", r.Method), http.StatusNotImplemented)
		}
	})
	if c.config.Generation == Juju36 {
		mux.HandleFunc("POST /model/{model}/charms", c.withAccess(permission.WriteAccess, c.postCharm))
		mux.HandleFunc("GET /model/{model}/charms", c.withAccess("", c.getCharm))
	}
	mux.HandleFunc("PUT /model/{model}/applications/{application}/resources/{resource}", c.withAccess(permission.WriteAccess, c.putResource))
	mux.HandleFunc("GET /model/{model}/applications/{application}/resources/{resource}", c.withAccess(permission.ReadAccess, c.getResource))
}

// caller tells who asks by HTTP: by password in Basic, by token in Bearer.
// Both generations take both.
func (c *Controller) caller(r *http.Request) (caller, error) {
	header := r.Header.Get("Authorization")
	if token, ok := strings.CutPrefix(header, "Bearer "); ok && c.config.JWKSURL != "" {
		who, err := c.callerOfToken(r.Context(), token)
		return who, annotate(err, "parsing jwt")
	}
	if name, password, ok := r.BasicAuth(); ok {
		tag, err := names.ParseUserTag(name)
		if err != nil {
			return caller{}, err
		}
		return c.callerByPassword(tag, password)
	}
	return caller{}, coded(params.CodeNoCreds, "no credentials provided")
}

// allowed tells whether who asks has access to a model or is superuser.
func (c *Controller) allowed(who caller, access permission.Access, model string) error {
	c.mu.RLock()
	defer c.mu.RUnlock()
	cn := &conn{ctl: c, caller: who}
	if cn.onModel(access, model) != nil {
		return errPerm
	}
	return nil
}

type modelHandler func(w http.ResponseWriter, r *http.Request, who caller, uuid string)

// withAccess lets who has access to the model in the path through. An empty
// access is anybody's who is known.
func (c *Controller) withAccess(access permission.Access, serve modelHandler) http.HandlerFunc {
	return c.withModel(func(w http.ResponseWriter, r *http.Request, model string) {
		plan := c.faults.plan(r.Method + " " + path.Base(path.Dir(r.URL.Path)))
		if !plan.beforeHTTP(w, r, c) {
			return
		}
		who, err := c.caller(r)
		if err != nil {
			http.Error(w, "authentication failed: "+err.Error(), http.StatusUnauthorized)
			return
		}
		if access != "" {
			if err := c.allowed(who, access, model); err != nil {
				http.Error(w, "authorization failed: "+err.Error(), http.StatusForbidden)
				return
			}
		}
		serve(w, r, who, model)
	})
}

// beforeHTTP is before for requests that are no calls.
func (p plan) beforeHTTP(w http.ResponseWriter, r *http.Request, c *Controller) bool {
	if p.delay > 0 {
		select {
		case <-r.Context().Done():
			return false
		case <-c.clock.After(p.delay):
		}
	}
	if p.hung != nil {
		select {
		case <-r.Context().Done():
			return false
		case <-p.hung:
		}
	}
	if p.dropBefore || p.dropAfter {
		panic(http.ErrAbortHandler)
	}
	if p.err != nil {
		http.Error(w, p.err.Error(), http.StatusInternalServerError)
		return false
	}
	return true
}

// statusOf is the HTTP status for an error (ServerErrorAndStatus).
func statusOf(e *params.Error) int {
	switch e.Code {
	case params.CodeUnauthorized:
		return http.StatusUnauthorized
	case params.CodeNotFound, params.CodeModelNotFound, params.CodeUserNotFound:
		return http.StatusNotFound
	case params.CodeBadRequest, params.CodeOperationBlocked:
		return http.StatusBadRequest
	case params.CodeForbidden:
		return http.StatusForbidden
	}
	return http.StatusInternalServerError
}

func sendJSON(w http.ResponseWriter, status int, body any) {
	data, err := json.Marshal(body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", params.ContentTypeJSON)
	w.Header().Set("Content-Length", strconv.Itoa(len(data)))
	w.WriteHeader(status)
	_, _ = w.Write(data) // the client is gone otherwise
}

func sendCharmError(w http.ResponseWriter, err error) {
	e := asParams(err)
	sendJSON(w, statusOf(e), params.CharmsResponse{Error: e.Message, ErrorCode: e.Code, ErrorInfo: e.Info})
}

// splitObject splits <name>-<hash>.
func splitObject(object string) (name, hash string, err error) {
	i := strings.LastIndex(object, "-")
	if i < 0 {
		return "", "", coded(params.CodeBadRequest, "%q is not a valid charm object path", object)
	}
	if len(object[i+1:]) < 7 {
		return "", "", coded(params.CodeBadRequest, "invalid sha length: %q", object[i+1:])
	}
	return object[:i], object[i+1:], nil
}

func (c *Controller) putCharmObject(w http.ResponseWriter, r *http.Request, _ caller, uuid string) {
	url, err := c.receiveCharm(w, r, uuid)
	if err != nil {
		sendCharmError(w, annotate(err, "uploading charm"))
		return
	}
	w.Header().Set(params.JujuCharmURLHeader, url)
	sendJSON(w, http.StatusOK, params.CharmsResponse{CharmURL: url})
}

func (c *Controller) receiveCharm(w http.ResponseWriter, r *http.Request, uuid string) (string, error) {
	if kind := r.Header.Get("Content-Type"); kind != "application/zip" {
		return "", coded(params.CodeBadRequest, "expected Content-Type: application/zip, got: %v", kind)
	}
	name, hash, err := splitObject(r.PathValue("object"))
	if err != nil {
		return "", err
	}
	url := r.Header.Get(params.JujuCharmURLHeader)
	if url == "" {
		return "", coded(params.CodeBadRequest, "missing %q header", params.JujuCharmURLHeader)
	}
	if !strings.HasPrefix(url, "local:") {
		return "", coded(params.CodeBadRequest, "unsupported charm source %q", strings.SplitN(url, ":", 2)[0])
	}
	data, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxUpload))
	if err != nil {
		return "", err
	}
	return c.keepCharm(uuid, name, hash, data)
}

// keepCharm adds a charm to a model. An empty hash is not compared.
func (c *Controller) keepCharm(uuid, name, hash string, data []byte) (string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	m := c.state.Models[uuid]
	if m == nil {
		return "", coded(params.CodeModelNotFound, "model %q not found", uuid)
	}
	url, err := c.addCharm(m, name, data)
	if err != nil {
		return "", coded(params.CodeBadRequest, "%s", err)
	}
	if hash != "" && !strings.HasPrefix(m.Charms[url].SHA256, hash) {
		delete(m.Charms, url)
		return "", coded(params.CodeBadRequest, "charm hash does not start with %q", hash)
	}
	return url, nil
}

func (c *Controller) getCharmObject(w http.ResponseWriter, r *http.Request, _ caller, uuid string) {
	_, hash, err := splitObject(r.PathValue("object"))
	if err == nil {
		err = c.sendCharm(w, uuid, func(m *model) *charmFile { return m.bySHA(hash) })
	}
	if err != nil {
		sendCharmError(w, annotate(err, "retrieving charm"))
	}
}

func (c *Controller) sendCharm(w http.ResponseWriter, uuid string, find func(*model) *charmFile) error {
	c.mu.RLock()
	var f *charmFile
	if m := c.state.Models[uuid]; m != nil {
		f = find(m)
	}
	c.mu.RUnlock()
	if f == nil || f.SHA256 == "" {
		return notFound("charm")
	}
	sum, err := hex.DecodeString(f.SHA256)
	if err != nil {
		return err
	}
	w.Header().Set("x-amz-checksum-sha256", base64.StdEncoding.EncodeToString(sum))
	w.Header().Set("Content-Length", strconv.Itoa(len(f.Data)))
	_, _ = w.Write(f.Data) // the client is gone otherwise
	return nil
}

// postCharm is the upload of clients older than 3.3.
func (c *Controller) postCharm(w http.ResponseWriter, r *http.Request, _ caller, uuid string) {
	if kind := r.Header.Get("Content-Type"); kind != "application/zip" {
		sendCharmError(w, coded(params.CodeBadRequest, "cannot upload charm: expected Content-Type: application/zip, got: %v", kind))
		return
	}
	data, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxUpload))
	var url string
	if err == nil {
		var name string
		if name, err = charmName(data); err == nil {
			url, err = c.keepCharm(uuid, name, "", data)
		}
	}
	if err != nil {
		sendCharmError(w, annotate(coded(params.CodeBadRequest, "%s", err), "cannot upload charm"))
		return
	}
	w.Header().Set(params.JujuCharmURLHeader, url)
	sendJSON(w, http.StatusOK, params.CharmsResponse{CharmURL: url})
}

func (c *Controller) getCharm(w http.ResponseWriter, r *http.Request, _ caller, uuid string) {
	url := r.URL.Query().Get("url")
	if err := c.sendCharm(w, uuid, func(m *model) *charmFile { return m.Charms[url] }); err != nil {
		sendCharmError(w, annotate(err, "cannot retrieve charm"))
	}
}

func sendError(w http.ResponseWriter, err error) {
	e := asParams(err)
	sendJSON(w, statusOf(e), params.ErrorResult{Error: e})
}

// findResource returns a resource to be read or, by a pending id, filled.
func (m *model) findResource(application, name, pendingID string) (*resource, error) {
	if pendingID != "" {
		if r := m.Pending[pendingID]; r != nil && r.ApplicationName == application && r.Name == name {
			return r, nil
		}
		return nil, notFound("pending resource %q", pendingID)
	}
	a := m.Applications[application]
	if a == nil {
		return nil, notFound("application %q", application)
	}
	if r := a.Resources[name]; r != nil {
		return r, nil
	}
	return nil, notFound("resource %s of application %s", name, application)
}

func (c *Controller) putResource(w http.ResponseWriter, r *http.Request, who caller, uuid string) {
	result, err := c.receiveResource(w, r, who, uuid)
	if err != nil {
		sendError(w, err)
		return
	}
	sendJSON(w, http.StatusOK, result)
}

func (c *Controller) receiveResource(w http.ResponseWriter, r *http.Request, who caller, uuid string) (*params.UploadResult, error) {
	_, disposition, err := mime.ParseMediaType(r.Header.Get("Content-Disposition"))
	if err != nil {
		return nil, coded(params.CodeBadRequest, "badly formatted Content-Disposition: %s", err)
	}
	data, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxUpload))
	if err != nil {
		return nil, err
	}
	sum := sha512.Sum384(data)
	if want := r.Header.Get("Content-Sha384"); want != hex.EncodeToString(sum[:]) {
		return nil, coded(params.CodeBadRequest, "resource data does not match its Content-Sha384 %q", want)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	defer c.markDirty()
	m := c.state.Models[uuid]
	if m == nil {
		return nil, coded(params.CodeModelNotFound, "model %q not found", uuid)
	}
	found, err := m.findResource(r.PathValue("application"), r.PathValue("resource"), r.URL.Query().Get("pendingid"))
	if err != nil {
		return nil, err
	}
	if ext := path.Ext(found.Path); found.Type == "file" && path.Ext(disposition["filename"]) != ext {
		return nil, fmt.Errorf("incorrect extension on resource upload %q, expected %q", disposition["filename"], ext)
	}
	found.Data, found.SHA384 = data, hex.EncodeToString(sum[:])
	found.Fingerprint, found.Size, found.Origin = sum[:], int64(len(data)), "upload"
	found.Username, found.Timestamp = who.tag.Id(), c.clock.Now()
	c.changed(m)
	return &params.UploadResult{Resource: found.Resource}, nil
}

func (c *Controller) getResource(w http.ResponseWriter, r *http.Request, _ caller, uuid string) {
	c.mu.RLock()
	m := c.state.Models[uuid]
	var found *resource
	err := error(coded(params.CodeModelNotFound, "model %q not found", uuid))
	if m != nil {
		found, err = m.findResource(r.PathValue("application"), r.PathValue("resource"), "")
	}
	var data []byte
	if err == nil {
		data = found.Data
	}
	c.mu.RUnlock()
	if err == nil && data == nil {
		err = notFound("resource %s of application %s has no blob downloaded on controller", r.PathValue("resource"), r.PathValue("application"))
	}
	if err != nil {
		sendError(w, err)
		return
	}
	w.Header().Set("Content-Type", params.ContentTypeRaw)
	w.Header().Set("Content-Length", strconv.Itoa(len(data)))
	_, _ = io.Copy(w, bytes.NewReader(data)) // the client is gone otherwise
}
