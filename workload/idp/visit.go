package idp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// maxPage is the longest page that is read, in bytes.
const maxPage = 1 << 20

// ApproveDevice does what a person does with a verification URI and user code:
// it visits the provider's pages, logs in and approves. userCode may be empty if
// the URI has the code in it. A nil client means http.DefaultClient; it is used
// with cookies of this visit only.
func ApproveDevice(ctx context.Context, client *http.Client, verificationURI, userCode, email, password string) error {
	return decideDevice(ctx, client, verificationURI, userCode, email, password, "approve")
}

// DenyDevice is ApproveDevice for one who says no.
func DenyDevice(ctx context.Context, client *http.Client, verificationURI, userCode, email, password string) error {
	return decideDevice(ctx, client, verificationURI, userCode, email, password, "deny")
}

// LogInDevice is ApproveDevice for providers that take a login for a yes.
func LogInDevice(ctx context.Context, client *http.Client, verificationURI, userCode, email, password string) error {
	v, err := newVisit(client)
	if err == nil {
		err = v.enterCode(ctx, verificationURI, userCode)
	}
	if err == nil && v.formWith("password", "password") == nil {
		err = v.problem("it asks for no password")
	}
	if err == nil {
		err = v.logIn(ctx, email, password)
	}
	if err != nil {
		return fmt.Errorf("cannot log in on the device as %s: %w", email, err)
	}
	return nil
}

// LogIn does what a person does who is sent to an authorization URL, and returns
// the URL at the application, which starts with redirectURI, that the browser
// would be sent to in the end. Nothing is asked of the application.
func LogIn(ctx context.Context, client *http.Client, authURL, redirectURI, email, password string) (*url.URL, error) {
	v, err := newVisit(client)
	if err != nil {
		return nil, err
	}
	var arrived *url.URL
	v.client.CheckRedirect = func(req *http.Request, _ []*http.Request) error {
		if strings.HasPrefix(req.URL.String(), redirectURI) {
			arrived = req.URL
			return http.ErrUseLastResponse
		}
		return nil
	}
	err = v.get(ctx, authURL)
	if err == nil && arrived == nil {
		err = v.logIn(ctx, email, password)
	}
	if err == nil && arrived == nil {
		err = v.problem("it did not lead to the application")
	}
	if err != nil {
		return nil, fmt.Errorf("cannot log in as %s: %w", email, err)
	}
	return arrived, nil
}

func decideDevice(ctx context.Context, client *http.Client, verificationURI, userCode, email, password, decision string) error {
	v, err := newVisit(client)
	if err != nil {
		return err
	}
	if err := v.decide(ctx, verificationURI, userCode, email, password, decision); err != nil {
		return fmt.Errorf("cannot %s the device as %s: %w", decision, email, err)
	}
	return nil
}

func (v *visit) decide(ctx context.Context, verificationURI, userCode, email, password, decision string) error {
	if err := v.enterCode(ctx, verificationURI, userCode); err != nil {
		return err
	}
	if err := v.logIn(ctx, email, password); err != nil {
		return err
	}
	f := v.formWithAction(decision)
	if f == nil {
		return v.problem("there is nothing to " + decision)
	}
	if err := v.submit(ctx, f, decision); err != nil {
		return err
	}
	if v.status == "" {
		return v.problem("the page does not say what has happened")
	}
	return nil
}

// enterCode gets the page and types the code in, if it asks for it.
func (v *visit) enterCode(ctx context.Context, verificationURI, userCode string) error {
	if err := v.get(ctx, verificationURI); err != nil {
		return err
	}
	f := v.formWith("user_code", "text")
	if f == nil {
		return nil
	}
	if userCode != "" {
		f.values.Set("user_code", userCode)
	}
	return v.submit(ctx, f, "")
}

// visit is a browser, as far as these pages need one.
type visit struct {
	client *http.Client
	at     *url.URL
	forms  []*form
	// alert and status are the texts of the elements with these roles.
	alert, status string
}

// form is a form of the page.
type form struct {
	method, action string
	values         url.Values
	kinds          map[string]string // name of an input to its type
	actions        []string          // values of the buttons named action
}

func newVisit(client *http.Client) (*visit, error) {
	if client == nil {
		client = http.DefaultClient
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		return nil, err
	}
	own := *client
	own.Jar, own.CheckRedirect = jar, nil
	return &visit{client: &own}, nil
}

func (v *visit) get(ctx context.Context, to string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, to, nil)
	if err != nil {
		return err
	}
	return v.do(req)
}

// logIn fills in the form with a password, if the page has one.
func (v *visit) logIn(ctx context.Context, email, password string) error {
	f := v.formWith("password", "password")
	if f == nil {
		return nil
	}
	f.values.Set("email", email)
	f.values.Set("password", password)
	if err := v.submit(ctx, f, "login"); err != nil {
		return err
	}
	if v.formWith("password", "password") != nil {
		return v.problem("it asks for the password again")
	}
	return nil
}

func (v *visit) submit(ctx context.Context, f *form, action string) error {
	to, err := v.at.Parse(f.action)
	if err != nil {
		return err
	}
	if action != "" {
		f.values.Set("action", action)
	}
	if f.method != http.MethodPost {
		to.RawQuery = f.values.Encode()
		return v.get(ctx, to.String())
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, to.String(), strings.NewReader(f.values.Encode()))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return v.do(req)
}

func (v *visit) do(req *http.Request) error {
	resp, err := v.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	root, err := html.Parse(io.LimitReader(resp.Body, maxPage))
	if err != nil {
		return err
	}
	v.at, v.forms, v.alert, v.status = resp.Request.URL, nil, "", ""
	v.read(root, nil)
	if resp.StatusCode >= http.StatusBadRequest {
		return v.problem("answer " + resp.Status)
	}
	return nil
}

// read takes in a page.
func (v *visit) read(n *html.Node, in *form) {
	if n.Type == html.ElementNode {
		switch attribute(n, "role") {
		case "alert":
			v.alert = text(n)
		case "status":
			v.status = text(n)
		}
		switch n.DataAtom {
		case atom.Form:
			in = &form{method: strings.ToUpper(attribute(n, "method")), action: attribute(n, "action"), values: url.Values{}, kinds: map[string]string{}}
			v.forms = append(v.forms, in)
		case atom.Input:
			if name := attribute(n, "name"); in != nil && name != "" {
				in.values.Set(name, attribute(n, "value"))
				in.kinds[name] = attribute(n, "type")
				if in.kinds[name] == "" {
					in.kinds[name] = "text"
				}
			}
		case atom.Button:
			if in != nil && attribute(n, "name") == "action" {
				in.actions = append(in.actions, attribute(n, "value"))
			}
		}
	}
	for child := n.FirstChild; child != nil; child = child.NextSibling {
		v.read(child, in)
	}
}

func (v *visit) formWith(name, kind string) *form {
	for _, f := range v.forms {
		if f.kinds[name] == kind {
			return f
		}
	}
	return nil
}

func (v *visit) formWithAction(action string) *form {
	for _, f := range v.forms {
		for _, a := range f.actions {
			if a == action {
				return f
			}
		}
	}
	return nil
}

// problem is an error with what the page says about it.
func (v *visit) problem(what string) error {
	for _, said := range []string{v.alert, v.status} {
		if said != "" {
			return errors.New("the page says: " + said)
		}
	}
	return errors.New(what)
}

func attribute(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

func text(n *html.Node) string {
	if n.Type == html.TextNode {
		return n.Data
	}
	var all strings.Builder
	for child := n.FirstChild; child != nil; child = child.NextSibling {
		all.WriteString(text(child))
	}
	return strings.Join(strings.Fields(all.String()), " ")
}
