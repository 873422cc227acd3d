package gateway

import (
	"bytes"
	"encoding/json"
	"strconv"
	"sync/atomic"

	"jimm/workload/estate"
	"jimm/workload/rpc"
)

// link is one connection to the controller.
type link struct {
	conn *rpc.Conn
	// number is 0 for the primary, else that of a wide one.
	number int
	claims estate.Claims
	// objects counts the watchers that were handed out on it.
	objects atomic.Int64
	pings   atomic.Uint64
}

// ping tells the controller that the client lives. The reply is dropped.
func (l *link) ping() error {
	return l.conn.WriteFrame(rpc.AppendRequest(nil, &rpc.Request{
		RequestID: ownIDs + l.pings.Add(1), Type: "Pinger", Version: 1, Method: "Ping",
	}))
}

// watcherKeys are the fields of replies that hold the id of an object to be
// named in later requests (rpc/params: *WatchResult, AllWatcherId,
// SummaryWatcherID).
var watcherKeys = [...]string{"watcher-id", "NotifyWatcherId"}

// markObjects makes the ids of watchers in a reply distinct from those of the
// client's other connections, so that requests that name them come back to this
// one. They stand in the response itself or in its results.
func (l *link) markObjects(reply []byte) []byte {
	found := false
	for _, key := range watcherKeys {
		found = found || bytes.Contains(reply, []byte(key))
	}
	if !found {
		return reply
	}
	var whole, response map[string]json.RawMessage
	if json.Unmarshal(reply, &whole) != nil || json.Unmarshal(whole["response"], &response) != nil {
		return reply
	}
	changed := l.markIn(response)
	var results []map[string]json.RawMessage
	if json.Unmarshal(response["results"], &results) == nil {
		any := false
		for _, r := range results {
			any = l.markIn(r) || any
		}
		if any {
			response["results"] = mustMarshal(results)
			changed = true
		}
	}
	if !changed {
		return reply
	}
	whole["response"] = mustMarshal(response)
	return mustMarshal(whole)
}

func (l *link) markIn(object map[string]json.RawMessage) bool {
	changed := false
	for _, key := range watcherKeys {
		var id string
		if json.Unmarshal(object[key], &id) != nil || id == "" {
			continue
		}
		object[key] = mustMarshal(objectPrefix + strconv.Itoa(l.number) + "-" + id)
		l.objects.Add(1)
		changed = true
	}
	return changed
}

// mustMarshal encodes what was decoded from JSON a moment ago.
func mustMarshal(v any) json.RawMessage {
	b, err := json.Marshal(v)
	if err != nil {
		panic("cannot encode decoded JSON: " + err.Error())
	}
	return b
}
