package rpc

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gorilla/websocket"
)

// pair returns both ends of a connection: ours with options, and the peer's raw
// websocket.
func pair(t *testing.T, o Options) (*Conn, *websocket.Conn) {
	t.Helper()
	conns := make(chan *Conn, 1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := Upgrade(w, r, nil, o)
		if err != nil {
			t.Errorf("cannot upgrade: %v", err)
		}
		conns <- conn
	}))
	t.Cleanup(server.Close)
	ws, _, err := websocket.DefaultDialer.Dial("ws"+strings.TrimPrefix(server.URL, "http"), nil)
	if err != nil {
		t.Fatal(err)
	}
	conn := <-conns
	t.Cleanup(func() { ws.Close(); conn.Abort() })
	return conn, ws
}

func TestFramesOfEverySizePassBothWays(t *testing.T) {
	conn, ws := pair(t, Options{})
	for _, size := range []int{0, 1, 1 << 10, 1<<10 + 1, 8 << 10, 100_000, 5 << 20, MaxFrame} {
		want := bytes.Repeat([]byte("0123456789"), size/10+1)[:size]
		var writers sync.WaitGroup
		writers.Go(func() {
			if err := ws.WriteMessage(websocket.TextMessage, want); err != nil {
				t.Errorf("cannot send %d bytes: %v", size, err)
			}
		})
		frame, err := conn.ReadFrame()
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(frame.Bytes(), want) {
			t.Fatalf("got %d other bytes than the %d sent", frame.Len(), size)
		}
		writers.Go(func() {
			if err := conn.WriteFrame(frame.Bytes()); err != nil {
				t.Errorf("cannot send %d bytes back: %v", size, err)
			}
			frame.Release()
		})
		kind, got, err := ws.ReadMessage()
		if err != nil || kind != websocket.TextMessage || !bytes.Equal(got, want) {
			t.Fatalf("got %d bytes of kind %d back, %v; want %d", len(got), kind, err, size)
		}
		writers.Wait()
	}
}

func TestMessageThatIsTooLargeIsNamedAndTheNextOnePasses(t *testing.T) {
	conn, ws := pair(t, Options{MaxFrame: 1000})
	large := `{"request-id":42,"params":"` + strings.Repeat("x", 5000) + `"}`
	go func() {
		for _, m := range []string{large, strings.Repeat("y", 1001), strings.Repeat("z", 1000)} {
			if err := ws.WriteMessage(websocket.TextMessage, []byte(m)); err != nil {
				t.Errorf("cannot send: %v", err)
			}
		}
	}()
	for _, id := range []uint64{42, 0} {
		_, err := conn.ReadFrame()
		var tooLarge *TooLargeError
		if !errors.As(err, &tooLarge) || tooLarge.RequestID != id || tooLarge.ErrorCode() != CodeTooLarge {
			t.Fatalf("got %#v, want a TooLargeError of request %d", err, id)
		}
	}
	frame, err := conn.ReadFrame()
	if err != nil || frame.Len() != 1000 {
		t.Fatalf("got %v, %v", frame, err)
	}
	frame.Release()
}

func TestMessageThatNeverEndsIsCut(t *testing.T) {
	conn, ws := pair(t, Options{MaxFrame: 1000})
	go func() {
		w, err := ws.NextWriter(websocket.TextMessage)
		for err == nil {
			_, err = w.Write(make([]byte, 1000))
		}
	}()
	_, err := conn.ReadFrame()
	var tooLarge *TooLargeError
	if err == nil || errors.As(err, &tooLarge) {
		t.Fatalf("got %v", err)
	}
}

func TestBinaryMessageClosesTheConnection(t *testing.T) {
	conn, ws := pair(t, Options{})
	if err := ws.WriteMessage(websocket.BinaryMessage, []byte(`{}`)); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.ReadFrame(); !errors.Is(err, ErrBinary) {
		t.Fatalf("got %v", err)
	}
	if _, _, err := ws.ReadMessage(); !websocket.IsCloseError(err, websocket.CloseUnsupportedData) {
		t.Fatalf("the peer got %v", err)
	}
}

func TestSilentPeerIsTakenForDead(t *testing.T) {
	conn, _ := pair(t, Options{IdleTimeout: 50 * time.Millisecond})
	start := time.Now()
	if _, err := conn.ReadFrame(); !errors.Is(err, ErrIdle) {
		t.Fatalf("got %v", err)
	}
	if took := time.Since(start); took < 50*time.Millisecond {
		t.Errorf("cut after %v already", took)
	}
}

// piped is pair without a socket, in a bubble whose time passes only when all in
// it wait.
func piped(t *testing.T, o Options) (*Conn, *websocket.Conn) {
	t.Helper()
	ours, theirs := net.Pipe()
	conns := make(chan *Conn, 1)
	go func() {
		r, err := http.ReadRequest(bufio.NewReader(ours))
		if err != nil {
			t.Error(err)
		}
		conn, err := Upgrade(hijacked{httptest.NewRecorder(), ours}, r, nil, o)
		if err != nil {
			t.Errorf("cannot upgrade: %v", err)
		}
		conns <- conn
	}()
	dialer := websocket.Dialer{NetDialContext: func(context.Context, string, string) (net.Conn, error) { return theirs, nil }}
	ws, _, err := dialer.Dial("ws://jimm.invalid", nil)
	if err != nil {
		t.Fatal(err)
	}
	return <-conns, ws
}

func TestPeerThatOnlyPingsIsAlive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn, ws := piped(t, Options{IdleTimeout: time.Minute})
		defer conn.Abort()
		go func() { _, _, _ = ws.ReadMessage() }() // the pongs
		go func() {
			for range 10 {
				time.Sleep(50 * time.Second)
				if err := ws.WriteControl(websocket.PingMessage, nil, time.Now().Add(time.Second)); err != nil {
					t.Error(err)
				}
			}
			_ = ws.WriteMessage(websocket.TextMessage, []byte("late"))
		}()
		frame, err := conn.ReadFrame()
		if err != nil {
			t.Fatal(err)
		}
		frame.Release()
	})
}

func TestPeerThatNeverReadsIsCut(t *testing.T) {
	conn, _ := pair(t, Options{WriteTimeout: 100 * time.Millisecond})
	message := make([]byte, 1<<20)
	for range 1000 {
		err := conn.WriteFrame(message)
		if err == nil {
			continue
		}
		var closed *ClosedError
		if !errors.As(err, &closed) || closed.ErrorCode() != CodeConnectionFailed {
			t.Fatalf("got %v", err)
		}
		if _, err := conn.ReadFrame(); err != io.EOF {
			t.Fatalf("reading after that gives %v", err)
		}
		return
	}
	t.Fatal("a gigabyte went to a peer that does not read")
}

func TestOrderlyCloseIsEOF(t *testing.T) {
	conn, ws := pair(t, Options{})
	closeFrame := websocket.FormatCloseMessage(websocket.CloseNormalClosure, "")
	if err := ws.WriteControl(websocket.CloseMessage, closeFrame, time.Now().Add(time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.ReadFrame(); err != io.EOF {
		t.Fatalf("got %v", err)
	}
}

// serve answers requests on one end and gives a client on the other.
func serve(t *testing.T, h HandlerFunc, o ServeOptions) (*Client, *bytes.Buffer) {
	t.Helper()
	var log bytes.Buffer
	o.Log = slog.New(slog.NewTextHandler(&log, nil))
	served := make(chan error, 1)
	ctx, cancel := context.WithCancel(context.Background())
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := Upgrade(w, r, nil, Options{})
		if err != nil {
			t.Errorf("cannot upgrade: %v", err)
			return
		}
		served <- Serve(ctx, conn, h, o)
	}))
	conn, _, err := Dial(t.Context(), "ws"+strings.TrimPrefix(server.URL, "http"), nil, nil, Options{})
	if err != nil {
		t.Fatal(err)
	}
	client := NewClient(conn)
	t.Cleanup(func() {
		_ = client.Close()
		if err := <-served; err != nil {
			t.Errorf("Serve ended with %v", err)
		}
		cancel()
		server.Close()
	})
	return client, &log
}

type coded struct{}

func (coded) Error() string             { return "cannot do that" }
func (coded) ErrorCode() string         { return "not valid" }
func (coded) ErrorInfo() map[string]any { return map[string]any{"why": "because"} }

func TestServeAnswersErrorsByKind(t *testing.T) {
	client, log := serve(t, func(_ context.Context, r *Request) (any, error) {
		switch r.Method {
		case "Coded":
			return nil, fmt.Errorf("wrapped: %w", coded{})
		case "Plain":
			return nil, errors.New("password is hunter2")
		case "Panic":
			panic("oh")
		}
		return map[string]string{"facade": r.Type, "params": string(r.Params)}, nil
	}, ServeOptions{})

	var got map[string]string
	if err := client.Call(t.Context(), "F", 1, "", "Good", map[string]int{"a": 1}, &got); err != nil {
		t.Fatal(err)
	}
	if got["facade"] != "F" || got["params"] != `{"a":1}` {
		t.Errorf("got %v", got)
	}
	tests := []struct{ method, code, message, logged string }{
		{"Coded", "not valid", "cannot do that", ""},
		{"Plain", "", "internal error", "hunter2"},
		{"Panic", "", "internal error", "panic: oh"},
	}
	for _, test := range tests {
		err := client.Call(t.Context(), "F", 1, "", test.method, nil, nil)
		var e *Error
		if !errors.As(err, &e) || e.Code != test.code || e.Message != test.message {
			t.Errorf("%s: got %#v", test.method, err)
		}
		if !strings.Contains(log.String(), test.logged) {
			t.Errorf("%s: log lacks %q: %s", test.method, test.logged, log)
		}
	}
	var e *Error
	if err := client.Call(t.Context(), "F", 1, "", "Coded", nil, nil); !errors.As(err, &e) || e.Info["why"] != "because" {
		t.Errorf("error-info is lost: %#v", e)
	}
}

func TestServeHandlesAtMostTenAtOnceBesideThoseThatWait(t *testing.T) {
	var mu sync.Mutex
	running, most := 0, 0
	var once sync.Once
	full := make(chan struct{})
	release := make(chan struct{})
	client, _ := serve(t, func(_ context.Context, r *Request) (any, error) {
		if r.Method == "Next" {
			<-release
			return nil, nil
		}
		mu.Lock()
		running++
		most = max(most, running)
		if running == 10 {
			once.Do(func() { close(full) })
		}
		mu.Unlock()
		<-release
		mu.Lock()
		running--
		mu.Unlock()
		return nil, nil
	}, ServeOptions{Waits: func(r *Request) bool { return r.Method == "Next" }})
	var calls sync.WaitGroup
	call := func(method string) {
		calls.Go(func() {
			if err := client.Call(t.Context(), "F", 1, "", method, nil, nil); err != nil {
				t.Errorf("%s: %v", method, err)
			}
		})
	}
	for range 20 {
		call("Next")
	}
	for range 20 {
		call("Work")
	}
	<-full
	close(release)
	calls.Wait()
	if most != 10 {
		t.Errorf("%d were handled at once", most)
	}
}

func TestServeAnswersBadFramesAndGoesOn(t *testing.T) {
	conn, ws := pair(t, Options{MaxFrame: 1000})
	done := make(chan error, 1)
	go func() {
		done <- Serve(context.Background(), conn, HandlerFunc(func(context.Context, *Request) (any, error) { return nil, nil }), ServeOptions{})
	}()
	tests := []struct{ name, frame, want string }{
		{"wrong types", `{"request-id":1,"type":5}`, `{"request-id":1,"error":"cannot read request: json: cannot unmarshal number into Go struct field message.type of type string","error-code":"bad request","response":{}}`},
		{"broken JSON with a request-id", `{"request-id":2,`, `{"request-id":2,"error":"cannot read request: unexpected end of JSON input","error-code":"bad request","response":{}}`},
		{"no request-id", `{"type":"A","request":"B"}`, `{"request-id":0,"error":"cannot read request: request-id must be a positive number","error-code":"bad request","response":{}}`},
		{"too large", `{"request-id":3,"type":"` + strings.Repeat("x", 1000) + `"}`, `{"request-id":3,"error":"cannot read request: message is larger than 1000 bytes","error-code":"message too large","response":{}}`},
		{"a good one", `{"request-id":4,"type":"A","request":"B"}`, `{"request-id":4,"response":{}}`},
		{"no JSON", `hello`, `{"request-id":0,"error":"cannot read request: invalid character 'h' looking for beginning of value","error-code":"bad request","response":{}}`},
	}
	for _, test := range tests {
		if err := ws.WriteMessage(websocket.TextMessage, []byte(test.frame)); err != nil {
			t.Fatal(err)
		}
		_, got, err := ws.ReadMessage()
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != test.want {
			t.Errorf("%s:\ngot  %s\nwant %s", test.name, got, test.want)
		}
	}
	if _, _, err := ws.ReadMessage(); !websocket.IsCloseError(err, websocket.CloseInvalidFramePayloadData) {
		t.Errorf("after no JSON the connection gives %v", err)
	}
	var bad *RequestError
	if err := <-done; !errors.As(err, &bad) {
		t.Errorf("Serve ended with %v", err)
	}
}

func TestClientCallsFailWhenTheConnectionBreaks(t *testing.T) {
	conn, ws := pair(t, Options{})
	client := NewClient(conn)
	failed := make(chan error, 1)
	go func() { failed <- client.Call(context.Background(), "F", 1, "", "M", nil, nil) }()
	if _, _, err := ws.ReadMessage(); err != nil {
		t.Fatal(err)
	}
	_ = ws.NetConn().Close()
	var closed *ClosedError
	if err := <-failed; !errors.As(err, &closed) {
		t.Errorf("got %v", err)
	}
	<-client.Done()
	if err := client.Call(context.Background(), "F", 1, "", "M", nil, nil); !errors.As(err, &closed) || !closed.Unsent {
		t.Errorf("a later call gives %v", err)
	}
}

func TestClientCallEndsWithItsContextAndTheConnectionStays(t *testing.T) {
	release := make(chan struct{})
	client, _ := serve(t, func(_ context.Context, r *Request) (any, error) {
		if r.Method == "Slow" {
			<-release
		}
		return nil, nil
	}, ServeOptions{})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := client.Call(ctx, "F", 1, "", "Slow", nil, nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("got %v", err)
	}
	close(release)
	if err := client.Call(t.Context(), "F", 1, "", "Fast", nil, nil); err != nil {
		t.Fatal(err)
	}
}

// wire is a network connection that gives fixed bytes and takes anything.
type wire struct {
	net.Conn
	in io.Reader
}

func (w *wire) Read(b []byte) (int, error)       { return w.in.Read(b) }
func (w *wire) Write(b []byte) (int, error)      { return len(b), nil }
func (w *wire) Close() error                     { return nil }
func (w *wire) SetDeadline(time.Time) error      { return nil }
func (w *wire) SetReadDeadline(time.Time) error  { return nil }
func (w *wire) SetWriteDeadline(time.Time) error { return nil }
func (w *wire) RemoteAddr() net.Addr             { return &net.TCPAddr{} }

// hijacked is a response whose connection is given.
type hijacked struct {
	http.ResponseWriter
	conn net.Conn
}

func (h hijacked) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return h.conn, bufio.NewReadWriter(bufio.NewReaderSize(strings.NewReader(""), 16), bufio.NewWriter(h.conn)), nil
}

// masked returns a client's frame.
func masked(opcode byte, final bool, payload string) []byte {
	if final {
		opcode |= 0x80
	}
	b := []byte{opcode}
	switch n := len(payload); {
	case n < 126:
		b = append(b, 0x80|byte(n))
	default:
		b = append(b, 0x80|126)
		b = binary.BigEndian.AppendUint16(b, uint16(n))
	}
	b = append(b, 0, 0, 0, 0)
	return append(b, payload...)
}

// FuzzReadFrame feeds arbitrary bytes as a client's websocket traffic.
func FuzzReadFrame(f *testing.F) {
	f.Add(masked(1, true, `{"request-id":1,"type":"A","request":"B"}`))
	f.Add(append(masked(1, false, `{"request-`), masked(0, true, `id":1}`)...))
	f.Add(masked(2, true, "binary"))
	f.Add(append(masked(9, true, "ping"), masked(8, true, "\x03\xe8")...))
	f.Add(masked(1, true, strings.Repeat("x", 5000)))
	f.Add([]byte{0x81, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 'x'})
	f.Fuzz(func(t *testing.T, in []byte) {
		const limit = 3000
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set("Connection", "upgrade")
		r.Header.Set("Upgrade", "websocket")
		r.Header.Set("Sec-Websocket-Version", "13")
		r.Header.Set("Sec-Websocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
		conn, err := Upgrade(hijacked{httptest.NewRecorder(), &wire{in: bytes.NewReader(in)}}, r, nil, Options{MaxFrame: limit})
		if err != nil {
			t.Fatal(err)
		}
		for {
			frame, err := conn.ReadFrame()
			var tooLarge *TooLargeError
			if errors.As(err, &tooLarge) {
				continue
			}
			if err != nil {
				break
			}
			if frame.Len() > limit {
				t.Fatalf("a frame of %d bytes passed", frame.Len())
			}
			var req Request
			_ = ParseRequest(frame.Bytes(), &req)
			frame.Release()
		}
		if _, err := conn.ReadFrame(); err == nil {
			t.Fatal("a connection that ended gives another frame")
		}
	})
}

// A person who logs in takes minutes, and the client says nothing meanwhile.
func TestAClientThatWaitsForLongIsNotTakenForDead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn, ws := piped(t, Options{})
		served := make(chan error, 1)
		go func() {
			served <- Serve(t.Context(), conn, HandlerFunc(func(context.Context, *Request) (any, error) {
				time.Sleep(10 * time.Minute)
				return map[string]string{"token": "secret"}, nil
			}), ServeOptions{Waits: func(*Request) bool { return true }})
		}()
		client := NewClient(NewConn(ws, Options{}))
		var result map[string]string
		if err := client.Call(t.Context(), "Admin", 4, "", "GetDeviceSessionToken", nil, &result); err != nil || result["token"] != "secret" {
			t.Errorf("the answer is %v, %v", result, err)
		}
		_ = client.Close()
		if err := <-served; err != nil {
			t.Errorf("Serve ended with %v", err)
		}
	})
}
