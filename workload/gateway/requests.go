package gateway

import (
	"strconv"
	"strings"

	"jimm/workload/estate"
	"jimm/workload/rpc"
)

// call is a request that waits for its reply.
type call struct {
	id             uint64
	facade, method string
	version        int
	object         string
	frame          *rpc.Frame
	// size is what the frame counts in retained: 0 where the request need not be
	// kept for a replay.
	size int
	// holders are who still needs the frame: pending, and forward while it
	// writes. The last one releases it.
	holders int
	// link is where the reply is awaited from.
	link *link
	// replay gets the reply, in place of the client, while widening.
	replay          chan *rpc.Frame
	widening, audit bool
	// replied is told the code of the reply, where somebody wants it.
	replied func(code string)
}

// drop gives up one hold on the frame. The session's mu must be held.
func (c *call) drop() {
	if c.holders--; c.holders == 0 {
		c.frame.Release()
	}
}

// request takes one request, and the frame it is part of, and reports whether
// the session goes on.
func (s *session) request(frame *rpc.Frame, req *rpc.Request) bool {
	if req.RequestID >= ownIDs {
		frame.Release()
		return s.refuse(req.RequestID, estate.CodeBadRequest, "request-id is too large")
	}
	primary := s.controller()
	if primary == nil {
		return s.beforeLogin(frame, req)
	}
	switch {
	case req.Type == "Admin":
		// As Juju: who is logged in has no Admin facade any more.
		frame.Release()
		return s.refuse(req.RequestID, estate.CodeNotImplemented,
			"unknown version "+strconv.Itoa(req.Version)+" for facade type \"Admin\"")
	case req.Type == "HighAvailability" && req.Method == "ControllerDetails" && req.Version >= 3:
		// The debug-log command of Juju 4 asks who the controllers are and dials
		// each, but without the login of JAAS: it could not come back through us.
		// On this code it dials as it has before (cmd/juju/commands/debuglog.go).
		defer frame.Release()
		if err := s.record(req.RequestID, req.Type, req.Version, req.ID, req.Method, req.Params); err != nil {
			return rpc.WriteError(s.client, req.RequestID, err) == nil
		}
		return s.refuse(req.RequestID, estate.CodeNotSupported, "the controllers behind JIMM are reached through it")
	}
	return s.forward(primary, frame, req)
}

// forward sends a request to the controller and remembers it until its reply.
func (s *session) forward(primary *link, frame *rpc.Frame, req *rpc.Request) bool {
	out := frame.Bytes()
	l := primary
	ping := req.Type == "Pinger" && req.Method == "Ping"
	waits := req.ID != "" && req.Method == "Next"
	c := &call{
		id: req.RequestID, facade: req.Type, method: req.Method, version: req.Version, object: req.ID,
		audit: s.g.Recorder != nil && !ping && !waits,
	}

	s.mu.Lock()
	for (len(s.pending) >= maxPending || s.retained > 0 && s.retained+frame.Len() > maxRetained) && !s.ended {
		s.room.Wait()
	}
	if s.ended {
		s.mu.Unlock()
		frame.Release()
		return false
	}
	if _, ok := s.pending[c.id]; ok {
		s.mu.Unlock()
		frame.Release()
		return s.refuse(c.id, estate.CodeBadRequest, "request-id is in use by a request that has no reply yet")
	}
	if s.wide.used {
		if n, id, ok := parseObjectID(req.ID); ok {
			l = s.wide.byNumber(n)
			if l == nil {
				s.mu.Unlock()
				frame.Release()
				return s.refuse(c.id, estate.CodeNotFound, "unknown watcher id")
			}
			inner := *req
			inner.ID = id
			out = rpc.AppendRequest(nil, &inner)
		} else if preferred := s.wide.preferred(req.Type, req.Method); preferred != nil {
			l = preferred
		}
	}
	c.link, c.frame, c.holders = l, frame, 1
	if !ping && !waits {
		c.size = frame.Len()
		c.holders = 2
		s.retained += c.size
	}
	if s.g.Forward != nil && c.size > 0 {
		c.replied = s.g.Forward(s.ctx, req, s.modelUUID)
	}
	s.pending[c.id] = c
	var others []*link
	if ping && s.wide.used {
		others = append(others, s.wide.links...)
	}
	s.mu.Unlock()

	if c.audit {
		if err := s.record(req.RequestID, req.Type, req.Version, req.ID, req.Method, req.Params); err != nil {
			return s.unheard(c, err)
		}
	}
	err := l.conn.WriteFrame(out)
	for _, other := range others {
		// The client's sign of life is one for all its connections.
		_ = other.ping() // its reader sees if it broke
	}
	s.mu.Lock()
	c.drop()
	// Where the link ended before the request was among the pending ones, its
	// reader has not answered it.
	unanswered := err != nil && s.pending[c.id] == c
	if unanswered {
		s.remove(c)
	}
	s.mu.Unlock()
	if unanswered {
		s.lost(c)
	}
	return true
}

// unheard answers a request that is not passed on.
func (s *session) unheard(c *call, err error) bool {
	s.mu.Lock()
	c.drop()
	waiting := s.pending[c.id] == c // else its link has ended, and it was answered
	if waiting {
		s.remove(c)
	}
	s.mu.Unlock()
	if !waiting {
		return true
	}
	if c.replied != nil {
		c.replied(estate.CodeOf(err))
	}
	return rpc.WriteError(s.client, c.id, err) == nil
}

// remove forgets a request. s.mu must be held.
func (s *session) remove(c *call) {
	delete(s.pending, c.id)
	if c.size > 0 {
		s.retained -= c.size
		c.drop()
	}
	s.room.Signal()
}

// objectPrefix begins the ids of watchers that live on a wide connection.
const objectPrefix = "jimm-"

// parseObjectID takes an id that markObjects made apart.
func parseObjectID(id string) (number int, inner string, ok bool) {
	rest, ok := strings.CutPrefix(id, objectPrefix)
	if !ok {
		return 0, "", false
	}
	digits, inner, ok := strings.Cut(rest, "-")
	if !ok {
		return 0, "", false
	}
	number, err := strconv.Atoi(digits)
	return number, inner, err == nil && number > 0
}
