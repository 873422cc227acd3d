package gateway

import (
	"context"
	"errors"
	"io"

	"github.com/gorilla/websocket"

	"github.com/juju/juju/rpc/params"

	"jimm/workload/estate"
	"jimm/workload/rpc"
)

// beforeLogin answers what may be asked before a login. Nothing of it reaches
// a controller.
func (s *session) beforeLogin(frame *rpc.Frame, req *rpc.Request) bool {
	switch {
	case req.Type == "Pinger" && req.Method == "Ping":
		frame.Release()
		return s.reply(req.RequestID, struct{}{}) == nil
	case req.Type != "Admin":
		frame.Release()
		return s.refuse(req.RequestID, estate.CodeUnauthorized, "not logged in")
	}
	select {
	case s.logins <- struct{}{}:
	default:
		frame.Release()
		return s.refuse(req.RequestID, params.CodeTryAgain, "too many requests before the login")
	}
	admin := *req
	waits := admin.Method == "GetDeviceSessionToken" // for a person
	if !waits {
		s.answering.Add(1)
	}
	s.tasks.Go(func() {
		defer func() { <-s.logins }()
		if waits {
			defer s.client.Ask()()
		} else {
			defer s.answered()
		}
		defer frame.Release()
		s.admin(&admin)
	})
	return true
}

// admin answers one Admin request, and completes the login if it was one that
// succeeded.
func (s *session) admin(req *rpc.Request) {
	if err := s.record(req.RequestID, req.Type, req.Version, req.ID, req.Method, req.Params); err != nil {
		_ = rpc.WriteError(s.client, req.RequestID, err) // the reader sees that the client is gone
		return
	}
	ctx, admitted := s.g.Observe(s.ctx, s.modelUUID)
	result, user, err := s.admit(ctx, req)
	admitted(err)
	if err != nil {
		var coded interface{ ErrorCode() string }
		if !errors.As(err, &coded) && s.ctx.Err() == nil {
			s.g.Log.ErrorContext(s.ctx, "cannot answer admin request", "method", req.Method, "request", req.RequestID, "error", err)
		}
		reply := rpc.ErrorReply(req.RequestID, err)
		_ = s.recordReply(req.RequestID, req.Type, req.Version, req.ID, req.Method, reply.Error, reply.ErrorCode)
		_ = s.client.WriteJSON(reply) // the reader sees that the client is gone
		return
	}
	if unwritten := s.recordReply(req.RequestID, req.Type, req.Version, req.ID, req.Method, "", ""); unwritten != nil {
		_ = rpc.WriteError(s.client, req.RequestID, unwritten)
		if user != nil { // who believes not to be logged in is not
			s.client.CloseWith(websocket.CloseTryAgainLater, "the login cannot be recorded")
		}
		return
	}
	if result == nil {
		result = struct{}{}
	}
	_ = s.reply(req.RequestID, result)
}

// admit does what an Admin request asks for; it returns a user for a completed
// login.
func (s *session) admit(ctx context.Context, req *rpc.Request) (any, *estate.User, error) {
	result, user, err := s.admission.Handle(ctx, req.Version, req.Method, req.Params)
	if err == nil && user == nil {
		return result, nil, nil
	}
	s.loginMu.Lock()
	defer s.loginMu.Unlock()
	if estate.Is(err, estate.CodeSessionTokenInvalid) && s.turnedAway != nil {
		// After any error of a login by client credentials Juju 4 tries a session
		// token, though it has none, and would ask its user to log in as a person.
		return nil, nil, s.turnedAway
	}
	if err != nil {
		return nil, nil, err
	}
	if s.controller() != nil {
		return nil, nil, estate.Errorf(estate.CodeBadRequest, "already logged in")
	}
	route, err := s.g.Models.Route(ctx, *user, s.modelUUID)
	if err != nil {
		s.turnedAway = err
		return nil, nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, s.g.DialTimeout)
	defer cancel()
	conn, raw, err := s.g.Dialer.DialModel(ctx, route, *user, route.Claims)
	if err != nil {
		s.turnedAway = err
		return nil, nil, err
	}
	login, err := s.g.loginResult(raw, s.address)
	if err != nil {
		_ = conn.Close()
		return nil, nil, err
	}
	var leave func()
	if s.g.Sessions != nil {
		leave, err = s.g.Sessions.Attend(ctx, *user, func() { s.client.CloseWith(websocket.ClosePolicyViolation, SessionOver) })
		if err != nil {
			_ = conn.Close()
			return nil, nil, err
		}
	}
	primary := &link{conn: conn, claims: route.Claims}
	s.mu.Lock()
	if s.ended {
		s.mu.Unlock()
		if leave != nil {
			leave()
		}
		conn.Abort()
		return nil, nil, io.EOF
	}
	s.user, s.route, s.primary, s.leave = *user, route, primary, leave
	s.modelName = route.Model.Path()
	if s.g.Holds != nil {
		s.hold = s.g.Holds.Hold(*user, route, route.Claims, s.accessLost)
	}
	s.mu.Unlock()
	s.client.SetMaxFrame(s.maxFrame())
	s.tasks.Go(func() { s.pump(primary) })
	return login, user, nil
}
