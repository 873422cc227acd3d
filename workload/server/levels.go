package server

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
)

// levels tells the level of the log to GET, and sets it with PUT, whose body is
// the level: debug, info, warn or error. It holds until the next restart or
// reload.
func levels(level *slog.LevelVar) http.Handler {
	if level == nil {
		return nil
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.Method {
		case http.MethodGet:
		case http.MethodPut:
			body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 64))
			var wanted slog.Level
			if err == nil {
				err = wanted.UnmarshalText([]byte(strings.TrimSpace(string(body))))
			}
			if err != nil {
				http.Error(w, "Bad Request - the level must be debug, info, warn or error", http.StatusBadRequest)
				return
			}
			level.Set(wanted)
		default:
			w.Header().Set("Allow", "GET, PUT")
			http.Error(w, "Method Not Allowed - GET tells the level, PUT sets it", http.StatusMethodNotAllowed)
			return
		}
		fmt.Fprintln(w, strings.ToLower(level.Level().String()))
	})
}
