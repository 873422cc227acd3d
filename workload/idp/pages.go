package idp

import (
	_ "embed"
	"net/http"
	"net/url"
	"strings"
	"unicode"

	"github.com/zitadel/oidc/v3/pkg/oidc"

	"jimm/workload/page"
)

var (
	//go:embed pages/pages.html
	pagesHTML string

	templates = page.Templates(pagesHTML)

	// The login page may lead to a client's site, which Chromium holds form-action
	// against; the device pages lead nowhere else.
	policy       = page.Policy
	devicePolicy = page.Policy + "; form-action 'self'"
)

// content is what the templates show.
type content struct {
	Title     string
	Error     string
	Message   string
	Action    string
	FormToken string
	Client    string
	Request   string
	UserCode  string
	Email     string
	Scopes    []string
}

// scopeTexts say in people's words what an application gets to know.
var scopeTexts = map[string]string{
	oidc.ScopeProfile:       "your name",
	oidc.ScopeEmail:         "your e-mail address",
	scopeGroups:             "the groups you are in",
	oidc.ScopeOfflineAccess: "all this also later, while you are away",
}

const (
	wrongPassword = "That e-mail address and password do not belong together."
	unknownCode   = "That code is not known, or it has been used or has expired."
	loginOver     = "This login was not begun in this browser, or it has taken too long. Go back to the application and start again."
)

func (p *Provider) show(w http.ResponseWriter, status int, policy, name string, c content) {
	if err := page.Show(w, status, policy, templates, name, c); err != nil {
		p.log.Error("cannot show a page", "page", name, "error", err)
	}
}

func (p *Provider) showMessage(w http.ResponseWriter, status int, title, message string) {
	p.show(w, status, devicePolicy, "message", content{Title: title, Message: message})
}

// path is the path of a page of ours as browsers see it.
func (p *Provider) path(of string) string { return strings.TrimSuffix(p.issuer.Path, "/") + of }

// session returns who has logged in with this browser.
func (p *Provider) session(r *http.Request) (session, bool) {
	return p.storage.session(cookieValue(r, sessionCookie))
}

// logIn begins a session if the form has a right password.
func (p *Provider) logIn(w http.ResponseWriter, r *http.Request) (session, bool) {
	u, ok := p.storage.authenticate(r.PostForm.Get("email"), r.PostForm.Get("password"))
	if !ok {
		p.log.Warn("somebody could not log in")
		return session{}, false
	}
	p.storage.endSession(cookieValue(r, sessionCookie))
	id := p.storage.beginSession(u)
	p.setCookie(w, sessionCookie, id)
	return p.storage.session(id)
}

// request returns the login by browser that the request is about, if it was
// begun in this browser.
func (p *Provider) request(r *http.Request, id string) (authRequest, bool) {
	request, ok := p.storage.authRequest(id)
	return request, ok && request.browser != "" && request.browser == browserOf(r.Context())
}

// showLogin is where the authorization endpoint sends people.
func (p *Provider) showLogin(w http.ResponseWriter, r *http.Request) {
	request, ok := p.request(r, r.URL.Query().Get("request"))
	if !ok {
		p.showMessage(w, http.StatusBadRequest, "Start again", loginOver)
		return
	}
	if s, ok := p.session(r); ok && !request.freshOnly {
		p.storage.completeAuthRequest(request.id, s)
		p.finish(w, r, request.id)
		return
	}
	if request.silent {
		p.finish(w, r, request.id) // the protocol says that somebody has to log in
		return
	}
	p.askPassword(w, r, http.StatusOK, request, "")
}

func (p *Provider) askPassword(w http.ResponseWriter, r *http.Request, status int, request authRequest, problem string) {
	p.show(w, status, policy, "login", content{
		Title: "Log in", Error: problem, Action: p.path(loginPath), FormToken: p.formToken(r), Client: p.clientName(request.asked.ClientID),
		Request: request.id, Email: r.PostForm.Get("email"),
	})
}

func (p *Provider) login(w http.ResponseWriter, r *http.Request) {
	if err := p.readForm(w, r); err != nil {
		p.showMessage(w, http.StatusForbidden, "Start again", loginOver)
		return
	}
	request, ok := p.request(r, r.PostForm.Get("request"))
	if !ok {
		p.showMessage(w, http.StatusBadRequest, "Start again", loginOver)
		return
	}
	s, ok := p.logIn(w, r)
	if !ok {
		p.askPassword(w, r, http.StatusUnauthorized, request, wrongPassword)
		return
	}
	p.storage.completeAuthRequest(request.id, s)
	p.finish(w, r, request.id)
}

// finish hands a login by browser back to the protocol.
func (p *Provider) finish(w http.ResponseWriter, r *http.Request, id string) {
	// Outside its own handlers the library does not know the issuer, and gives a
	// path only.
	http.Redirect(w, r, strings.TrimSuffix(p.issuer.String(), "/")+p.callback(r.Context(), id), http.StatusSeeOther)
}

func (p *Provider) showDevice(w http.ResponseWriter, r *http.Request) {
	p.deviceStep(w, r, r.URL.Query().Get("user_code"), http.StatusOK, "")
}

// deviceStep asks for what is missing: the code, then who it is, then yes or no.
func (p *Provider) deviceStep(w http.ResponseWriter, r *http.Request, typed string, status int, problem string) {
	c := content{Error: problem, Action: p.path(devicePath)}
	d, ok := p.storage.deviceByUserCode(normaliseUserCode(typed))
	if !ok {
		c.Title = "Log in on a device"
		if typed != "" {
			c.Error, status = unknownCode, http.StatusBadRequest
		}
		p.show(w, status, devicePolicy, "code", c)
		return
	}
	c.UserCode, c.Client, c.FormToken = d.userCode, p.clientName(d.client), p.formToken(r)
	s, ok := p.session(r)
	if !ok {
		c.Title, c.Email = "Log in", r.PostForm.Get("email")
		p.show(w, status, devicePolicy, "login", c)
		return
	}
	c.Title, c.Email = "Allow "+c.Client+"?", s.user.Email
	c.Scopes = []string{"who you are"}
	for _, scope := range d.scopes {
		if text, ok := scopeTexts[scope]; ok {
			c.Scopes = append(c.Scopes, text)
		}
	}
	p.show(w, status, devicePolicy, "consent", c)
}

func (p *Provider) device(w http.ResponseWriter, r *http.Request) {
	if err := p.readForm(w, r); err != nil {
		p.showMessage(w, http.StatusForbidden, "Load the page again", "This form is out of date. Go back, load the page again and repeat.")
		return
	}
	code := normaliseUserCode(r.PostForm.Get("user_code"))
	again := p.path(devicePath) + "?user_code=" + url.QueryEscape(code)
	switch action := r.PostForm.Get("action"); action {
	case "login", "": // a form sent with the Enter key has its first button's action, or none
		if _, ok := p.logIn(w, r); !ok {
			p.deviceStep(w, r, code, http.StatusUnauthorized, wrongPassword)
			return
		}
	case "logout":
		p.storage.endSession(cookieValue(r, sessionCookie))
	case "approve", "deny":
		s, ok := p.session(r)
		if !ok {
			break
		}
		if !p.storage.decide(code, s, action == "approve") {
			p.deviceStep(w, r, code, http.StatusBadRequest, "")
			return
		}
		if action == "approve" {
			p.showMessage(w, http.StatusOK, "You are logged in", "Go back to your terminal or device. You can close this page.")
		} else {
			p.showMessage(w, http.StatusOK, "Denied", "Nobody has been logged in. You can close this page.")
		}
		return
	}
	http.Redirect(w, r, again, http.StatusSeeOther)
}

func (p *Provider) clientName(id string) string {
	if c := p.storage.clients[id]; c != nil {
		return c.name
	}
	return id
}

// normaliseUserCode takes a code as people type it: in lower case, with spaces
// or without the dash.
func normaliseUserCode(typed string) string {
	letters := strings.Map(func(r rune) rune {
		if r = unicode.ToUpper(r); r >= 'A' && r <= 'Z' {
			return r
		}
		return -1
	}, typed)
	if len(letters) != 8 {
		return ""
	}
	return letters[:4] + "-" + letters[4:]
}
