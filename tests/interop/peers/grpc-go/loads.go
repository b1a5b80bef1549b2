package main

import (
	"fmt"
	"io"
	"sort"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
)

// loads are the cases under load; each says what it saw.
var loads = map[string]func(*target) (string, error){
	"concurrent_large_unary": concurrentLargeUnary,
	"rpc_soak":               rpcSoak,
	"channel_soak":           channelSoak,
	"many_unary":             manyUnary,
	"long_bidi":              longBidi,
	"ended_early":            endedEarly,
	"dropped_early":          droppedEarly,
	"expired_deadlines":      expiredDeadlines,
	"mixed_ends":             mixedEnds,
	"stalled_downloads":      stalledDownloads,
	"stalled_uploads":        stalledUploads,
}

const (
	soakLimit = time.Second
	// atOnceLimit is the deadline of calls that are all made at once: more than any peer needs for all of them.
	atOnceLimit = 80 * time.Second
	// tinyBody is the payload's body in a message of ten bytes.
	tinyBody = 6
	// underWay is how many messages are sent, and asked for, of each call that ends early.
	underWay = 400
	// stalledLimit is the deadline of a call that stands still.
	stalledLimit = 20 * time.Second
	// smallLimit is the deadline of a call that nothing may hold up.
	smallLimit = 5 * time.Second
)

// inParallel runs `body` for each number below `calls`, `atOnce` of them at a time.
func inParallel(atOnce, calls int, body func(number int) error) error {
	var next, failed int64
	var first atomic.Value
	var workers sync.WaitGroup
	for worker := 0; worker < atOnce; worker++ {
		workers.Add(1)
		go func() {
			defer workers.Done()
			for number := atomic.AddInt64(&next, 1); number <= int64(calls); number = atomic.AddInt64(&next, 1) {
				if err := withoutPanic(body, int(number)); err != nil {
					atomic.AddInt64(&failed, 1)
					first.CompareAndSwap(nil, err.Error())
				}
			}
		}()
	}
	workers.Wait()
	if failed > 0 {
		return fmt.Errorf("%d of %d calls failed, the first: %v", failed, calls, first.Load())
	}
	return nil
}

// withoutPanic makes an error of a panic: grpc-go 1.33 has one in RecvMsg when a connection dies under a new call.
func withoutPanic(body func(int) error, number int) (err error) {
	defer func() {
		if panicked := recover(); panicked != nil {
			err = fmt.Errorf("panic in grpc-go: %v", panicked)
		}
	}()
	return body(number)
}

// counted runs a load on one connection and says how many calls it made.
func (t *target) counted(what string, body func(conn *grpc.ClientConn) error) (string, error) {
	began := time.Now()
	err := t.session(body)
	return fmt.Sprintf("%d %s in %.1f s", t.calls, what, time.Since(began).Seconds()), err
}

func concurrentLargeUnary(t *target) (string, error) {
	err := t.session(func(conn *grpc.ClientConn) error {
		return inParallel(1000, 1000, func(int) error { return checkLarge(unaryWithin(atOnceLimit, conn, large())) })
	})
	return "", err
}

func soak(call func() error) (string, error) {
	var slowest time.Duration
	for number := 0; number < 100; number++ {
		began := time.Now()
		if err := call(); err != nil {
			return "", fmt.Errorf("call %d: %v", number, err)
		}
		if took := time.Since(began); took > slowest {
			slowest = took
		}
	}
	if slowest > soakLimit {
		return "", fmt.Errorf("a call took %v", slowest)
	}
	return fmt.Sprintf("slowest call %d ms", slowest.Milliseconds()), nil
}

func rpcSoak(t *target) (said string, err error) {
	err = t.session(func(conn *grpc.ClientConn) error {
		var failed error
		said, failed = soak(func() error { return checkLarge(unary(conn, large())) })
		return failed
	})
	return said, err
}

func channelSoak(t *target) (string, error) {
	return soak(func() error {
		return t.session(func(conn *grpc.ClientConn) error { return checkLarge(unary(conn, large())) })
	})
}

// manyUnary makes small calls one after another: grpc-go sends a PING in each of their round trips.
func manyUnary(t *target) (string, error) {
	return t.counted("calls", func(conn *grpc.ClientConn) error {
		return inParallel(1, t.calls, func(int) error { return small(conn) })
	})
}

// small makes a call of one byte each way, which nothing may hold up.
func small(conn *grpc.ClientConn) error {
	ctx, cancel := within(smallLimit)
	defer cancel()
	request, response := &SimpleRequest{ResponseSize: 1, Payload: zeros(1)}, new(SimpleResponse)
	if err := conn.Invoke(ctx, unaryPath, request, response); err != nil {
		return err
	}
	return checkBody(response.Payload, 1)
}

// longBidi sends its messages on a few streams, each after the answer to the one before.
func longBidi(t *target) (string, error) {
	return t.counted(fmt.Sprintf("messages on %d streams", t.atOnce), func(conn *grpc.ClientConn) error {
		return inParallel(t.atOnce, t.atOnce, func(int) error { return conversation(conn, t.calls/t.atOnce) })
	})
}

func conversation(conn *grpc.ClientConn, messages int) error {
	ctx, cancel := within(60 * time.Second)
	defer cancel()
	call, err := conn.NewStream(ctx, &fullDuplexDesc, fullDuplexPath)
	if err != nil {
		return err
	}
	for number := 0; number < messages; number++ {
		if err := call.SendMsg(duplex(10, 10)); err == io.EOF {
			return call.RecvMsg(new(StreamingOutputCallResponse))
		} else if err != nil {
			return err
		}
		if _, err := next(call, 10); err != nil {
			return fmt.Errorf("message %d: %v", number, err)
		}
	}
	if err := call.CloseSend(); err != nil {
		return err
	}
	return ended(call)
}

// endedEarly makes calls that the server ends at once, while messages of ten bytes are under way to it.
func endedEarly(t *target) (string, error) {
	return t.counted("calls", func(conn *grpc.ClientConn) error {
		return inParallel(t.atOnce, t.calls, func(int) error {
			ctx, cancel := within(callLimit)
			defer cancel()
			call, err := conn.NewStream(ctx, &fullDuplexDesc, fullDuplexPath)
			if err != nil {
				return err
			}
			wanted := &EchoStatus{Code: int32(codes.FailedPrecondition), Message: "early"}
			if err := call.SendMsg(&StreamingOutputCallRequest{ResponseStatus: wanted}); err != nil {
				return err
			}
			keepSending(call)
			return failsSaying(call.RecvMsg(new(StreamingOutputCallResponse)), codes.FailedPrecondition, "early")
		})
	})
}

// keepSending sends messages of ten bytes until all are sent or the call is over.
func keepSending(call grpc.ClientStream) {
	for number := 0; number < underWay && call.SendMsg(duplex(tinyBody)) == nil; number++ {
	}
}

// droppedEarly makes calls that it drops while messages of ten bytes are under way both ways.
func droppedEarly(t *target) (string, error) {
	return t.counted("calls", func(conn *grpc.ClientConn) error {
		err := inParallel(t.atOnce, t.calls, func(int) error { return dropped(conn) })
		if err != nil {
			return err
		}
		return small(conn)
	})
}

func dropped(conn *grpc.ClientConn) error {
	ctx, cancel := within(callLimit)
	defer cancel()
	call, err := conn.NewStream(ctx, &fullDuplexDesc, fullDuplexPath)
	if err != nil {
		return err
	}
	request := duplex(0)
	for number := 0; number < underWay; number++ {
		request.ResponseParameters = append(request.ResponseParameters, &ResponseParameters{Size: tinyBody})
	}
	if err := call.SendMsg(request); err != nil {
		return err
	}
	sending := make(chan struct{})
	go func() {
		defer close(sending)
		keepSending(call)
	}()
	for number := 0; number < 3 && err == nil; number++ {
		_, err = next(call, tinyBody)
	}
	cancel()
	<-sending
	return err
}

// expiredDeadlines makes calls that nobody answers, and that must end with DEADLINE_EXCEEDED.
func expiredDeadlines(t *target) (string, error) {
	return t.counted("calls", func(conn *grpc.ClientConn) error {
		return inParallel(t.atOnce, t.calls, func(number int) error {
			return outOfTime(conn, time.Duration(20+number%40)*time.Millisecond)
		})
	})
}

func outOfTime(conn *grpc.ClientConn, limit time.Duration) error {
	ctx, cancel := within(limit)
	defer cancel()
	call, err := conn.NewStream(ctx, &fullDuplexDesc, fullDuplexPath)
	if err != nil {
		return failsWith(err, codes.DeadlineExceeded)
	}
	return failsWith(call.RecvMsg(new(StreamingOutputCallResponse)), codes.DeadlineExceeded)
}

// mixedEnds keeps calls going, of which one in five is cancelled or out of time; the others must end well.
func mixedEnds(t *target) (string, error) {
	until := time.Now().Add(time.Duration(t.seconds * float64(time.Second)))
	var well, other int64
	err := t.session(func(conn *grpc.ClientConn) error {
		return inParallel(t.atOnce, t.atOnce, func(number int) error {
			for ; time.Now().Before(until); number++ {
				if number%5 != 0 {
					if err := small(conn); err != nil {
						return err
					}
					atomic.AddInt64(&well, 1)
					continue
				}
				atomic.AddInt64(&other, 1)
				if err := endBadly(conn, number); err != nil {
					return err
				}
			}
			return nil
		})
	})
	return fmt.Sprintf("%d calls ended well, %d were cancelled or out of time", well, other), err
}

func endBadly(conn *grpc.ClientConn, number int) error {
	if number%2 == 0 {
		return outOfTime(conn, 10*time.Millisecond)
	}
	return cancelAfterFirstResponse(conn)
}

const (
	stalledCalls  = 20
	stalledSize   = 1 << 20
	besideStalled = 200
)

// stalledDownloads makes small calls while others have messages of 1 MiB that nobody receives, and receives them then.
func stalledDownloads(t *target) (said string, err error) {
	err = t.session(func(conn *grpc.ClientConn) error {
		var stalled []grpc.ClientStream
		for number := 0; number < stalledCalls; number++ {
			ctx, cancel := within(stalledLimit)
			defer cancel()
			call, err := download(ctx, conn, duplex(0, stalledSize, stalledSize))
			if err != nil {
				return err
			}
			if _, err := call.Header(); err != nil {
				return err
			}
			stalled = append(stalled, call)
		}
		if said, err = smallBeside(conn); err != nil {
			return err
		}
		for _, call := range stalled {
			for number := 0; number < 2; number++ {
				if _, err := next(call, stalledSize); err != nil {
					return fmt.Errorf("a stalled call: %v", err)
				}
			}
			if err := ended(call); err != nil {
				return err
			}
		}
		return nil
	})
	return said, err
}

// stalledUploads makes small calls while others send messages of 1 MiB to handlers that do not receive them.
func stalledUploads(t *target) (said string, err error) {
	err = t.session(func(conn *grpc.ClientConn) error {
		ctx, cancel := within(stalledLimit)
		defer cancel()
		for number := 0; number < stalledCalls; number++ {
			call, err := conn.NewStream(ctx, &fullDuplexDesc, fullDuplexPath)
			if err != nil {
				return err
			}
			// The handler answers once, and is busy with the second answer then.
			request := duplex(0, 1, 1)
			request.ResponseParameters[1].IntervalUs = 30_000_000
			if err := call.SendMsg(request); err != nil {
				return err
			}
			if _, err := next(call, 1); err != nil {
				return err
			}
			go func() {
				for call.SendMsg(duplex(stalledSize)) == nil {
				}
			}()
		}
		said, err = smallBeside(conn)
		return err
	})
	return said, err
}

// smallBeside makes the small calls and says how long they took.
func smallBeside(conn *grpc.ClientConn) (string, error) {
	var took []time.Duration
	for number := 0; number < besideStalled; number++ {
		began := time.Now()
		if err := small(conn); err != nil {
			return "", fmt.Errorf("small call %d: %v", number, err)
		}
		took = append(took, time.Since(began))
	}
	sort.Slice(took, func(a, b int) bool { return took[a] < took[b] })
	ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
	return fmt.Sprintf("p50 %.1f ms, worst %.1f ms", ms(took[len(took)/2]), ms(took[len(took)-1])), nil
}
