package stack

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"jimm/workload/page"
)

var (
	//go:embed pages/signin.html
	signInHTML  string
	signInPages = page.Templates(signInHTML)
)

// rememberFor is how long Hydra lets a browser in again without a password.
const rememberFor = time.Hour

// signIn is the login and consent page that Hydra sends people to. It asks Kratos
// whether the password is right, and tells Hydra who it is.
type signIn struct {
	hydra, kratos, people rest
	log                   *slog.Logger
}

// SignInURL is where people log in at Hydra, without a slash at its end.
func (s *Stack) SignInURL() string { return "https://" + s.address("signin") }

func (s *Stack) signIn() http.Handler {
	p := &signIn{
		hydra: s.hydraAdmin(), people: s.kratosAdmin(), log: s.options.Log,
		kratos: rest{client: s.options.Client, url: "http://" + s.address("kratos")},
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /login", p.showLogin)
	mux.HandleFunc("POST /login", p.login)
	mux.HandleFunc("GET /consent", p.showConsent)
	mux.HandleFunc("POST /consent", p.consent)
	mux.HandleFunc("GET /logout", p.logout)
	mux.HandleFunc("GET /error", func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		p.message(w, http.StatusBadRequest, "That did not work", q.Get("error_description")+" "+q.Get("error_hint"))
	})
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		p.message(w, http.StatusOK, "Company login", "Go to the application that you want to use: it brings you here when you have to log in.")
	})
	// Other sites must not send our forms.
	return http.NewCrossOriginProtection().Handler(mux)
}

// client is an application that asks for a login.
type client struct {
	ID          string `json:"client_id"`
	Name        string `json:"client_name"`
	SkipConsent bool   `json:"skip_consent"`
}

func (c client) name() string {
	if c.Name != "" {
		return c.Name
	}
	return c.ID
}

// content is what the pages show.
type content struct {
	Title, Error, Message string
	Challenge             string
	Application, Email    string
	Knows                 []string
}

// scopeTexts say in people's words what an application gets to know.
var scopeTexts = map[string]string{
	"profile": "your name", "email": "your e-mail address", "groups": "the groups you are in", "offline_access": "all this also later, while you are away",
}

func (p *signIn) show(w http.ResponseWriter, status int, name string, c content) {
	if err := page.Show(w, status, page.Policy, signInPages, name, c); err != nil {
		p.log.Error("cannot show a page", "page", name, "error", err)
	}
}

func (p *signIn) message(w http.ResponseWriter, status int, title, text string) {
	p.show(w, status, "message", content{Title: title, Message: strings.TrimSpace(text)})
}

// failed tells the browser that a step was not possible.
func (p *signIn) failed(w http.ResponseWriter, err error) {
	p.log.Error("cannot go on with a login", "error", err)
	var answer *statusError
	if errors.As(err, &answer) && answer.status < http.StatusInternalServerError {
		p.message(w, http.StatusBadRequest, "Start again", "This login has been used or has taken too long. Go back to the application and start again.")
		return
	}
	p.message(w, http.StatusBadGateway, "Not now", "The login does not work at the moment. Load this page again in a while.")
}

// loginRequest is Hydra's question who somebody is.
type loginRequest struct {
	Skip    bool   `json:"skip"`
	Subject string `json:"subject"`
	Client  client `json:"client"`
}

func (p *signIn) loginRequest(ctx context.Context, challenge string) (loginRequest, error) {
	var asked loginRequest
	return asked, p.hydra.call(ctx, http.MethodGet, "/admin/oauth2/auth/requests/login?login_challenge="+url.QueryEscape(challenge), nil, &asked)
}

func (p *signIn) showLogin(w http.ResponseWriter, r *http.Request) {
	challenge := r.URL.Query().Get("login_challenge")
	asked, err := p.loginRequest(r.Context(), challenge)
	if err != nil {
		p.failed(w, err)
		return
	}
	if asked.Skip {
		p.answer(w, r, "login", challenge, map[string]any{"subject": asked.Subject})
		return
	}
	p.show(w, http.StatusOK, "login", content{Title: "Company login", Challenge: challenge, Application: asked.Client.name()})
}

func (p *signIn) login(w http.ResponseWriter, r *http.Request) {
	challenge, email := r.PostFormValue("challenge"), strings.TrimSpace(r.PostFormValue("email"))
	asked, err := p.loginRequest(r.Context(), challenge)
	if err != nil {
		p.failed(w, err)
		return
	}
	who, err := p.authenticate(r.Context(), email, r.PostFormValue("password"))
	if isStatus(err, http.StatusBadRequest) {
		p.show(w, http.StatusUnauthorized, "login", content{
			Title: "Company login", Challenge: challenge, Application: asked.Client.name(), Email: email,
			Error: "That e-mail address and password do not belong together.",
		})
		return
	}
	if err != nil {
		p.failed(w, err)
		return
	}
	p.answer(w, r, "login", challenge, map[string]any{"subject": who, "remember": true, "remember_for": int(rememberFor.Seconds()), "amr": []string{"pwd"}})
}

// authenticate returns the id of who has that password, by Kratos's flow for
// programs. Kratos answers 400 to a wrong one.
func (p *signIn) authenticate(ctx context.Context, email, password string) (string, error) {
	var flow struct{ ID string }
	if err := p.kratos.call(ctx, http.MethodGet, "/self-service/login/api", nil, &flow); err != nil {
		return "", err
	}
	var done struct {
		Session struct{ Identity identity }
	}
	err := p.kratos.call(ctx, http.MethodPost, "/self-service/login?flow="+url.QueryEscape(flow.ID),
		map[string]string{"method": "password", "identifier": email, "password": password}, &done)
	if err != nil {
		return "", withoutBody(err)
	}
	return done.Session.Identity.ID, nil
}

// withoutBody leaves out what Kratos says in detail: its answer repeats the form.
func withoutBody(err error) error {
	var answer *statusError
	if errors.As(err, &answer) {
		return &statusError{answer.method, "/self-service/login", "", answer.status}
	}
	return err
}

// consentRequest is Hydra's question what an application may know.
type consentRequest struct {
	Subject  string   `json:"subject"`
	Scope    []string `json:"requested_scope"`
	Audience []string `json:"requested_access_token_audience"`
	Skip     bool     `json:"skip"`
	Client   client   `json:"client"`
}

func (p *signIn) consentRequest(ctx context.Context, challenge string) (consentRequest, identity, error) {
	var asked consentRequest
	if err := p.hydra.call(ctx, http.MethodGet, "/admin/oauth2/auth/requests/consent?consent_challenge="+url.QueryEscape(challenge), nil, &asked); err != nil {
		return asked, identity{}, err
	}
	// Looked up each time: groups change.
	var who identity
	return asked, who, p.people.call(ctx, http.MethodGet, "/admin/identities/"+url.PathEscape(asked.Subject), nil, &who)
}

func (p *signIn) showConsent(w http.ResponseWriter, r *http.Request) {
	challenge := r.URL.Query().Get("consent_challenge")
	asked, who, err := p.consentRequest(r.Context(), challenge)
	if err != nil {
		p.failed(w, err)
		return
	}
	if asked.Skip || asked.Client.SkipConsent {
		p.grant(w, r, challenge, asked, who)
		return
	}
	knows := []string{"who you are"}
	for _, scope := range asked.Scope {
		if text, ok := scopeTexts[scope]; ok {
			knows = append(knows, text)
		}
	}
	p.show(w, http.StatusOK, "consent", content{
		Title: "Allow " + asked.Client.name() + "?", Challenge: challenge, Application: asked.Client.name(), Email: who.Traits.Email, Knows: knows,
	})
}

func (p *signIn) consent(w http.ResponseWriter, r *http.Request) {
	challenge := r.PostFormValue("challenge")
	if r.PostFormValue("action") != "approve" {
		p.reject(w, r, challenge)
		return
	}
	asked, who, err := p.consentRequest(r.Context(), challenge)
	if err != nil {
		p.failed(w, err)
		return
	}
	p.grant(w, r, challenge, asked, who)
}

func (p *signIn) grant(w http.ResponseWriter, r *http.Request, challenge string, asked consentRequest, who identity) {
	claims := map[string]any{}
	if slices.Contains(asked.Scope, "email") {
		claims["email"], claims["email_verified"] = who.Traits.Email, who.verified()
	}
	if slices.Contains(asked.Scope, "profile") {
		claims["name"] = who.Traits.Name
	}
	if slices.Contains(asked.Scope, "groups") {
		claims["groups"] = who.Metadata.Groups
	}
	p.answer(w, r, "consent", challenge, map[string]any{
		"grant_scope": asked.Scope, "grant_access_token_audience": asked.Audience,
		"session": map[string]any{"id_token": claims},
	})
}

func (p *signIn) reject(w http.ResponseWriter, r *http.Request, challenge string) {
	p.send(w, r, "consent/reject?consent_challenge="+url.QueryEscape(challenge), map[string]any{
		"error": "access_denied", "error_description": "The person has denied it.",
	})
}

// answer accepts what Hydra has asked, and sends the browser back to it.
func (p *signIn) answer(w http.ResponseWriter, r *http.Request, question, challenge string, in any) {
	p.send(w, r, fmt.Sprintf("%s/accept?%s_challenge=%s", question, question, url.QueryEscape(challenge)), in)
}

func (p *signIn) send(w http.ResponseWriter, r *http.Request, path string, in any) {
	var next struct {
		To string `json:"redirect_to"`
	}
	if err := p.hydra.call(r.Context(), http.MethodPut, "/admin/oauth2/auth/requests/"+path, in, &next); err != nil {
		p.failed(w, err)
		return
	}
	http.Redirect(w, r, next.To, http.StatusSeeOther)
}

// logout ends the session at Hydra that lets a browser in without a password.
func (p *signIn) logout(w http.ResponseWriter, r *http.Request) {
	p.answer(w, r, "logout", r.URL.Query().Get("logout_challenge"), map[string]any{})
}
