package lab

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

const (
	// lockDir has a lock file for each subnet ever used on this machine, named for its number.
	// The file of a lab that is up, or was left behind, contains the lab's directory.
	lockDir = "/run/jimm-lab"

	maxSubnet = 250
	// handSubnet is ctl's default, kept for people who run it by hand.
	handSubnet = 217
)

// subnet is the right to use 10.<number>.0.0/24, held by the lock on its file. The kernel
// lets go of it when the process dies.
type subnet struct {
	number int
	lock   *os.File
}

// takeSubnet takes a subnet that no other lab, interface or route of this machine uses, for
// a lab in dir. On its way it takes down, with down, labs whose process died without.
func takeSubnet(dir string, down func(number int, dir string) error) (*subnet, error) {
	if err := os.MkdirAll(lockDir, 0o700); err != nil {
		return nil, err
	}
	if err := reclaim(down); err != nil {
		return nil, err
	}
	for number := 1; number <= maxSubnet; number++ {
		if number == handSubnet {
			continue
		}
		s, err := tryLock(number)
		if err != nil {
			return nil, err
		}
		if s == nil {
			continue
		}
		free, err := s.free()
		if err == nil && free {
			err = s.write(dir)
		}
		if err == nil && free {
			return s, nil
		}
		_ = s.lock.Close()
		if err != nil {
			return nil, err
		}
	}
	return nil, errors.New("cannot make a lab: no subnet is free")
}

// reclaim takes down every lab that no process holds any more.
func reclaim(down func(number int, dir string) error) error {
	entries, err := os.ReadDir(lockDir)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		number, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		s, err := tryLock(number)
		if err != nil {
			return err
		}
		if s == nil {
			continue
		}
		dir, err := io.ReadAll(s.lock)
		if err == nil && len(dir) != 0 {
			err = down(number, string(dir))
		}
		if err == nil {
			err = s.release()
		}
		_ = s.lock.Close()
		if err != nil {
			return fmt.Errorf("cannot take down the lab a killed process left in subnet %d: %w", number, err)
		}
	}
	return nil
}

// tryLock gives nil if another process has the subnet, or another lab of this one.
func tryLock(number int) (*subnet, error) {
	lock, err := os.OpenFile(filepath.Join(lockDir, strconv.Itoa(number)), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	err = syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if err == nil {
		return &subnet{number: number, lock: lock}, nil
	}
	_ = lock.Close()
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return nil, nil
	}
	return nil, fmt.Errorf("cannot lock %s: %w", lock.Name(), err)
}

func (s *subnet) write(dir string) error {
	if err := s.lock.Truncate(0); err != nil {
		return err
	}
	_, err := s.lock.WriteAt([]byte(dir), 0)
	return err
}

// release gives the subnet back, once its lab is down.
func (s *subnet) release() error {
	return errors.Join(s.lock.Truncate(0), s.lock.Close())
}

func (s *subnet) prefix() netip.Prefix {
	return netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(s.number), 0, 0}), 24)
}

// host is the bridge's address.
func (s *subnet) host() netip.Addr { return s.prefix().Addr().Next() }

// free tells whether this machine neither has an address in the subnet nor a route to it.
func (s *subnet) free() (bool, error) {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return false, err
	}
	for _, addr := range addrs {
		used, err := netip.ParsePrefix(addr.String())
		if err == nil && used.Masked().Overlaps(s.prefix()) {
			return false, nil
		}
	}
	table, err := os.ReadFile("/proc/net/route")
	if err != nil {
		return false, err
	}
	routes, err := parseRoutes(string(table))
	if err != nil {
		return false, err
	}
	for _, used := range routes {
		if used.Overlaps(s.prefix()) {
			return false, nil
		}
	}
	return true, nil
}

// parseRoutes reads the destinations in the form of /proc/net/route, but for default routes:
// a heading, then lines with the destination and the mask in the second and eighth field, in
// hexadecimal with the first byte of the address last.
func parseRoutes(table string) ([]netip.Prefix, error) {
	var routes []netip.Prefix
	_, table, _ = strings.Cut(table, "\n")
	for line := range strings.Lines(table) {
		fields := strings.Fields(line)
		if len(fields) < 8 {
			return nil, fmt.Errorf("cannot read route %q", line)
		}
		destination, err := strconv.ParseUint(fields[1], 16, 32)
		if err != nil {
			return nil, fmt.Errorf("cannot read route %q: %w", line, err)
		}
		mask, err := strconv.ParseUint(fields[7], 16, 32)
		if err != nil {
			return nil, fmt.Errorf("cannot read route %q: %w", line, err)
		}
		bits, _ := net.IPv4Mask(byte(mask), byte(mask>>8), byte(mask>>16), byte(mask>>24)).Size()
		if bits == 0 {
			continue
		}
		addr := netip.AddrFrom4([4]byte{
			byte(destination), byte(destination >> 8), byte(destination >> 16), byte(destination >> 24),
		})
		routes = append(routes, netip.PrefixFrom(addr, bits))
	}
	return routes, nil
}
