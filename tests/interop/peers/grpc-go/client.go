package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

const (
	testService       = "/grpc.testing.TestService/"
	emptyPath         = testService + "EmptyCall"
	unaryPath         = testService + "UnaryCall"
	uploadPath        = testService + "StreamingInputCall"
	downloadPath      = testService + "StreamingOutputCall"
	fullDuplexPath    = testService + "FullDuplexCall"
	unimplementedPath = testService + "UnimplementedCall"
	otherServicePath  = "/grpc.testing.UnimplementedService/UnimplementedCall"
)

const (
	callLimit     = 25 * time.Second
	largeRequest  = 271828
	largeResponse = 314159
)

var (
	uploadSizes   = []int{27182, 8, 1828, 45904}
	downloadSizes = []int{31415, 9, 2653, 58979}

	fullDuplexDesc = grpc.StreamDesc{ClientStreams: true, ServerStreams: true}
	uploadDesc     = grpc.StreamDesc{ClientStreams: true}
	downloadDesc   = grpc.StreamDesc{ServerStreams: true}
)

// target is the server under test, and the numbers of the load cases.
type target struct {
	address string
	calls   int
	atOnce  int
	seconds float64
}

// session runs a case on a connection of its own.
func (t *target) session(body func(conn *grpc.ClientConn) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), callLimit)
	defer cancel()
	conn, err := grpc.DialContext(ctx, t.address, grpc.WithInsecure(), grpc.WithBlock())
	if err != nil {
		return fmt.Errorf("no connection to %s: %v", t.address, err)
	}
	defer conn.Close()
	return body(conn)
}

// within gives a call's context: its deadline, which `cancel` brings forward.
func within(limit time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), limit)
}

// unary makes one call without a stream.
func unary(conn *grpc.ClientConn, request *SimpleRequest, options ...grpc.CallOption) (*SimpleResponse, error) {
	return unaryWithin(callLimit, conn, request, options...)
}

func unaryWithin(limit time.Duration, conn *grpc.ClientConn, request *SimpleRequest, options ...grpc.CallOption) (*SimpleResponse, error) {
	ctx, cancel := within(limit)
	defer cancel()
	response := new(SimpleResponse)
	return response, conn.Invoke(ctx, unaryPath, request, response, options...)
}

// upload sends the messages, as what SendMsg takes, and receives the one response.
func upload(conn *grpc.ClientConn, messages []interface{}, options ...grpc.CallOption) (int, error) {
	ctx, cancel := within(callLimit)
	defer cancel()
	call, err := conn.NewStream(ctx, &uploadDesc, uploadPath, options...)
	if err != nil {
		return 0, err
	}
	for _, message := range messages {
		// io.EOF: the call has ended, and RecvMsg has its status.
		if err := call.SendMsg(message); err == io.EOF {
			break
		} else if err != nil {
			return 0, err
		}
	}
	if err := call.CloseSend(); err != nil {
		return 0, err
	}
	response := new(StreamingInputCallResponse)
	err = call.RecvMsg(response)
	return int(response.AggregatedPayloadSize), err
}

func large() *SimpleRequest {
	return &SimpleRequest{ResponseSize: largeResponse, Payload: zeros(largeRequest)}
}

// duplex asks for responses of these sizes, with a payload.
func duplex(request int, responses ...int) *StreamingOutputCallRequest {
	message := &StreamingOutputCallRequest{}
	if request > 0 {
		message.Payload = zeros(request)
	}
	for _, size := range responses {
		message.ResponseParameters = append(message.ResponseParameters, &ResponseParameters{Size: int32(size)})
	}
	return message
}

func equal(what string, got, want interface{}) error {
	if got != want {
		return fmt.Errorf("%s: got %v, want %v", what, got, want)
	}
	return nil
}

func checkBody(payload *Payload, size int) error {
	body := bodyOf(payload)
	for _, byte := range body {
		if byte != 0 {
			return errors.New("the payload is not all zeros")
		}
	}
	return equal("bytes in the payload", len(body), size)
}

func checkLarge(response *SimpleResponse, err error) error {
	if err != nil {
		return err
	}
	return checkBody(response.Payload, largeResponse)
}

// failsWith checks that `err` is a call's end with this code.
func failsWith(err error, want codes.Code) error {
	if got := status.Code(err); got != want {
		return fmt.Errorf("got %v, want %v", err, want)
	}
	return nil
}

func failsSaying(err error, code codes.Code, message string) error {
	if err := failsWith(err, code); err != nil {
		return err
	}
	return equal("status message", status.Convert(err).Message(), message)
}

// next receives a response that must be there and have this size.
func next(call grpc.ClientStream, size int) (*StreamingOutputCallResponse, error) {
	response := new(StreamingOutputCallResponse)
	if err := call.RecvMsg(response); err == io.EOF {
		return nil, errors.New("fewer responses than were asked for")
	} else if err != nil {
		return nil, err
	}
	return response, checkBody(response.Payload, size)
}

// ended checks that a call ends well now, without another response.
func ended(call grpc.ClientStream) error {
	if err := call.RecvMsg(new(StreamingOutputCallResponse)); err != io.EOF {
		return fmt.Errorf("got %v at the end, want io.EOF", err)
	}
	return nil
}
