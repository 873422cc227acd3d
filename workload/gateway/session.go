package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"

	"github.com/juju/juju/rpc/params"

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

func (s *session) reply(id uint64, result any) error {
	return s.client.WriteJSON(rpc.Reply{RequestID: id, Response: result})
}

func (s *session) refuse(id uint64, code, message string) bool {
	return rpc.WriteError(s.client, id, &rpc.Error{Code: code, Message: message}) == nil
}

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
	unwritten := s.recordReply(req.RequestID, req.Type, req.Version, req.ID, req.Method, "", "")
	if user == nil {
		if unwritten != nil {
			_ = rpc.WriteError(s.client, req.RequestID, unwritten)
			return
		}
		if result == nil {
			result = struct{}{}
		}
		_ = s.reply(req.RequestID, result)
	}
}

// admit returns a user, with the reply sent, for a completed login.
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
	return nil, user, s.reply(req.RequestID, login)
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

// remove forgets a request. s.mu must be held.
func (s *session) remove(c *call) {
	delete(s.pending, c.id)
	if c.size > 0 {
		s.retained -= c.size
		c.drop()
	}
	s.room.Signal()
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

// record takes a request to the audit log.
func (s *session) record(id uint64, facade string, version int, object, method string, raw json.RawMessage) error {
	if s.g.Recorder == nil {
		return nil
	}
	user, model := s.names()
	return s.g.Recorder.Record(s.ctx, estate.AuditEvent{
		Time: s.g.Now(), ConversationID: s.conversation, MessageID: id,
		Facade: facade, Method: method, Version: version, ObjectID: object,
		User: user, Model: s.modelUUID, ModelName: model, Params: raw,
	})
}

// recordReply takes a reply to the audit log.
func (s *session) recordReply(id uint64, facade string, version int, object, method, errText, code string) error {
	if s.g.Recorder == nil {
		return nil
	}
	user, model := s.names()
	return s.g.Recorder.Record(s.ctx, estate.AuditEvent{
		Time: s.g.Now(), ConversationID: s.conversation, MessageID: id,
		Facade: facade, Method: method, Version: version, ObjectID: object,
		User: user, Model: s.modelUUID, ModelName: model, IsResponse: true, Error: errText, ErrorCode: code,
	})
}

// finished says how a request that was forwarded has ended; its error takes the
// place of the reply.
func (s *session) finished(c *call, errText, code string) (unwritten error) {
	if c.audit {
		unwritten = s.recordReply(c.id, c.facade, c.version, c.object, c.method, errText, code)
	}
	if c.replied != nil {
		c.replied(code)
	}
	return unwritten
}

// names are the user's and the model's, empty before the login.
func (s *session) names() (user, model string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.user.Name, s.modelName
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
