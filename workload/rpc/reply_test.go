package rpc

import (
	"encoding/json"
	"errors"
	"reflect"
	"testing"
)

func TestParseReply(t *testing.T) {
	tests := []struct {
		name  string
		frame string
		want  ReplyHead
	}{{
		name:  "a success is not looked into",
		frame: `{"request-id":3,"response":{"error":"no error at all"`,
		want:  ReplyHead{RequestID: 3},
	}, {
		name:  "an error with its info",
		frame: `{"request-id":3,"error":"access \"x\"","error-code":"access required","error-info":{"model-1":"write"},"response":{}}`,
		want:  ReplyHead{RequestID: 3, Error: `access "x"`, ErrorCode: "access required", ErrorInfo: json.RawMessage(`{"model-1":"write"}`)},
	}, {
		name:  "keys in another order",
		frame: `{"response":{"a":1},"error":"bad","request-id":3}`,
		want:  ReplyHead{RequestID: 3, Error: "bad"},
	}, {
		name:  "no response",
		frame: `{"request-id":3}`,
		want:  ReplyHead{RequestID: 3},
	}}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var got ReplyHead
			if err := ParseReply([]byte(test.frame), &got); err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, test.want) {
				t.Errorf("got  %+v\nwant %+v", got, test.want)
			}
		})
	}
	var head ReplyHead
	if err := ParseReply([]byte(`{"request-id":`), &head); err == nil {
		t.Error("a reply that breaks off is taken")
	}
}

func TestReplyErrorKeepsCodeAndInfo(t *testing.T) {
	head := ReplyHead{Error: "no", ErrorCode: "redirect", ErrorInfo: json.RawMessage(`{"a":1}`)}
	var got *Error
	if !errors.As(head.Err(), &got) {
		t.Fatal("not an Error")
	}
	want := &Error{Code: "redirect", Message: "no", Info: map[string]any{"a": float64(1)}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// FuzzParseReply holds the scan of a reply's head to a full decode, for
// whatever Juju's codec may write.
func FuzzParseReply(f *testing.F) {
	f.Add(uint64(1), "", "", "", `{"results":[{"error":{"code":"access required"}}]}`)
	f.Add(uint64(1<<63), "bad \u2028 \"thing\"", "not found", `{"a":{"b":["}"]}}`, `{}`)
	f.Add(uint64(3), "\\", "\x00", `null`, `"]"`)
	f.Fuzz(func(t *testing.T, id uint64, text, code, info, response string) {
		if !json.Valid([]byte(response)) {
			t.Skip()
		}
		type outMsg struct {
			RequestID uint64          `json:"request-id,omitempty"`
			Error     string          `json:"error,omitempty"`
			ErrorCode string          `json:"error-code,omitempty"`
			ErrorInfo map[string]any  `json:"error-info,omitempty"`
			Response  json.RawMessage `json:"response,omitempty"`
		}
		out := outMsg{RequestID: id, Error: text, ErrorCode: code, Response: json.RawMessage(response)}
		_ = json.Unmarshal([]byte(info), &out.ErrorInfo) // no info then
		frame, err := json.Marshal(out)
		if err != nil {
			t.Skip()
		}
		var head ReplyHead
		if err := ParseReply(frame, &head); err != nil {
			t.Fatalf("%s: %v", frame, err)
		}
		var want struct {
			RequestID uint64         `json:"request-id"`
			Error     string         `json:"error"`
			ErrorCode string         `json:"error-code"`
			ErrorInfo map[string]any `json:"error-info"`
		}
		if err := json.Unmarshal(frame, &want); err != nil {
			t.Fatal(err)
		}
		var gotInfo map[string]any
		if head.ErrorInfo != nil {
			if err := json.Unmarshal(head.ErrorInfo, &gotInfo); err != nil {
				t.Fatal(err)
			}
		}
		if head.RequestID != want.RequestID || head.Error != want.Error || head.ErrorCode != want.ErrorCode || !reflect.DeepEqual(gotInfo, want.ErrorInfo) {
			t.Fatalf("%s: got %+v, want %+v", frame, head, want)
		}
	})
}

func BenchmarkParseReply(b *testing.B) {
	frame := []byte(`{"request-id":1234,"response":{"config":{"a":{"value":"x","source":"default"}}}}`)
	var head ReplyHead
	b.ReportAllocs()
	for b.Loop() {
		if err := ParseReply(frame, &head); err != nil {
			b.Fatal(err)
		}
	}
}
