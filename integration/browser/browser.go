// Package browser drives a real browser, headless Chromium, through pages that
// JIMM and identity providers show:
//
//	b, err := browser.Start(ctx, browser.Options{Trust: []string{jimm, issuer}, Artefacts: dir})
//	defer b.Close()
//	alice, err := b.Person()
//	err = alice.Open(ctx, "https://"+jimm+"/auth/login")
//	err = alice.Fill(ctx, "#email", "alice@example.com")
//	err = alice.Click(ctx, "button")
//	err = alice.WaitURL(ctx, "https://dashboard.example.com/")
//
// It needs Debian's package chromium.
package browser

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/cdproto/storage"
	"github.com/chromedp/cdproto/target"
	"github.com/chromedp/chromedp"
)

// stepTimeout is for how long one step may wait for what it wants to see.
const stepTimeout = 2 * time.Minute

// Options say how a browser is started.
type Options struct {
	// Program is the browser (default: chromium on the PATH).
	Program string
	// Trust are servers, host:port, whose certificates are taken as they are now.
	Trust []string
	// Artefacts is where screenshots go; it is made if needed. Empty: nowhere.
	Artefacts string
}

// Browser is a running Chromium.
type Browser struct {
	options Options
	ctx     context.Context
	stop    []context.CancelFunc
	profile string
}

// Start starts a browser, which ends with ctx or by Close.
func Start(ctx context.Context, o Options) (_ *Browser, err error) {
	if o.Program == "" {
		if o.Program, err = exec.LookPath("chromium"); err != nil {
			return nil, errors.New("cannot start a browser: chromium is not installed: apt-get install chromium")
		}
	}
	if o.Artefacts != "" {
		if err := os.MkdirAll(o.Artefacts, 0o755); err != nil {
			return nil, err
		}
	}
	b := &Browser{options: o}
	defer func() {
		if err != nil {
			b.Close()
		}
	}()
	if b.profile, err = os.MkdirTemp("", "browser"); err != nil {
		return nil, err
	}
	pins := make([]string, len(o.Trust))
	for i, server := range o.Trust {
		if pins[i], err = pin(ctx, server); err != nil {
			return nil, err
		}
	}
	flags := append(chromedp.DefaultExecAllocatorOptions[:len(chromedp.DefaultExecAllocatorOptions):len(chromedp.DefaultExecAllocatorOptions)],
		chromedp.ExecPath(o.Program), chromedp.UserDataDir(b.profile), chromedp.NoSandbox, chromedp.WindowSize(900, 700), chromedp.WSURLReadTimeout(time.Minute),
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-gpu", true),
		chromedp.Flag("ignore-certificate-errors-spki-list", strings.Join(pins, ",")))
	allocator, stop := chromedp.NewExecAllocator(ctx, flags...)
	b.stop = append(b.stop, stop)
	b.ctx, stop = chromedp.NewContext(allocator)
	b.stop = append(b.stop, stop)
	if err := chromedp.Run(b.ctx); err != nil {
		return nil, fmt.Errorf("cannot start a browser: %w", err)
	}
	return b, nil
}

// pin returns the digest of the public key of a server's certificate.
func pin(ctx context.Context, server string) (string, error) {
	dialer := tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true}} // the test has started this server itself
	conn, err := dialer.DialContext(ctx, "tcp", server)
	if err != nil {
		return "", fmt.Errorf("cannot ask for a certificate: %w", err)
	}
	defer conn.Close()
	leaf := conn.(*tls.Conn).ConnectionState().PeerCertificates[0]
	sum := sha256.Sum256(leaf.RawSubjectPublicKeyInfo)
	return base64.StdEncoding.EncodeToString(sum[:]), nil
}

// Close ends the browser.
func (b *Browser) Close() {
	for i := len(b.stop) - 1; i >= 0; i-- {
		b.stop[i]()
	}
	b.stop = nil
	if b.profile != "" {
		_ = os.RemoveAll(b.profile)
	}
}

// Person is a window with cookies of its own.
type Person struct {
	browser *Browser
	ctx     context.Context
	close   context.CancelFunc
	// cookies is where the browser keeps them apart.
	cookies cdp.BrowserContextID

	mu       sync.Mutex
	problems []string
}

// Person opens a window for another person, who has no cookies yet.
func (b *Browser) Person() (*Person, error) {
	// A context without a window has no place for a tab.
	var window target.ID
	c := chromedp.FromContext(b.ctx)
	own := cdp.WithExecutor(b.ctx, c.Browser)
	cookies, err := target.CreateBrowserContext().WithDisposeOnDetach(true).Do(own)
	if err == nil {
		window, err = target.CreateTarget("about:blank").WithBrowserContextID(cookies).WithNewWindow(true).Do(own)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot open a window: %w", err)
	}
	p := &Person{browser: b, cookies: cookies}
	p.ctx, p.close = chromedp.NewContext(b.ctx, chromedp.WithTargetID(window))
	chromedp.ListenTarget(p.ctx, p.hear)
	if err := chromedp.Run(p.ctx, log.Enable(), runtime.Enable(), network.Enable()); err != nil {
		p.close()
		return nil, fmt.Errorf("cannot open a window: %w", err)
	}
	return p, nil
}

// Close closes the window.
func (p *Person) Close() { p.close() }

// hear keeps what a developer would see in red.
func (p *Person) hear(event any) {
	var problem string
	switch e := event.(type) {
	case *log.EventEntryAdded:
		// Of the network are the statuses of answers, good and bad.
		if e.Entry.Level == log.LevelError && e.Entry.Source != log.SourceNetwork {
			problem = e.Entry.Text + " " + e.Entry.URL
		}
	case *runtime.EventExceptionThrown:
		problem = e.ExceptionDetails.Error()
	}
	if problem == "" {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.problems = append(p.problems, problem)
}

// Problems returns the errors that pages have had since it was last called, such
// as what their policy forbids.
func (p *Person) Problems() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	problems := p.problems
	p.problems = nil
	return problems
}

func (p *Person) run(ctx context.Context, what string, actions ...chromedp.Action) error {
	step, cancel := context.WithTimeout(p.ctx, stepTimeout)
	defer cancel()
	defer context.AfterFunc(ctx, cancel)()
	if err := chromedp.Run(step, actions...); err != nil {
		at, _ := p.URL(ctx)
		return fmt.Errorf("cannot %s at %s: %w", what, at, err)
	}
	return nil
}

// Dark asks pages for their dark colours from now on.
func (p *Person) Dark(ctx context.Context) error {
	return p.run(ctx, "turn off the light", emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: "dark"}}))
}

// Open goes to a URL and waits until a page has loaded, wherever that leads.
func (p *Person) Open(ctx context.Context, url string) error {
	return p.run(ctx, "open "+url, chromedp.Navigate(url))
}

// URL returns where the window is.
func (p *Person) URL(ctx context.Context) (string, error) {
	step, cancel := context.WithTimeout(p.ctx, stepTimeout)
	defer cancel()
	defer context.AfterFunc(ctx, cancel)()
	var url string
	return url, chromedp.Run(step, chromedp.Location(&url))
}

// WaitURL waits until the window is at a URL that starts so.
func (p *Person) WaitURL(ctx context.Context, prefix string) error {
	return p.WaitTrue(ctx, fmt.Sprintf("location.href.startsWith(%q) && document.readyState === 'complete'", prefix))
}

// WaitTrue waits until a JavaScript expression is true on the page.
func (p *Person) WaitTrue(ctx context.Context, expression string) error {
	ctx, cancel := context.WithTimeout(ctx, stepTimeout)
	defer cancel()
	for {
		// A page that is being left has no answer.
		var yes bool
		err := p.run(ctx, "wait", chromedp.Evaluate("Boolean("+expression+")", &yes))
		if err == nil && yes {
			return nil
		}
		select {
		case <-ctx.Done():
			at, _ := p.URL(p.ctx)
			text, _ := p.Text(p.ctx, "body")
			return fmt.Errorf("waited in vain for %s: %w (at %s, which says %q)", expression, errors.Join(ctx.Err(), err), at, text)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// Text returns the text of the first element that a CSS selector finds, as soon
// as it is there.
func (p *Person) Text(ctx context.Context, selector string) (string, error) {
	var text string
	err := p.run(ctx, "read "+selector, chromedp.Text(selector, &text, chromedp.ByQuery))
	return strings.TrimSpace(text), err
}

// Fill types into a field.
func (p *Person) Fill(ctx context.Context, selector, text string) error {
	return p.run(ctx, "fill in "+selector, chromedp.WaitVisible(selector, chromedp.ByQuery), chromedp.Clear(selector, chromedp.ByQuery),
		chromedp.SendKeys(selector, text, chromedp.ByQuery))
}

// Click clicks on an element as soon as it can be seen.
func (p *Person) Click(ctx context.Context, selector string) error {
	return p.run(ctx, "click "+selector, chromedp.Click(selector, chromedp.ByQuery, chromedp.NodeVisible))
}

// Evaluate runs JavaScript on the page and decodes its result, waiting for it if
// it is a promise.
func (p *Person) Evaluate(ctx context.Context, expression string, result any) error {
	return p.run(ctx, "evaluate", chromedp.Evaluate(expression, result, func(params *runtime.EvaluateParams) *runtime.EvaluateParams {
		return params.WithAwaitPromise(true)
	}))
}

// Cookie returns a cookie of the window; nil if there is none.
func (p *Person) Cookie(ctx context.Context, name string) (*network.Cookie, error) {
	var found *network.Cookie
	err := p.run(ctx, "read cookies", chromedp.ActionFunc(func(ctx context.Context) error {
		cookies, err := storage.GetCookies().WithBrowserContextID(p.cookies).Do(cdp.WithExecutor(ctx, chromedp.FromContext(ctx).Browser))
		for _, c := range cookies {
			if c.Name == name {
				found = c
			}
		}
		return err
	}))
	return found, err
}

// Screenshot saves what the window shows as NAME.png among the artefacts.
func (p *Person) Screenshot(ctx context.Context, name string) error {
	if p.browser.options.Artefacts == "" {
		return nil
	}
	var png []byte
	if err := p.run(ctx, "take a picture", chromedp.CaptureScreenshot(&png)); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(p.browser.options.Artefacts, name+".png"), png, 0o644)
}
