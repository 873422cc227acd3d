package stack

import (
	"fmt"
	"testing"
)

func TestServicesHavePortsOfTheirOwn(t *testing.T) {
	s := &Stack{options: Options{Host: "127.0.0.1"}, ports: map[string]int{}}
	services := map[int]string{}
	for i := range 1000 { // of 12,000: by chance alone some would be the same
		name := fmt.Sprint("service ", i)
		port := s.freePort()
		if other, taken := services[port]; taken {
			t.Errorf("%s and %s have port %d", other, name, port)
		}
		s.ports[name], services[port] = port, name
	}
}
