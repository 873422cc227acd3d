package gateway

import (
	"encoding/json"
	"errors"

	"github.com/gorilla/websocket"

	"jimm/workload/estate"
	"jimm/workload/rpc"
)

// pump takes the replies of the primary connection to the client until it ends,
// and then ends the session: what was asked there has been lost.
func (s *session) pump(primary *link) {
	err := s.replies(primary)
	if s.ctx.Err() == nil && !errors.Is(err, errClient) {
		s.fail(primary, err)
		s.client.CloseWith(websocket.CloseGoingAway, "controller connection lost")
	}
	s.cancel()
}

// errClient says that replies can't be handed on any more.
var errClient = errors.New("client is gone")

// replies reads a link until it ends.
func (s *session) replies(l *link) error {
	var head rpc.ReplyHead
	for {
		frame, err := l.conn.ReadFrame()
		if err != nil {
			var tooLarge *rpc.TooLargeError
			if !errors.As(err, &tooLarge) {
				return err
			}
			frame, err = tooLargeReply(tooLarge)
			if err != nil {
				return err
			}
		}
		if err := rpc.ParseReply(frame.Bytes(), &head); err != nil {
			frame.Release()
			return err
		}
		if s.answer(l, frame, &head) != nil {
			return errClient
		}
	}
}

func tooLargeReply(e *rpc.TooLargeError) (*rpc.Frame, error) {
	if e.RequestID == 0 {
		return nil, e
	}
	b, err := json.Marshal(rpc.ErrorReply(e.RequestID, &rpc.Error{Code: e.ErrorCode(), Message: "reply of the controller is too large"}))
	if err != nil {
		return nil, err
	}
	return rpc.FrameOf(b), nil
}

// answer hands one reply on. Its error is that of the client's connection.
func (s *session) answer(l *link, frame *rpc.Frame, head *rpc.ReplyHead) error {
	s.mu.Lock()
	c, ok := s.pending[head.RequestID]
	if !ok || c.link != l {
		// To our own ping, or to nothing that was asked here.
		s.mu.Unlock()
		frame.Release()
		return nil
	}
	if c.replay != nil {
		replay := c.replay
		c.replay = nil
		s.mu.Unlock()
		replay <- frame
		return nil
	}
	if c.size > 0 && wantsAccess(frame.Bytes(), head) {
		c.widening = true
		s.tasks.Add(1)
		s.mu.Unlock()
		go func() {
			defer s.tasks.Done()
			s.widen(c, l, frame)
		}()
		return nil
	}
	s.answering.Add(1)
	defer s.answered()
	s.remove(c)
	s.mu.Unlock()

	out := frame.Bytes()
	if l.number != 0 {
		out = l.markObjects(out)
	}
	err := s.hand(c, out, head)
	frame.Release()
	return err
}

// hand gives the client the reply to a request that was forwarded.
func (s *session) hand(c *call, out []byte, head *rpc.ReplyHead) error {
	if err := s.finished(c, head.Error, head.ErrorCode); err != nil {
		return rpc.WriteError(s.client, c.id, err)
	}
	return s.client.WriteFrame(out)
}

// fail answers all requests whose replies will not come any more because their
// link ended.
func (s *session) fail(l *link, cause error) {
	var lost []*call
	s.mu.Lock()
	for _, c := range s.pending {
		if c.link != l {
			continue
		}
		if c.replay != nil {
			close(c.replay)
			c.replay = nil
			continue
		}
		if c.widening {
			continue // widen answers
		}
		s.remove(c)
		lost = append(lost, c)
	}
	name, user := s.route.Controller.Name, s.user.Name
	s.mu.Unlock()
	s.g.Log.InfoContext(s.ctx, "connection to controller lost", "controller", name, "user", user, "error", cause)
	for _, c := range lost {
		s.lost(c)
	}
}

// lost answers a request whose reply will not come.
func (s *session) lost(c *call) {
	err := connectionLost(s.route.Controller.Name)
	_ = s.finished(c, err.Message, err.Code)
	_ = rpc.WriteError(s.client, c.id, err) // the reader sees that the client is gone
}

func connectionLost(controller string) *estate.Error {
	return estate.Errorf(estate.CodeConnectionFailed, "connection to controller %q was lost", controller)
}
