// Package standin is a hook-service for tests: a gRPC server that knows the
// groups of people.
package standin

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// Answer says what a user is told: the messages of the stream, and then an
// error or none. ctx ends when the asker goes away.
type Answer func(ctx context.Context, user string) ([]proto.Message, error)

// Groups answers with a message for each group of those who are known, and
// NotFound for all others.
func Groups(of map[string][]string) Answer {
	return func(_ context.Context, user string) ([]proto.Message, error) {
		groups, ok := of[user]
		if !ok {
			return nil, status.Error(codes.NotFound, "no such user")
		}
		var messages []proto.Message
		for _, group := range groups {
			messages = append(messages, wrapperspb.String(group))
		}
		return messages, nil
	}
}

// Service is one that runs.
type Service struct {
	// Address is host:port.
	Address string

	stop func() error

	mu     sync.Mutex
	answer Answer
	bearer []string
}

// Start starts one on a free port, or on the address of one that was stopped;
// config is nil without TLS.
func Start(address string, config *tls.Config, answer Answer) (*Service, error) {
	if address == "" {
		address = "127.0.0.1:0"
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, err
	}
	secure := insecure.NewCredentials()
	if config != nil {
		secure = credentials.NewTLS(config)
	}
	s := &Service{Address: l.Addr().String(), answer: answer}
	server := grpc.NewServer(grpc.Creds(secure))
	server.RegisterService(&grpc.ServiceDesc{
		ServiceName: "hook.groups.v1.GroupsMappingService",
		HandlerType: (*any)(nil),
		Streams:     []grpc.StreamDesc{{StreamName: "GetGroupsForUser", Handler: s.serve, ServerStreams: true}},
	}, s)
	done := make(chan error, 1)
	go func() { done <- server.Serve(l) }()
	s.stop = sync.OnceValue(func() error {
		server.Stop()
		if err := <-done; !errors.Is(err, grpc.ErrServerStopped) {
			return err
		}
		return nil
	})
	return s, nil
}

func (s *Service) serve(_ any, stream grpc.ServerStream) error {
	var user wrapperspb.StringValue
	if err := stream.RecvMsg(&user); err != nil {
		return err
	}
	asker, _ := metadata.FromIncomingContext(stream.Context())
	s.mu.Lock()
	answer := s.answer
	s.bearer = append(s.bearer, asker.Get("authorization")...)
	s.mu.Unlock()
	messages, err := answer(stream.Context(), user.GetValue())
	for _, m := range messages {
		if err := stream.SendMsg(m); err != nil {
			return err
		}
	}
	return err
}

// Set changes what is answered.
func (s *Service) Set(answer Answer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer = answer
}

// Bearer returns what was shown as authorization, in order.
func (s *Service) Bearer() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.bearer...)
}

// Stop stops it, at once.
func (s *Service) Stop() error { return s.stop() }
