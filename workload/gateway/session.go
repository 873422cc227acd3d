package gateway

import (
	"context"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"

	"jimm/workload/estate"
	"jimm/workload/logging"
	"jimm/workload/rpc"
)

const (
	// maxLogins is how many Admin requests of one connection are handled at once.
	maxLogins = 10
	// maxPending is how many requests of one connection may wait for a reply,
	// and maxRetained how many bytes of them are kept; beyond that the client's
	// next requests are not read.
	maxPending  = 10_000
	maxRetained = 128 << 20
	// ownIDs is where the request-ids begin that the gateway uses itself.
	ownIDs = 1 << 62
)

// session is one client's connection to one model.
type session struct {
	g            *Gateway
	client       *rpc.Conn
	modelUUID    string
	admission    Admission
	address      string
	conversation string

	ctx    context.Context
	cancel context.CancelFunc
	// tasks are the goroutines of the session beside the client's reader.
	tasks sync.WaitGroup
	// logins holds a token for each Admin request under way.
	logins chan struct{}
	// loginMu is held while a login is completed.
	loginMu sync.Mutex
	// turnedAway is why somebody who could log in did not get to the model.
	turnedAway error

	mu sync.Mutex
	// user, route and primary are set by the login and stay.
	user    estate.User
	route   estate.Route
	primary *link
	// leave is called when the session is over; the login sets it.
	leave func()
	// hold is on what the links claim; the login sets it, if there are any.
	hold    *estate.Hold
	pending map[uint64]*call
	// retained is the size of the requests in pending, in bytes.
	retained int
	// room is signalled when pending shrinks and the reader waits for it.
	room *sync.Cond
	// modelName is owner/name of the model at the login.
	modelName string
	// ended is set when the session is over.
	ended bool
	wide  wideLinks

	// answering counts replies that are being written, and logins under way;
	// retiring is set when somebody waits for it to be 0.
	answering atomic.Int64
	retiring  atomic.Bool
}

func newSession(ctx context.Context, g *Gateway, conn *rpc.Conn, modelUUID string, admission Admission, address string) *session {
	s := &session{
		g: g, client: conn, modelUUID: modelUUID, admission: admission, address: address,
		conversation: g.NewID(),
		logins:       make(chan struct{}, maxLogins),
		pending:      make(map[uint64]*call),
	}
	s.room = sync.NewCond(&s.mu)
	s.ctx, s.cancel = context.WithCancel(logging.With(ctx, "connection", s.conversation, "model", modelUUID))
	return s
}

// run reads the client's frames until either side ends the connection.
func (s *session) run() {
	loginTimer := time.AfterFunc(s.g.LoginTimeout, func() {
		if s.controller() == nil {
			s.client.CloseWith(websocket.ClosePolicyViolation, "not logged in for too long")
		}
	})
	stop := context.AfterFunc(s.ctx, func() {
		s.client.CloseWith(websocket.CloseGoingAway, "")
		s.wake()
	})
	stopDraining := context.AfterFunc(s.g.draining, s.client.StopReading)
	s.read()
	stopDraining()
	loginTimer.Stop()
	stop()
	s.cancel()
	s.end()
	s.tasks.Wait()
	for _, c := range s.pending { // the client has left before the reply
		if c.replied != nil {
			c.replied(estate.CodeConnectionFailed)
		}
	}
}

// end closes everything the session holds. The client's own connection was
// closed by whoever ended the session, or is now.
func (s *session) end() {
	s.mu.Lock()
	s.ended = true
	links, leave, hold := s.links(), s.leave, s.hold
	s.mu.Unlock()
	if hold != nil {
		hold.Release()
	}
	if leave != nil {
		leave()
	}
	s.room.Broadcast()
	_ = s.client.Close()
	for _, l := range links {
		_ = l.conn.Close()
	}
}

// wake lets a reader that waits for room see that the session is over.
func (s *session) wake() {
	s.mu.Lock()
	s.ended = true
	s.mu.Unlock()
	s.room.Broadcast()
}

// links returns all connections to the controller. s.mu must be held.
func (s *session) links() []*link {
	links := append([]*link(nil), s.wide.links...)
	if s.primary != nil {
		links = append(links, s.primary)
	}
	return links
}

// controller returns the connection the login opened, nil before that.
func (s *session) controller() *link {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.primary
}

func (s *session) read() {
	var req rpc.Request
	for {
		frame, err := s.client.ReadFrame()
		if err != nil {
			var tooLarge *rpc.TooLargeError
			if errors.As(err, &tooLarge) {
				if rpc.WriteError(s.client, tooLarge.RequestID, tooLarge) != nil {
					return
				}
				continue
			}
			if errors.Is(err, rpc.ErrStopped) {
				s.retire()
				return
			}
			if err != io.EOF {
				s.g.Log.DebugContext(s.ctx, "client connection ended", "error", err)
			}
			return
		}
		if s.g.draining.Err() != nil { // and it was read before the connection was told
			frame.Release()
			s.retire()
			return
		}
		if err := rpc.ParseRequest(frame.Bytes(), &req); err != nil {
			frame.Release()
			if !rpc.RefuseRequest(s.client, err) {
				return
			}
			continue
		}
		if !s.request(frame, &req) {
			return
		}
	}
}

// retire ends the session when what the client has asked for is answered. What
// only waits for something to happen does not count.
func (s *session) retire() {
	s.mu.Lock()
	s.retiring.Store(true)
	for (s.retained > 0 || s.answering.Load() > 0) && !s.ended {
		s.room.Wait()
	}
	ended := s.ended
	s.mu.Unlock()
	if !ended {
		s.client.Retire(websocket.CloseGoingAway, rpc.Restarting)
	}
}

// answered says that a reply that was counted in answering has been written.
func (s *session) answered() {
	if s.answering.Add(-1) == 0 && s.retiring.Load() {
		s.mu.Lock()
		s.room.Broadcast()
		s.mu.Unlock()
	}
}

func (s *session) reply(id uint64, result any) error {
	return s.client.WriteJSON(rpc.Reply{RequestID: id, Response: result})
}

func (s *session) refuse(id uint64, code, message string) bool {
	return rpc.WriteError(s.client, id, &rpc.Error{Code: code, Message: message}) == nil
}

// accessLost ends the session because its user has lost access that a link was
// opened with. Nothing more of the client's reaches the controller.
func (s *session) accessLost() {
	s.wake()
	s.client.CloseWith(websocket.ClosePolicyViolation, AccessLost)
}

func (s *session) maxFrame() int {
	if n := s.g.Options.MaxFrame; n > 0 {
		return n
	}
	return rpc.MaxFrame
}

// names are the user's and the model's, empty before the login.
func (s *session) names() (user, model string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.user.Name, s.modelName
}
