package rpc

import (
	"encoding/json"
	"strconv"
)

// scanner walks over JSON without decoding it. Nothing in it recurses.
type scanner struct {
	data []byte
	at   int
}

func (s *scanner) space() {
	for s.at < len(s.data) {
		switch s.data[s.at] {
		case ' ', '\t', '\n', '\r':
			s.at++
		default:
			return
		}
	}
}

// byte takes one punctuation character, if it comes next.
func (s *scanner) byte(c byte) bool {
	s.space()
	if s.at < len(s.data) && s.data[s.at] == c {
		s.at++
		return true
	}
	return false
}

// end reports whether only space is left.
func (s *scanner) end() bool {
	s.space()
	return s.at == len(s.data)
}

// plainString takes a string of unescaped ASCII and returns what is between
// its quotes.
func (s *scanner) plainString() ([]byte, bool) {
	if !s.byte('"') {
		return nil, false
	}
	start := s.at
	for ; s.at < len(s.data); s.at++ {
		switch c := s.data[s.at]; {
		case c == '"':
			s.at++
			return s.data[start : s.at-1], true
		case c == '\\' || c < ' ' || c >= 0x80:
			return nil, false
		}
	}
	return nil, false
}

func (s *scanner) string() (string, bool) {
	b, ok := s.plainString()
	return string(b), ok
}

// uint takes a whole number below 10^19.
func (s *scanner) uint() (uint64, bool) {
	s.space()
	start := s.at
	var n uint64
	for ; s.at < len(s.data); s.at++ {
		c := s.data[s.at]
		if c < '0' || c > '9' {
			break
		}
		n = n*10 + uint64(c-'0')
	}
	digits := s.at - start
	if digits == 0 || digits > 19 || digits > 1 && s.data[start] == '0' {
		return 0, false
	}
	if s.at < len(s.data) {
		switch s.data[s.at] {
		case '.', 'e', 'E':
			return 0, false
		}
	}
	return n, true
}

// value takes a whole value, and returns it. The data must be valid JSON.
func (s *scanner) value() ([]byte, bool) {
	s.space()
	start := s.at
	depth := 0
	for s.at < len(s.data) {
		switch c := s.data[s.at]; c {
		case '"':
			if !s.skipString() {
				return nil, false
			}
			if depth == 0 {
				return s.data[start:s.at], true
			}
			continue
		case '{', '[':
			depth++
		case '}', ']':
			if depth == 0 {
				// The end of what surrounds a number or literal.
				return s.data[start:s.at], s.at > start
			}
			depth--
			if depth == 0 {
				s.at++
				return s.data[start:s.at], true
			}
		case ',', ' ', '\t', '\n', '\r':
			if depth == 0 {
				return s.data[start:s.at], s.at > start
			}
		}
		s.at++
	}
	return s.data[start:s.at], depth == 0 && s.at > start
}

// skipString passes over any string.
func (s *scanner) skipString() bool {
	for s.at++; s.at < len(s.data); s.at++ {
		switch s.data[s.at] {
		case '"':
			s.at++
			return true
		case '\\':
			s.at++
		}
	}
	return false
}

func appendUint(b []byte, n uint64) []byte { return strconv.AppendUint(b, n, 10) }

func appendInt(b []byte, n int) []byte { return strconv.AppendInt(b, int64(n), 10) }

// appendString appends a JSON string.
func appendString(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c >= 0x7f || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' {
			quoted, _ := json.Marshal(s) // a string can't fail
			return append(b, quoted...)
		}
	}
	b = append(b, '"')
	b = append(b, s...)
	return append(b, '"')
}
