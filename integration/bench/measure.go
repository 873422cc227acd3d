package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"text/tabwriter"
	"time"

	"jimm/workload/rpc"
)

// call is what is asked again and again.
type call struct {
	name  string
	frame []byte
}

var calls = []call{
	{"Pinger.Ping", rpc.AppendRequest(nil, &rpc.Request{RequestID: 2, Type: "Pinger", Version: 1, Method: "Ping"})},
	{"ModelConfig.ModelGet", rpc.AppendRequest(nil, &rpc.Request{RequestID: 2, Type: "ModelConfig", Version: 4, Method: "ModelGet"})},
}

// result is what one way was like.
type result struct {
	took    []time.Duration
	elapsed time.Duration
	// rounds has the calls a second of each time.
	rounds []float64
	// processor is the time of the process in between.
	processor time.Duration
}

// against compares the rates of two ways, time by time, and returns the median:
// other work on the machine changes from one time to the next.
func (r result) against(other result) float64 {
	ratios := make([]float64, len(r.rounds))
	for i := range ratios {
		ratios[i] = r.rounds[i] / other.rounds[i]
	}
	slices.Sort(ratios)
	return ratios[len(ratios)/2]
}

// settle is for how long a process is left alone after each time, so that what
// it does in the background counts for the calls it was about.
const settle = 300 * time.Millisecond

func (r result) quantile(q float64) time.Duration {
	if len(r.took) == 0 {
		return 0
	}
	return r.took[min(int(q*float64(len(r.took))), len(r.took)-1)]
}

func (r result) rate() float64 { return float64(len(r.took)) / r.elapsed.Seconds() }

func measure(ctx context.Context, s settings, w *world, out io.Writer) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	line := func(cells ...any) {
		for _, c := range cells {
			fmt.Fprintf(table, "%v\t", c)
		}
		fmt.Fprintln(table)
	}
	fmt.Fprintf(out, "controller: %s; %d rounds of %v for each way, in turn\n\n", s.target, s.rounds, s.round)
	// A mebibyte of session before anything is timed: TLS and pools are warm then.
	for _, c := range calls {
		if _, err := load(ctx, s, w, c, 1, 2, 500*time.Millisecond); err != nil {
			return err
		}
	}

	for _, connections := range []int{1, s.connections} {
		if s.profile != "" && connections > 1 {
			if _, err := w.jimm.tell(order{Profile: &s.profile}); err != nil {
				return err
			}
		}
		for _, c := range calls {
			results, err := load(ctx, s, w, c, connections, s.rounds, s.round)
			if err != nil {
				return err
			}
			line(fmt.Sprintf("%s, %d at once", c.name, connections), "median", "p99", "calls/s", "processor", "median-copy", "p99/copy", "rate/copy", "rate/not audited")
			floor := results[1]
			for i, r := range results {
				cells := []any{w.ways[i].name, micro(r.quantile(0.5)), micro(r.quantile(0.99)), fmt.Sprintf("%.0f", r.rate()), ""}
				if r.processor > 0 {
					cells[4] = micro(r.processor / time.Duration(len(r.took)))
				}
				if i > 1 {
					cells = append(cells, micro(r.quantile(0.5)-floor.quantile(0.5)),
						fmt.Sprintf("%.2f", float64(r.quantile(0.99))/float64(floor.quantile(0.99))),
						fmt.Sprintf("%.2f", r.rate()/floor.rate()))
				}
				if i > 2 {
					cells = append(cells, fmt.Sprintf("%.2f", r.against(results[i-1])))
				}
				line(cells...)
			}
			line()
		}
		if s.profile != "" && connections > 1 {
			none := ""
			if _, err := w.jimm.tell(order{Profile: &none}); err != nil {
				return err
			}
		}
	}

	line("connect and log in", "median", "p99", "", "median-direct")
	logins, err := measureLogins(ctx, s, w)
	if err != nil {
		return err
	}
	for i, r := range logins {
		cells := []any{w.ways[i].name, micro(r.quantile(0.5)), micro(r.quantile(0.99)), ""}
		if i > 0 {
			cells = append(cells, micro(r.quantile(0.5)-logins[0].quantile(0.5)))
		}
		line(cells...)
	}
	line()

	line(fmt.Sprintf("memory, %d idle connections", s.idle), "RSS each", "heap", "with gaps", "stacks")
	for _, v := range w.ways {
		if v.process == nil || v.name == unaudited {
			continue
		}
		m, err := measureMemory(ctx, s, w, v)
		if err != nil {
			return err
		}
		each := func(n int64) string { return fmt.Sprintf("%.1f KB", float64(n)/float64(s.idle)/1000) }
		line(v.name, each(m.Bytes), each(m.Heap), each(m.Spans), each(m.Stacks))
	}
	return table.Flush()
}

func micro(d time.Duration) string { return fmt.Sprintf("%.0f µs", float64(d.Nanoseconds())/1000) }

// load makes one call again and again on each of some connections, each way in
// turn, and returns one result a way.
func load(ctx context.Context, s settings, w *world, c call, connections, rounds int, round time.Duration) ([]result, error) {
	conns := make([][]*rpc.Conn, len(w.ways))
	defer func() {
		for _, of := range conns {
			for _, conn := range of {
				conn.Abort()
			}
		}
	}()
	for i, v := range w.ways {
		for range connections {
			conn, err := v.open(ctx)
			if err != nil {
				return nil, err
			}
			conns[i] = append(conns[i], conn)
		}
	}
	results := make([]result, len(w.ways))
	for range rounds {
		for i := range w.ways {
			var clients sync.WaitGroup
			var mu sync.Mutex
			var failed error
			before, err := processor(w.ways[i])
			if err != nil {
				return nil, err
			}
			already := len(results[i].took)
			start := time.Now()
			for _, conn := range conns[i] {
				clients.Go(func() {
					took, err := repeat(conn, c.frame, start.Add(round))
					mu.Lock()
					defer mu.Unlock()
					results[i].took = append(results[i].took, took...)
					failed = errors.Join(failed, err)
				})
			}
			clients.Wait()
			elapsed := time.Since(start)
			results[i].elapsed += elapsed
			results[i].rounds = append(results[i].rounds, float64(len(results[i].took)-already)/elapsed.Seconds())
			if failed != nil {
				return nil, fmt.Errorf("%s: %w", w.ways[i].name, failed)
			}
			time.Sleep(settle)
			after, err := processor(w.ways[i])
			if err != nil {
				return nil, err
			}
			results[i].processor += after - before
			if err := ctx.Err(); err != nil {
				return nil, err
			}
		}
	}
	for _, r := range results {
		slices.Sort(r.took)
	}
	return results, nil
}

// processor is the time of the process on the way, 0 if there is none.
func processor(v way) (time.Duration, error) {
	if v.process == nil {
		return 0, nil
	}
	return v.process.processor()
}

// repeat calls until a time, and returns how long each call took.
func repeat(conn *rpc.Conn, frame []byte, until time.Time) ([]time.Duration, error) {
	var took []time.Duration
	var head rpc.ReplyHead
	for now := time.Now(); now.Before(until); {
		if err := conn.WriteFrame(frame); err != nil {
			return nil, err
		}
		reply, err := conn.ReadFrame()
		if err != nil {
			return nil, err
		}
		end := time.Now()
		took = append(took, end.Sub(now))
		now = end
		err = rpc.ParseReply(reply.Bytes(), &head)
		reply.Release()
		if err != nil {
			return nil, err
		}
		if err := head.Err(); err != nil {
			return nil, err
		}
	}
	return took, nil
}

func measureLogins(ctx context.Context, s settings, w *world) ([]result, error) {
	results := make([]result, len(w.ways))
	for n := range s.logins + 2 {
		for i, v := range w.ways {
			start := time.Now()
			conn, err := v.open(ctx)
			if err != nil {
				return nil, err
			}
			if n >= 2 { // the first ones have no TLS session yet
				results[i].took = append(results[i].took, time.Since(start))
			}
			_ = conn.Close()
		}
	}
	for _, r := range results {
		slices.Sort(r.took)
	}
	return results, nil
}

// measureMemory returns how much a process grows by idle connections that have
// been used a little.
func measureMemory(ctx context.Context, s settings, w *world, v way) (answer, error) {
	before, err := v.process.tell(order{Memory: true})
	if err != nil {
		return answer{}, err
	}
	var conns []*rpc.Conn
	defer func() {
		for _, conn := range conns {
			conn.Abort()
		}
	}()
	for range s.idle {
		conn, err := v.open(ctx)
		if err != nil {
			return answer{}, err
		}
		conns = append(conns, conn)
		for _, c := range calls {
			if _, err := repeat(conn, c.frame, time.Now().Add(time.Nanosecond)); err != nil {
				return answer{}, err
			}
		}
	}
	after, err := v.process.tell(order{Memory: true})
	if err == nil && s.heap != "" && v.process == w.jimm {
		_, err = v.process.tell(order{Heap: s.heap})
	}
	return answer{Bytes: after.Bytes - before.Bytes, Heap: after.Heap - before.Heap, Spans: after.Spans - before.Spans, Stacks: after.Stacks - before.Stacks}, err
}
