package lab

import (
	"errors"
	"fmt"
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
	// The file of a lab that is up, was left behind, or is kept contains the lab's directory.
	lockDir = "/run/jimm-lab"

	// keptFile in the directory of a lab that is kept has the number of its subnet, which is
	// in the addresses that its controllers have and their certificates are for.
	keptFile = "subnet"

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
func takeSubnet(dir string, down func(left *Lab) error) (*subnet, error) {
	if err := os.MkdirAll(lockDir, 0o700); err != nil {
		return nil, err
	}
	if err := reclaim(down); err != nil {
		return nil, err
	}
	kept, err := keptNumber(dir)
	if err != nil {
		return nil, err
	}
	if kept != 0 {
		return retake(kept, dir)
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
			free, err = s.unclaimed()
		}
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

// retake takes the subnet that a kept lab had before.
func retake(number int, dir string) (*subnet, error) {
	s, err := tryLock(number)
	if err != nil {
		return nil, err
	}
	if s == nil {
		return nil, fmt.Errorf("cannot go on with the lab in %s: another has its subnet 10.%d.0.0/24", dir, number)
	}
	free, err := s.free()
	if err == nil && !free {
		err = fmt.Errorf("cannot go on with the lab in %s: this machine uses its subnet 10.%d.0.0/24 otherwise", dir, number)
	}
	if err == nil {
		err = s.write(dir)
	}
	if err != nil {
		return nil, errors.Join(err, s.lock.Close())
	}
	return s, nil
}

// keptNumber gives the number of the subnet of the lab kept in dir, 0 if none is.
func keptNumber(dir string) (int, error) {
	text, err := os.ReadFile(filepath.Join(dir, keptFile))
	if errors.Is(err, os.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	number, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil || number < 1 || number > maxSubnet {
		return 0, fmt.Errorf("%s does not have the number of a subnet", filepath.Join(dir, keptFile))
	}
	return number, nil
}

// keep notes the number of the subnet in dir.
func (s *subnet) keep(dir string) error {
	if err := os.MkdirAll(dir, 0o711); err != nil {
		return err
	}
	file := filepath.Join(dir, keptFile)
	if err := os.WriteFile(file+".new", []byte(strconv.Itoa(s.number)+"\n"), 0o600); err != nil {
		return err
	}
	return os.Rename(file+".new", file)
}

// claimant gives the directory in the lock file, "" if there is none, and whether the lab
// there is kept in this subnet.
func (s *subnet) claimant() (dir string, kept bool, err error) {
	text, err := os.ReadFile(s.lock.Name())
	if err != nil || len(text) == 0 {
		return "", false, err
	}
	number, err := keptNumber(string(text))
	if err != nil {
		// Nobody can go on with it.
		number = 0
	}
	return string(text), number == s.number, nil
}

// unclaimed tells whether no lab is kept in this subnet.
func (s *subnet) unclaimed() (bool, error) {
	_, kept, err := s.claimant()
	return !kept, err
}

// reclaim takes down every lab that no process holds any more.
func reclaim(down func(left *Lab) error) error {
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
		dir, kept, err := s.claimant()
		if err == nil && dir != "" {
			err = down(&Lab{dir: dir, kept: kept, subnet: s})
		}
		if err == nil && !kept {
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
