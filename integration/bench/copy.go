package main

import (
	"crypto/tls"
	"errors"
	"flag"
	"net"
	"net/http"

	"github.com/gorilla/websocket"

	"jimm/workload/juju"
)

// runCopy is the bare copy: what it gets it passes on, both ways.
func runCopy(args []string) error {
	flags := flag.NewFlagSet("process-copy", flag.ContinueOnError)
	certificate := flags.String("certificate", "", "")
	if err := flags.Parse(args); err != nil {
		return err
	}
	config, err := serverTLS(*certificate)
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	var to controllerFacts
	var client *tls.Config
	upgrader := websocket.Upgrader{}
	// From here on are the thirty lines that are the floor.
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		dialer := websocket.Dialer{TLSClientConfig: client}
		back, _, err := dialer.DialContext(r.Context(), "wss://"+to.Address+r.URL.Path, nil)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		defer back.Close()
		front, err := upgrader.Upgrade(w, r, nil)
		if err != nil {
			return
		}
		defer front.Close()
		pump := func(from, to *websocket.Conn) {
			defer to.Close()
			for {
				kind, message, err := from.ReadMessage()
				if err != nil || to.WriteMessage(kind, message) != nil {
					return
				}
			}
		}
		go pump(back, front)
		pump(front, back)
	})
	server := serveUntilClosed(tls.NewListener(l, config), handler)
	defer server.Close()
	return obey(answer{Address: l.Addr().String()}, func(o order) (answer, error) {
		if o.Register == nil {
			return answer{}, errors.New("cannot do that")
		}
		to = *o.Register
		// The settings that JIMM uses, so that both have the same TLS.
		var err error
		client, err = (&juju.Dialer{}).TLSConfig(to.controller())
		return answer{}, err
	})
}
