package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"sync"

	"jimm/workload/estate"
	"jimm/workload/rpc"
)

const (
	// maxRounds is how often one request may be refused and asked again with
	// more rights.
	maxRounds = 4
	// maxWide is how many wide connections a session has at most.
	maxWide = 8
	// maxRequirements bounds how many different requirements of one bulk reply
	// are looked at.
	maxRequirements = 64
)

// wideLinks are a session's further connections to the controller, with more
// rights than the primary. The session's mu guards all but opening.
type wideLinks struct {
	// used is set by the first.
	used  bool
	links []*link
	last  int
	// by says which link a facade's method goes to because it was refused before.
	by map[[2]string]*link
	// opening is held while one is opened, so that many refusals open one.
	opening sync.Mutex
}

func (w *wideLinks) byNumber(n int) *link {
	for _, l := range w.links {
		if l.number == n {
			return l
		}
	}
	return nil
}

func (w *wideLinks) preferred(facade, method string) *link {
	return w.by[[2]string{facade, method}]
}

func (w *wideLinks) remove(l *link) {
	for i, other := range w.links {
		if other == l {
			w.links = append(w.links[:i:i], w.links[i+1:]...)
			break
		}
	}
	for pair, other := range w.by {
		if other == l {
			delete(w.by, pair)
		}
	}
}

var accessRequired = []byte(estate.CodeAccessRequired)

// wantsAccess tells cheaply whether a reply may say that access is required.
func wantsAccess(reply []byte, head *rpc.ReplyHead) bool {
	if head.Error != "" {
		return head.ErrorCode == estate.CodeAccessRequired
	}
	return bytes.Contains(reply, accessRequired)
}

// refusal is what a reply says about missing access.
type refusal struct {
	// whole is set if the request as such was refused.
	whole map[string]string
	// entries are the refused ones of results, by index, of count.
	entries map[int]map[string]string
	count   int
}

// wireError is an error inside a response (rpc/params.Error).
type wireError struct {
	Message string                     `json:"message"`
	Code    string                     `json:"code"`
	Info    map[string]json.RawMessage `json:"info"`
}

// refusalOf returns what a reply refuses, nil if nothing.
func refusalOf(reply []byte) *refusal {
	var head rpc.ReplyHead
	if rpc.ParseReply(reply, &head) != nil {
		return nil
	}
	if head.Error != "" {
		if head.ErrorCode != estate.CodeAccessRequired {
			return nil
		}
		var info map[string]json.RawMessage
		_ = json.Unmarshal(head.ErrorInfo, &info) // nothing is required then, which nobody is given
		return &refusal{whole: requirements(info)}
	}
	var body struct {
		Response struct {
			Error   *wireError        `json:"error"`
			Results []json.RawMessage `json:"results"`
		} `json:"response"`
	}
	if json.Unmarshal(reply, &body) != nil {
		return nil
	}
	if e := body.Response.Error; e != nil && e.Code == estate.CodeAccessRequired {
		return &refusal{whole: requirements(e.Info)}
	}
	r := &refusal{entries: map[int]map[string]string{}, count: len(body.Response.Results)}
	for i, raw := range body.Response.Results {
		var entry struct {
			Error *wireError `json:"error"`
		}
		if json.Unmarshal(raw, &entry) != nil || entry.Error == nil || entry.Error.Code != estate.CodeAccessRequired {
			continue
		}
		r.entries[i] = requirements(entry.Error.Info)
	}
	if len(r.entries) == 0 {
		return nil
	}
	return r
}

func requirements(info map[string]json.RawMessage) map[string]string {
	required := make(map[string]string, len(info))
	for tag, raw := range info {
		var access string
		if json.Unmarshal(raw, &access) == nil {
			required[tag] = access
		}
	}
	return required
}

// widen answers a request that the controller refused on link l for lack of
// access.
func (s *session) widen(c *call, l *link, frame *rpc.Frame) {
	out := s.resolve(c, l, frame.Bytes(), c.frame.Bytes(), 0)
	var head rpc.ReplyHead
	_ = rpc.ParseReply(out, &head) // what resolve returns was a reply before
	s.answering.Add(1)
	defer s.answered()
	s.mu.Lock()
	ended := s.ended
	s.remove(c)
	s.mu.Unlock()
	if ended {
		_ = s.finished(c, head.Error, head.ErrorCode)
	} else {
		_ = s.hand(c, out, &head) // the reader sees that the client is gone
	}
	frame.Release()
}

// resolve returns the reply for the client, to a request that was answered with
// reply on link l: the same unless it says that access is required and the user
// has that access.
func (s *session) resolve(c *call, l *link, reply, request []byte, round int) []byte {
	refused := refusalOf(reply)
	if refused == nil {
		return reply
	}
	claims, allowed := s.allowed(l, refused)
	if round >= maxRounds || len(allowed) == 0 && refused.whole == nil || refused.whole != nil && claims == nil {
		return denied(c.id, reply, refused, errDenied)
	}
	next, err := s.openWide(c, claims)
	if err != nil {
		return denied(c.id, reply, refused, err)
	}
	if refused.whole != nil || len(allowed) == refused.count {
		again, err := s.exchange(c, next, request)
		if err != nil {
			return denied(c.id, reply, refused, err)
		}
		return s.resolve(c, next, again, request, round+1)
	}
	// Some entries were done, and must not be done twice.
	part, ok := selectEntries(request, allowed, refused.count)
	if !ok {
		return denied(c.id, reply, refused, errDenied)
	}
	again, err := s.exchange(c, next, part)
	if err != nil {
		return denied(c.id, reply, refused, err)
	}
	again = s.resolve(c, next, again, part, round+1)
	return denied(c.id, mergeEntries(reply, again, allowed), refused, errDenied)
}

// allowed asks which of what was refused the user may do. It returns the claims
// for that, nil for none, and which entries they are for. What link l's own
// token already said is not asked again: the controller has refused it for
// another reason.
func (s *session) allowed(l *link, r *refusal) (estate.Claims, []int) {
	ctx, cancel := context.WithTimeout(s.ctx, s.g.DialTimeout)
	defer cancel()
	have := l.claims
	widened := false
	grant := func(required map[string]string) bool {
		if len(required) == 0 || covers(l.claims, required) {
			return false
		}
		if widened && covers(have, required) {
			return true
		}
		claims, err := s.g.Models.Widen(ctx, s.user, s.route, have, required)
		if err != nil {
			if !estate.Is(err, estate.CodeUnauthorized) && s.ctx.Err() == nil {
				s.g.Log.ErrorContext(s.ctx, "cannot check access that a controller requires", "user", s.user.Name, "error", err)
			}
			return false
		}
		have, widened = union(have, claims), true
		return true
	}
	if r.whole != nil {
		if !grant(r.whole) {
			return nil, nil
		}
		return have, nil
	}
	var entries []int
	checked := 0
	for i := range r.count {
		required, ok := r.entries[i]
		if !ok {
			continue
		}
		if checked++; checked > maxRequirements {
			break
		}
		if grant(required) {
			entries = append(entries, i)
		}
	}
	if len(entries) == 0 {
		return nil, nil
	}
	return have, entries
}

// ranks order the access words of each kind of tag.
var ranks = map[string]int{
	estate.AccessLogin: 1, estate.AccessSuperuser: 2,
	estate.AccessRead: 1, estate.AccessWrite: 2, estate.AccessConsume: 2,
	estate.AccessAddModel: 1, estate.AccessAdmin: 3,
}

// covers reports whether claims say all that is required.
func covers(claims estate.Claims, required map[string]string) bool {
	for tag, access := range required {
		have, ok := claims[tag]
		if !ok || have != access && ranks[have] < ranks[access] {
			return false
		}
	}
	return true
}

// union returns what either says, the higher where both do.
func union(a, b estate.Claims) estate.Claims {
	out := make(estate.Claims, len(a)+len(b))
	for tag, access := range a {
		out[tag] = access
	}
	for tag, access := range b {
		if ranks[access] > ranks[out[tag]] {
			out[tag] = access
		}
	}
	return out
}

// openWide returns a link with at least these claims, opening one if there is
// none, and remembers that c's method goes there.
func (s *session) openWide(c *call, claims estate.Claims) (*link, error) {
	s.wide.opening.Lock()
	defer s.wide.opening.Unlock()
	pair := [2]string{c.facade, c.method}

	s.mu.Lock()
	for _, l := range s.wide.links {
		if covers(l.claims, claims) {
			s.wide.by[pair] = l
			s.mu.Unlock()
			return l, nil
		}
	}
	// One more with all rights used so far makes the next refusal less likely.
	for _, l := range s.wide.links {
		claims = union(claims, l.claims)
	}
	if len(s.wide.links) >= maxWide && !s.dropWide() {
		s.mu.Unlock()
		return nil, estate.Errorf(estate.CodeUnauthorized, "permission denied: too many connections with different rights")
	}
	s.wide.last++
	number := s.wide.last
	s.mu.Unlock()

	ctx, cancel := context.WithTimeout(s.ctx, s.g.DialTimeout)
	defer cancel()
	conn, _, err := s.g.Dialer.DialModel(ctx, s.route, s.user, claims)
	if err != nil {
		s.g.Log.ErrorContext(s.ctx, "cannot open connection with more rights",
			"controller", s.route.Controller.Name, "user", s.user.Name, "error", err)
		return nil, err
	}
	l := &link{conn: conn, number: number, claims: claims}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		conn.Abort()
		return nil, connectionLost(s.route.Controller.Name)
	}
	if s.hold != nil {
		s.hold.Claim(claims)
	}
	s.wide.used = true
	s.wide.links = append(s.wide.links, l)
	if s.wide.by == nil {
		s.wide.by = make(map[[2]string]*link)
	}
	s.wide.by[pair] = l
	s.tasks.Go(func() { s.pumpWide(l) })
	return l, nil
}

// dropWide closes a wide link that nothing depends on. s.mu must be held.
func (s *session) dropWide() bool {
	busy := map[*link]bool{}
	for _, c := range s.pending {
		busy[c.link] = true
	}
	for _, l := range s.wide.links {
		if !busy[l] && l.objects.Load() == 0 {
			s.wide.remove(l)
			l.conn.Abort()
			return true
		}
	}
	return false
}

// pumpWide takes the replies of a wide link to the client until it ends. What
// is lost then is only what was asked there.
func (s *session) pumpWide(l *link) {
	err := s.replies(l)
	l.conn.Abort()
	s.mu.Lock()
	s.wide.remove(l)
	s.mu.Unlock()
	if s.ctx.Err() == nil && !errors.Is(err, errClient) {
		s.fail(l, err)
	}
}

// exchange sends a request again, on another link, and waits for the reply.
// Where that closes the link, or the session ends, the error is CodeConnectionFailed.
func (s *session) exchange(c *call, l *link, request []byte) ([]byte, error) {
	lost := connectionLost(s.route.Controller.Name)
	replay := make(chan *rpc.Frame, 1)
	s.mu.Lock()
	if s.ended || s.wide.byNumber(l.number) != l {
		s.mu.Unlock()
		return nil, lost
	}
	c.link, c.replay = l, replay
	s.mu.Unlock()
	if err := l.conn.WriteFrame(request); err != nil {
		return nil, lost
	}
	select {
	case frame, ok := <-replay:
		if !ok {
			return nil, lost
		}
		defer frame.Release()
		out := l.markObjects(frame.Bytes())
		return append([]byte(nil), out...), nil
	case <-s.ctx.Done():
		return nil, lost
	}
}

var errDenied = &estate.Error{Code: estate.CodeUnauthorized, Message: "permission denied"}

// denied returns a reply with err in place of each demand for access: those are
// between us and the controller. For an err without a code the client gets to
// know only that something went wrong.
func denied(id uint64, reply []byte, r *refusal, err error) []byte {
	instead := rpc.ErrorReply(id, err)
	if r.whole != nil {
		return mustMarshal(instead)
	}
	var whole, response map[string]json.RawMessage
	var results []json.RawMessage
	if e := errors.Join(json.Unmarshal(reply, &whole), json.Unmarshal(whole["response"], &response), json.Unmarshal(response["results"], &results)); e != nil {
		return mustMarshal(instead)
	}
	for i, raw := range results {
		var entry map[string]json.RawMessage
		var e wireError
		if json.Unmarshal(raw, &entry) != nil || json.Unmarshal(entry["error"], &e) != nil || e.Code != estate.CodeAccessRequired {
			continue
		}
		entry["error"] = mustMarshal(map[string]string{"message": instead.Error, "code": instead.ErrorCode})
		results[i] = mustMarshal(entry)
	}
	response["results"] = mustMarshal(results)
	whole["response"] = mustMarshal(response)
	return mustMarshal(whole)
}
