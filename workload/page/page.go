// Package page has what all pages that JIMM shows people share: their looks, the
// headers that keep a browser from doing with them what they are not for, and a
// page that says what has happened.
package page

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"html/template"
	"net/http"
	"strings"
)

var (
	//go:embed style.css
	styleCSS string
	//go:embed frame.html
	frameHTML string
)

// Policy is the Content-Security-Policy of a page that loads nothing but its own
// style. What the page does beyond that is added after a semicolon.
var Policy = "default-src 'none'; style-src " + Hash(styleCSS) + "; base-uri 'none'; frame-ancestors 'none'"

// Hash is the source expression of a policy that lets in this text, as a style
// or script within the page.
func Hash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

// Templates returns templates for pages of the same looks: within the text, the
// templates head and foot begin and end a page, whose data has a Title and an
// Error, either perhaps empty.
func Templates(text string) *template.Template {
	t := template.New("").Funcs(template.FuncMap{"style": func() template.CSS { return template.CSS(styleCSS) }})
	return template.Must(template.Must(t.Parse(frameHTML)).Parse(text))
}

// Protect sets the headers of an answer that is for one person and not to be
// used by pages of others.
func Protect(h http.Header) {
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "same-origin") // with none at all, forms have no origin
	h.Set("Cache-Control", "no-store")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
}

// Show answers with a page of a template.
func Show(w http.ResponseWriter, status int, policy string, t *template.Template, name string, data any) error {
	var text bytes.Buffer
	if err := t.ExecuteTemplate(&text, name, data); err != nil {
		http.Error(w, "cannot show this page", http.StatusInternalServerError)
		return err
	}
	h := w.Header()
	Protect(h)
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Frame-Options", "DENY") // for browsers that do not know frame-ancestors
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	w.WriteHeader(status)
	_, _ = text.WriteTo(w) // a browser that has gone away misses nothing
	return nil
}

// Wanted reports whether who sent a request would rather see a page than text.
func Wanted(r *http.Request) bool {
	return strings.Contains(r.Header.Get("Accept"), "text/html")
}
