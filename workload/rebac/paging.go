package rebac

import (
	"encoding/base64"
	"encoding/json"
	"net/url"

	"github.com/canonical/rebac-admin-ui-handlers/v1/resources"

	"jimm/workload/estate"
)

// Pages are counted from 1, as the OpenAPI document has it. A page that is
// asked to be longer than the longest is that long.
const (
	defaultSize = 50
	// maxPageSize is of pages that are counted, maxTokenSize of those that are
	// found by a token.
	maxPageSize, maxTokenSize = 200, 100
	maxPage                   = 1 << 20
)

func pageSize(size *int, most int) (int, error) {
	switch {
	case size == nil:
		return defaultSize, nil
	case *size < 1:
		return 0, estate.Errorf(estate.CodeBadRequest, "size must be 1 or more, not %d", *size)
	}
	return min(*size, most), nil
}

// counted is a page by its number.
type counted struct{ number, size int }

func countedPage(size, number *int) (counted, error) {
	n, err := pageSize(size, maxPageSize)
	if err != nil {
		return counted{}, err
	}
	p := counted{1, n}
	if number != nil {
		p.number = *number
	}
	if p.number < 1 || p.number > maxPage {
		return counted{}, estate.Errorf(estate.CodeBadRequest, "page must be between 1 and %d, not %d", maxPage, p.number)
	}
	return p, nil
}

func (p counted) offset() int { return (p.number - 1) * p.size }

// countedAnswer is the answer with a page of so many altogether.
func countedAnswer[T any](p counted, data []T, total int) *resources.PaginatedResponse[T] {
	answer := &resources.PaginatedResponse[T]{
		Meta: resources.ResponseMeta{Size: len(data), Page: &p.number, Total: &total}, Data: notNil(data),
	}
	if p.offset()+len(data) < total && len(data) > 0 {
		next := p.number + 1
		answer.Next.Page = &next
	}
	return answer
}

// token says where the next page begins: among relations to a kind of thing,
// at what OpenFGA has called that place.
type token struct {
	Kind  estate.Kind `json:"kind"`
	Token string      `json:"token"`
}

// tokenPage reads where a page begins, by a query parameter or a header.
func tokenPage(size *int, query, header *string) (int, token, error) {
	n, err := pageSize(size, maxTokenSize)
	if err != nil {
		return 0, token{}, err
	}
	text := ""
	for _, given := range []*string{header, query} {
		if given != nil && *given != "" {
			text = *given
		}
	}
	if text == "" {
		return n, token{}, nil
	}
	var t token
	raw, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || json.Unmarshal(raw, &t) != nil {
		return 0, token{}, estate.Errorf(estate.CodeBadRequest, "nextToken is not one that this API gave out")
	}
	return n, t, nil
}

func (t token) String() string {
	raw, _ := json.Marshal(t) // two texts always can be
	return base64.RawURLEncoding.EncodeToString(raw)
}

// continued is the answer with a page that more pages may follow.
func continued[T any](data []T, next token) *resources.PaginatedResponse[T] {
	answer := &resources.PaginatedResponse[T]{Meta: resources.ResponseMeta{Size: len(data)}, Data: notNil(data)}
	if next != (token{}) {
		text := next.String()
		answer.Meta.PageToken, answer.Next.PageToken = &text, &text
	}
	return answer
}

func notNil[T any](data []T) []T {
	if data == nil {
		return []T{}
	}
	return data
}

func unescaped(query string) (string, error) { return url.QueryUnescape(query) }

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
