package rpc

import "sync"

// Frame is one received message. Its bytes come from a pool: they are valid
// until Release, which may be called once.
type Frame struct {
	buf  []byte
	home *sync.Pool
}

// Bytes returns the message. It may be changed in place.
func (f *Frame) Bytes() []byte { return f.buf }

// Len returns the length of the message in bytes.
func (f *Frame) Len() int { return len(f.buf) }

// Release gives the buffer back. Nothing may refer to it any more.
func (f *Frame) Release() {
	if f == nil || f.home == nil {
		return
	}
	home := f.home
	f.home = nil
	f.buf = f.buf[:0]
	home.Put(f)
}

// frameSizes are the capacities that are pooled. Nearly all requests fit the
// first two; what exceeds the last is left to the garbage collector, so that a
// rare 64 MiB upload does not stay in memory.
var frameSizes = [...]int{1 << 10, 8 << 10, 64 << 10, 1 << 20}

var framePools [len(frameSizes)]sync.Pool

// newFrame returns an empty frame that holds at least size bytes.
func newFrame(size int) *Frame {
	for i, s := range frameSizes {
		if size > s {
			continue
		}
		pool := &framePools[i]
		f, ok := pool.Get().(*Frame)
		if !ok {
			f = &Frame{buf: make([]byte, 0, s)}
		}
		f.home = pool
		return f
	}
	return &Frame{buf: make([]byte, 0, size)}
}

// grow returns a frame with the same content and at least four times the room
// (twice beyond the pooled sizes), and never more than limit+1 bytes of it: the
// byte too many tells that a message exceeds the limit.
func (f *Frame) grow(limit int) *Frame {
	size := cap(f.buf) * 2
	if size <= frameSizes[len(frameSizes)-1] {
		size = cap(f.buf) * 4
	}
	size = min(size, limit+1)
	g := newFrame(size)
	g.buf = append(g.buf, f.buf...)
	f.Release()
	return g
}

// FrameOf returns bytes of one's own as a frame.
func FrameOf(b []byte) *Frame { return &Frame{buf: b} }
