package rpc

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
)

func TestParseRequestGivesWhatJujuWouldSee(t *testing.T) {
	tests := []struct {
		name  string
		frame string
		want  Request
	}{{
		name:  "the form that Juju writes",
		frame: `{"request-id":7,"type":"Pinger","version":1,"id":"3","request":"Ping","params":{"a":[1,"}"]}}`,
		want:  Request{RequestID: 7, Type: "Pinger", Version: 1, ID: "3", Method: "Ping", Params: json.RawMessage(`{"a":[1,"}"]}`)},
	}, {
		name:  "keys in any case",
		frame: `{"Request-Id":7,"TYPE":"Pinger","request":"Ping"}`,
		want:  Request{RequestID: 7, Type: "Pinger", Method: "Ping"},
	}, {
		name:  "the last of equal keys",
		frame: `{"request-id":7,"type":"Pinger","request":"Ping","request":"Destroy"}`,
		want:  Request{RequestID: 7, Type: "Pinger", Method: "Destroy"},
	}, {
		name:  "the last of keys that differ in case",
		frame: `{"request-id":7,"type":"Pinger","request":"Ping","Request":"Destroy"}`,
		want:  Request{RequestID: 7, Type: "Pinger", Method: "Destroy"},
	}, {
		name:  "a key after the parameters",
		frame: `{"request-id":7,"type":"Pinger","params":{"request":"x"},"request":"Ping"}`,
		want:  Request{RequestID: 7, Type: "Pinger", Method: "Ping", Params: json.RawMessage(`{"request":"x"}`)},
	}, {
		name:  "escaped letters",
		frame: `{"request-id":7,"type":"\u0050inger","request":"Ping"}`,
		want:  Request{RequestID: 7, Type: "Pinger", Method: "Ping"},
	}, {
		name:  "null where a text could be",
		frame: `{"request-id":7,"type":"Pinger","request":"Ping","id":null,"params":null}`,
		want:  Request{RequestID: 7, Type: "Pinger", Method: "Ping", Params: json.RawMessage(`null`)},
	}, {
		name:  "a negative version",
		frame: `{"request-id":7,"type":"Pinger","version":-1,"request":"Ping"}`,
		want:  Request{RequestID: 7, Type: "Pinger", Version: -1, Method: "Ping"},
	}, {
		name:  "traces and unknown keys",
		frame: ` {"request-id": 7 ,"type":"Pinger","request":"Ping","trace-id":"t","span-id":"s","trace-flags":1,"other":[{}]} `,
		want:  Request{RequestID: 7, Type: "Pinger", Method: "Ping", TraceID: "t", SpanID: "s", TraceFlags: 1},
	}}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var got Request
			if err := ParseRequest([]byte(test.frame), &got); err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, test.want) {
				t.Errorf("got  %+v\nwant %+v", got, test.want)
			}
		})
	}
}

func TestParseRequestRefuses(t *testing.T) {
	tests := []struct {
		name   string
		frame  string
		id     uint64
		broken bool
	}{
		{"what is not JSON", `hello`, 0, true},
		{"nothing", ``, 0, true},
		{"a frame that breaks off, with its request-id", `{"request-id":5,"type":"Pin`, 5, true},
		{"a frame with something behind it", `{"request-id":5,"type":"A","request":"B"}{}`, 5, true},
		{"an array", `[1]`, 0, false},
		{"a request-id of zero", `{"request-id":0,"type":"A","request":"B"}`, 0, false},
		{"no request-id", `{"type":"A","request":"B"}`, 0, false},
		{"a request-id that is a text", `{"request-id":"5","type":"A","request":"B"}`, 0, false},
		{"a request-id that is not whole", `{"request-id":1.5,"type":"A","request":"B"}`, 0, false},
		{"a request-id beyond 64 bits", `{"request-id":99999999999999999999,"type":"A","request":"B"}`, 0, false},
		{"a facade that is not a text", `{"request-id":5,"type":{},"request":"B"}`, 5, false},
		{"a version that is not a number", `{"request-id":5,"type":"A","version":"1","request":"B"}`, 5, false},
		{"a reply", `{"request-id":5,"response":{}}`, 5, false},
		{"a field of a reply with the wrong type", `{"request-id":5,"type":"A","request":"B","error":1}`, 5, false},
		{"deep nesting", `{"request-id":5,"type":"A","request":"B","params":` + strings.Repeat("[", 1<<20) + strings.Repeat("]", 1<<20) + `}`, 5, true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var req Request
			err := ParseRequest([]byte(test.frame), &req)
			var bad *RequestError
			if !errors.As(err, &bad) {
				t.Fatalf("got %v, want a RequestError", err)
			}
			if bad.RequestID != test.id || bad.Broken != test.broken || bad.ErrorCode() != CodeBadRequest {
				t.Errorf("got request-id %d, broken %v, code %q; want %d, %v: %v", bad.RequestID, bad.Broken, bad.ErrorCode(), test.id, test.broken, err)
			}
			if !strings.HasPrefix(err.Error(), "cannot read request: ") {
				t.Errorf("error text %q", err)
			}
		})
	}
}

func TestAppendRequestIsReadBackTheSame(t *testing.T) {
	for _, want := range []Request{
		{RequestID: 1, Type: "A", Method: "B", Params: json.RawMessage(`{}`)},
		{RequestID: 1<<64 - 1, Type: "A\"\\<ü", Version: -2, ID: "\x00\x7f", Method: "B\n", Params: json.RawMessage(`[1]`), TraceID: "t", SpanID: "s", TraceFlags: 3},
	} {
		var got Request
		if err := ParseRequest(AppendRequest(nil, &want), &got); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("got  %+v\nwant %+v", got, want)
		}
	}
}

// FuzzParseRequest holds ParseRequest to what encoding/json, and with it Juju's
// server, makes of a frame.
func FuzzParseRequest(f *testing.F) {
	for _, seed := range []string{
		`{"request-id":7,"type":"Pinger","version":1,"request":"Ping","params":{"a":[1,"}"]}}`,
		`{"request-id":7,"type":"A","request":"B","Request":"C"}`,
		`{"request-id":07}`,
		`{"request-id":7e1,"type":"A"}`,
		`{}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, frame []byte) {
		var got Request
		err := ParseRequest(frame, &got)
		var want message
		wantErr := json.Unmarshal(frame, &want)
		valid := wantErr == nil && want.RequestID != 0 && want.Type != "" && want.Request != ""
		if valid != (err == nil) {
			t.Fatalf("got error %v, encoding/json %+v, %v", err, want, wantErr)
		}
		if err != nil {
			return
		}
		same := got.RequestID == want.RequestID && got.Type == want.Type && got.Version == want.Version &&
			got.ID == want.ID && got.Method == want.Request && string(got.Params) == string(want.Params) &&
			got.TraceID == want.TraceID && got.SpanID == want.SpanID && got.TraceFlags == want.TraceFlags
		if !same {
			t.Fatalf("got %+v\nencoding/json %+v", got, want)
		}
		if id := frontRequestID(frame); id != 0 && want.RequestID != id {
			// The front may be overruled by a later key, but then it was there.
			if !strings.Contains(string(frame), "request-id") {
				t.Fatalf("front request-id %d of nothing", id)
			}
		}
	})
}

func BenchmarkParseRequest(b *testing.B) {
	frame := []byte(`{"request-id":1234,"type":"ModelConfig","version":3,"request":"ModelGet","params":{}}`)
	var req Request
	b.ReportAllocs()
	for b.Loop() {
		if err := ParseRequest(frame, &req); err != nil {
			b.Fatal(err)
		}
	}
}
