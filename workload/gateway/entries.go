package gateway

import (
	"encoding/json"
	"strings"

	"jimm/workload/rpc"
)

// selectEntries returns a bulk request with only some of its entries. A request
// is bulk if exactly one array in its params, at the top or one object below,
// has as many elements as the reply has results (count). It reports false if it
// can't tell what the entries are.
func selectEntries(request []byte, entries []int, count int) ([]byte, bool) {
	var req rpc.Request
	if rpc.ParseRequest(request, &req) != nil {
		return nil, false
	}
	top, ok := decodeObject(req.Params)
	if !ok {
		return nil, false
	}
	type place struct {
		object  map[string]json.RawMessage
		key     string
		outer   string // of the object in top, "" for top itself
		entries []json.RawMessage
	}
	var found []place
	look := func(object map[string]json.RawMessage, outer string) {
		for key, raw := range object {
			var list []json.RawMessage
			if json.Unmarshal(raw, &list) == nil && list != nil && len(list) == count {
				found = append(found, place{object, key, outer, list})
			}
		}
	}
	look(top, "")
	for key, raw := range top {
		if len(raw) == 0 || raw[0] != '{' {
			continue
		}
		inner, ok := decodeObject(raw)
		if !ok {
			return nil, false
		}
		look(inner, key)
	}
	if len(found) != 1 {
		return nil, false
	}
	p := found[0]
	selected := make([]json.RawMessage, len(entries))
	for i, n := range entries {
		selected[i] = p.entries[n]
	}
	p.object[p.key] = mustMarshal(selected)
	if p.outer != "" {
		top[p.outer] = mustMarshal(p.object)
	}
	req.Params = mustMarshal(top)
	return rpc.AppendRequest(nil, &req), true
}

// decodeObject decodes a JSON object whose keys differ in more than case: for
// others it is not clear which of them counts.
func decodeObject(raw json.RawMessage) (map[string]json.RawMessage, bool) {
	var object map[string]json.RawMessage
	if json.Unmarshal(raw, &object) != nil || object == nil {
		return nil, false
	}
	folded := make(map[string]bool, len(object))
	for key := range object {
		lower := strings.ToLower(key)
		if folded[lower] {
			return nil, false
		}
		folded[lower] = true
	}
	if len(object) != countKeys(raw) {
		return nil, false
	}
	return object, true
}

// countKeys counts the keys of an object, equal ones too.
func countKeys(raw json.RawMessage) int {
	dec := json.NewDecoder(strings.NewReader(string(raw)))
	if _, err := dec.Token(); err != nil {
		return -1
	}
	n := 0
	for dec.More() {
		if _, err := dec.Token(); err != nil {
			return -1
		}
		var skip json.RawMessage
		if err := dec.Decode(&skip); err != nil {
			return -1
		}
		n++
	}
	return n
}

// mergeEntries puts the results of a request for some entries in their places
// in the reply to all. Where that does not work, because they are not as many,
// the reply stays as it is; an error of the whole request becomes one of each entry.
func mergeEntries(reply, part []byte, entries []int) []byte {
	var head rpc.ReplyHead
	if rpc.ParseReply(part, &head) != nil {
		return reply
	}
	var whole, response map[string]json.RawMessage
	var results []json.RawMessage
	if json.Unmarshal(reply, &whole) != nil || json.Unmarshal(whole["response"], &response) != nil ||
		json.Unmarshal(response["results"], &results) != nil {
		return reply
	}
	var partBody struct {
		Response struct {
			Results []json.RawMessage `json:"results"`
		} `json:"response"`
	}
	if head.Error != "" {
		failed := mustMarshal(map[string]any{"error": map[string]string{"message": head.Error, "code": head.ErrorCode}})
		for range entries {
			partBody.Response.Results = append(partBody.Response.Results, failed)
		}
	} else if json.Unmarshal(part, &partBody) != nil || len(partBody.Response.Results) != len(entries) {
		return reply
	}
	for i, n := range entries {
		results[n] = partBody.Response.Results[i]
	}
	response["results"] = mustMarshal(results)
	whole["response"] = mustMarshal(response)
	return mustMarshal(whole)
}
