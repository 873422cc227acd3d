// Package hookservice asks Canonical's hook-service which groups somebody is in
// at the identity provider, where no token says so. It speaks gRPC:
//
//	hook.groups.v1.GroupsMappingService/GetGroupsForUser
//
// with one message to it, whose field 1 is the user, and a stream of messages
// from it, whose field 1 is a group, or several.
package hookservice

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"jimm/workload/estate"
)

const method = "/hook.groups.v1.GroupsMappingService/GetGroupsForUser"

// defaultTimeout bounds a look-up, with the token for it.
const defaultTimeout = 5 * time.Second

// Config says where the service is and as whom it is asked.
type Config struct {
	// Address is host:port. Plain is without TLS.
	Address string
	Plain   bool
	// Roots are trusted in it; nil: the system's.
	Roots func() *x509.CertPool
	// Issuer gives the token that the service wants to see, for client credentials.
	Issuer, ClientID, ClientSecret string
	Scopes                         []string
	// SecretInForm sends the secret as client_secret_post does.
	SecretInForm bool
	// HTTPClient talks to the issuer; nil means a plain one.
	HTTPClient *http.Client
	// Timeout bounds a look-up (default 5 s).
	Timeout time.Duration
}

// Client asks the service. It is safe for concurrent use.
type Client struct {
	config Config

	mu    sync.Mutex
	token *oauth2.Token
}

// New returns a client. Nothing is asked yet.
func New(c Config) *Client {
	if c.Timeout <= 0 {
		c.Timeout = defaultTimeout
	}
	if c.HTTPClient == nil {
		c.HTTPClient = &http.Client{}
	}
	return &Client{config: c}
}

// GroupsOf implements estate.IdPGroups.
func (c *Client) GroupsOf(ctx context.Context, userName string) ([]string, error) {
	bounded, cancel := context.WithTimeout(ctx, c.config.Timeout)
	defer cancel()
	groups, err := c.ask(bounded, userName)
	if status.Code(err) == codes.Unauthenticated {
		// The token may have been withdrawn, or its keys.
		c.forget()
		groups, err = c.ask(bounded, userName)
	}
	if err == nil {
		return groups, nil
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	return nil, &estate.Error{
		Code: estate.CodeConnectionFailed,
		Message: fmt.Sprintf("cannot tell which groups %s is in at the identity provider: hook-service, which knows them, does not answer as it should; "+
			"try again later, or tell the administrator of JIMM", userName),
		Cause: fmt.Errorf("hook-service at %s: %w", c.config.Address, err),
	}
}

// Ping makes sure that the service answers, whatever it knows of a user.
func (c *Client) Ping(ctx context.Context) error {
	_, err := c.GroupsOf(ctx, "jimm-health-check@serviceaccount")
	var failed *estate.Error
	if errors.As(err, &failed) {
		return failed.Cause
	}
	return err
}

// ask asks once. It makes a connection of its own: look-ups are few, and none
// then waits on a connection whose other end is gone.
func (c *Client) ask(ctx context.Context, userName string) ([]string, error) {
	token, err := c.bearer(ctx)
	if err != nil {
		return nil, err
	}
	secure := insecure.NewCredentials()
	if !c.config.Plain {
		config := &tls.Config{MinVersion: tls.VersionTLS12}
		if c.config.Roots != nil {
			config.RootCAs = c.config.Roots()
		}
		secure = credentials.NewTLS(config)
	}
	conn, err := grpc.NewClient(c.config.Address, grpc.WithTransportCredentials(secure))
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+token)
	stream, err := conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, method)
	if err != nil {
		return nil, err
	}
	// What goes wrong with sending is what receiving fails with.
	if err := stream.SendMsg(wrapperspb.String(strings.TrimSuffix(userName, "@serviceaccount"))); err == nil {
		_ = stream.CloseSend()
	}
	var groups []string
	for {
		// Of Google's types, the one whose field 1 is a list of strings.
		var answer fieldmaskpb.FieldMask
		err := stream.RecvMsg(&answer)
		switch {
		case errors.Is(err, io.EOF), status.Code(err) == codes.NotFound:
			slices.Sort(groups)
			return slices.Compact(groups), nil
		case err != nil:
			return nil, err
		}
		for _, group := range answer.GetPaths() {
			// A message in place of the text begins with such a character.
			if group == "" || strings.ContainsFunc(group, unicode.IsControl) {
				return nil, errors.New("it answers with something that is no name of a group")
			}
			groups = append(groups, group)
		}
	}
}

// bearer returns a token of the issuer, as long as it is good.
func (c *Client) bearer(ctx context.Context) (string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.token.Valid() {
		return c.token.AccessToken, nil
	}
	ctx = oidc.ClientContext(ctx, c.config.HTTPClient)
	provider, err := oidc.NewProvider(ctx, c.config.Issuer)
	if err != nil {
		return "", fmt.Errorf("no token for it: %w", err)
	}
	style := oauth2.AuthStyleInHeader
	if c.config.SecretInForm {
		style = oauth2.AuthStyleInParams
	}
	own := &clientcredentials.Config{
		ClientID: c.config.ClientID, ClientSecret: c.config.ClientSecret, TokenURL: provider.Endpoint().TokenURL, Scopes: c.config.Scopes, AuthStyle: style,
	}
	token, err := own.Token(ctx)
	var answer *oauth2.RetrieveError
	if errors.As(err, &answer) && answer.Response != nil {
		// All of the answer may quote what was sent.
		return "", fmt.Errorf("no token for it: the identity provider answers %d %s", answer.Response.StatusCode, answer.ErrorCode)
	}
	if err != nil {
		return "", fmt.Errorf("no token for it: %w", err)
	}
	c.token = token
	return token.AccessToken, nil
}

func (c *Client) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.token = nil
}
