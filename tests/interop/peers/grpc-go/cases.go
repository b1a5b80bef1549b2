package main

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/metadata"
)

// specialMessage needs every kind of percent-encoding.
const specialMessage = "\t\ntest with whitespace\r\nand Unicode BMP \u263a and non-BMP \U0001f608\t\n"

// cases are the core cases, each on a connection of its own.
var cases = map[string]func(*grpc.ClientConn) error{
	"empty_unary":                 emptyUnary,
	"large_unary":                 func(conn *grpc.ClientConn) error { return checkLarge(unary(conn, large())) },
	"client_compressed_unary":     clientCompressedUnary,
	"server_compressed_unary":     serverCompressedUnary,
	"client_streaming":            clientStreaming,
	"client_compressed_streaming": clientCompressedStreaming,
	"server_streaming":            serverStreaming,
	"server_compressed_streaming": serverCompressedStreaming,
	"ping_pong":                   pingPong,
	"empty_stream":                emptyStream,
	"custom_metadata":             customMetadata,
	"status_code_and_message":     statusCodeAndMessage,
	"special_status_message":      specialStatusMessage,
	"unimplemented_method":        unimplemented(unimplementedPath),
	"unimplemented_service":       unimplemented(otherServicePath),
	"cancel_after_begin":          sentAfter(cancelAfterBegin),
	"cancel_after_first_response": sentAfter(cancelAfterFirstResponse),
	"timeout_on_sleeping_server":  timeoutOnSleepingServer,
}

func emptyUnary(conn *grpc.ClientConn) error {
	ctx, cancel := within(callLimit)
	defer cancel()
	return conn.Invoke(ctx, emptyPath, new(Empty), new(Empty))
}

func clientCompressedUnary(conn *grpc.ClientConn) error {
	packed, plain := large(), large()
	packed.ExpectCompressed = &BoolValue{Value: true}
	plain.ExpectCompressed = &BoolValue{Value: false}
	// The probe: a server that cannot tell would accept it, and the rest would prove nothing.
	_, err := unary(conn, packed)
	if err := failsWith(err, codes.InvalidArgument); err != nil {
		return err
	}
	if err := checkLarge(unary(conn, packed, grpc.UseCompressor(gzip.Name))); err != nil {
		return err
	}
	return checkLarge(unary(conn, plain))
}

// acceptingGzip says that responses may be compressed, which grpc-go 1.33 says of calls alone that compress requests.
func acceptingGzip(ctx context.Context) context.Context {
	return metadata.AppendToOutgoingContext(ctx, "grpc-accept-encoding", gzip.Name)
}

func serverCompressedUnary(conn *grpc.ClientConn) error {
	for _, compressed := range []bool{true, false} {
		request := large()
		request.ResponseCompressed = &BoolValue{Value: compressed}
		ctx, cancel := within(callLimit)
		defer cancel()
		response := new(SimpleResponse)
		err := conn.Invoke(acceptingGzip(ctx), unaryPath, request, response)
		if err := checkLarge(response, err); err != nil {
			return err
		}
		if err := equal("the response came compressed", response.CameCompressed, compressed); err != nil {
			return err
		}
	}
	return nil
}

func clientStreaming(conn *grpc.ClientConn) error {
	var messages []interface{}
	for _, size := range uploadSizes {
		messages = append(messages, &StreamingInputCallRequest{Payload: zeros(size)})
	}
	size, err := upload(conn, messages)
	if err != nil {
		return err
	}
	return equal("aggregated_payload_size", size, 74922)
}

func clientCompressedStreaming(conn *grpc.ClientConn) error {
	request := func(size int, compressed bool) *StreamingInputCallRequest {
		return &StreamingInputCallRequest{Payload: zeros(size), ExpectCompressed: &BoolValue{Value: compressed}}
	}
	encoder, err := newEncoder()
	if err != nil {
		return err
	}
	_, err = upload(conn, []interface{}{request(27182, true)})
	if err := failsWith(err, codes.InvalidArgument); err != nil {
		return err
	}
	plain, err := encoder.encode(request(45904, false), false)
	if err != nil {
		return err
	}
	size, err := upload(conn, []interface{}{request(27182, true), plain}, grpc.UseCompressor(gzip.Name))
	if err != nil {
		return err
	}
	return equal("aggregated_payload_size", size, 73086)
}

// download begins a call that asks for responses.
func download(ctx context.Context, conn *grpc.ClientConn, request *StreamingOutputCallRequest) (grpc.ClientStream, error) {
	call, err := conn.NewStream(ctx, &downloadDesc, downloadPath)
	if err != nil {
		return nil, err
	}
	if err := call.SendMsg(request); err != nil {
		return nil, err
	}
	return call, call.CloseSend()
}

func serverStreaming(conn *grpc.ClientConn) error {
	ctx, cancel := within(callLimit)
	defer cancel()
	call, err := download(ctx, conn, duplex(0, downloadSizes...))
	if err != nil {
		return err
	}
	for _, size := range downloadSizes {
		if _, err := next(call, size); err != nil {
			return err
		}
	}
	return ended(call)
}

func serverCompressedStreaming(conn *grpc.ClientConn) error {
	request := duplex(0, 31415, 92653)
	for number, wanted := range request.ResponseParameters {
		wanted.Compressed = &BoolValue{Value: number == 0}
	}
	ctx, cancel := within(callLimit)
	defer cancel()
	call, err := download(acceptingGzip(ctx), conn, request)
	if err != nil {
		return err
	}
	for _, wanted := range request.ResponseParameters {
		response, err := next(call, int(wanted.Size))
		if err != nil {
			return err
		}
		if err := equal("the response came compressed", response.CameCompressed, wanted.Compressed.Value); err != nil {
			return err
		}
	}
	return ended(call)
}

func pingPong(conn *grpc.ClientConn) error {
	ctx, cancel := within(callLimit)
	defer cancel()
	call, err := conn.NewStream(ctx, &fullDuplexDesc, fullDuplexPath)
	if err != nil {
		return err
	}
	for number, size := range uploadSizes {
		if err := call.SendMsg(duplex(size, downloadSizes[number])); err != nil {
			return err
		}
		if _, err := next(call, downloadSizes[number]); err != nil {
			return err
		}
	}
	if err := call.CloseSend(); err != nil {
		return err
	}
	return ended(call)
}

func emptyStream(conn *grpc.ClientConn) error {
	ctx, cancel := within(callLimit)
	defer cancel()
	call, err := conn.NewStream(ctx, &fullDuplexDesc, fullDuplexPath)
	if err != nil {
		return err
	}
	if err := call.CloseSend(); err != nil {
		return err
	}
	return ended(call)
}

const (
	initialValue  = "test_initial_metadata_value"
	trailingValue = "\xab\xab\xab"
)

func customMetadata(conn *grpc.ClientConn) error {
	ctx, cancel := within(callLimit)
	defer cancel()
	ctx = metadata.AppendToOutgoingContext(ctx, echoInitial, initialValue, echoTrailing, trailingValue)
	var header, trailer metadata.MD
	response := new(SimpleResponse)
	err := conn.Invoke(ctx, unaryPath, large(), response, grpc.Header(&header), grpc.Trailer(&trailer))
	if err := checkLarge(response, err); err != nil {
		return err
	}
	if err := checkEcho(header, trailer, initialValue, trailingValue); err != nil {
		return err
	}
	return duplexMetadata(ctx, conn)
}

func duplexMetadata(ctx context.Context, conn *grpc.ClientConn) error {
	call, err := conn.NewStream(ctx, &fullDuplexDesc, fullDuplexPath)
	if err != nil {
		return err
	}
	if err := call.SendMsg(duplex(largeRequest, largeResponse)); err != nil {
		return err
	}
	if err := call.CloseSend(); err != nil {
		return err
	}
	if _, err := next(call, largeResponse); err != nil {
		return err
	}
	if err := ended(call); err != nil {
		return err
	}
	header, err := call.Header()
	if err != nil {
		return err
	}
	return checkEcho(header, call.Trailer(), initialValue, trailingValue)
}

// checkEcho checks that each value came back once, and where it belongs.
func checkEcho(header, trailer metadata.MD, initial, trailing string) error {
	got := fmt.Sprintf("%q %q", header.Get(echoInitial), trailer.Get(echoTrailing))
	return equal("echoed metadata", got, fmt.Sprintf("[%q] [%q]", initial, trailing))
}

func statusCodeAndMessage(conn *grpc.ClientConn) error {
	wanted := &EchoStatus{Code: 2, Message: "test status message"}
	_, err := unary(conn, &SimpleRequest{ResponseStatus: wanted})
	if err := failsSaying(err, codes.Unknown, wanted.Message); err != nil {
		return err
	}
	ctx, cancel := within(callLimit)
	defer cancel()
	call, err := conn.NewStream(ctx, &fullDuplexDesc, fullDuplexPath)
	if err != nil {
		return err
	}
	if err := call.SendMsg(&StreamingOutputCallRequest{ResponseStatus: wanted}); err != nil {
		return err
	}
	if err := call.CloseSend(); err != nil {
		return err
	}
	return failsSaying(call.RecvMsg(new(StreamingOutputCallResponse)), codes.Unknown, wanted.Message)
}

func specialStatusMessage(conn *grpc.ClientConn) error {
	_, err := unary(conn, &SimpleRequest{ResponseStatus: &EchoStatus{Code: 2, Message: specialMessage}})
	return failsSaying(err, codes.Unknown, specialMessage)
}

func unimplemented(path string) func(*grpc.ClientConn) error {
	return func(conn *grpc.ClientConn) error {
		ctx, cancel := within(callLimit)
		defer cancel()
		return failsWith(conn.Invoke(ctx, path, new(Empty), new(Empty)), codes.Unimplemented)
	}
}

func cancelAfterBegin(conn *grpc.ClientConn) error {
	ctx, cancel := within(callLimit)
	call, err := conn.NewStream(ctx, &uploadDesc, uploadPath)
	cancel()
	if err != nil {
		return err
	}
	return failsWith(call.RecvMsg(new(StreamingInputCallResponse)), codes.Canceled)
}

func cancelAfterFirstResponse(conn *grpc.ClientConn) error {
	ctx, cancel := within(callLimit)
	defer cancel()
	call, err := conn.NewStream(ctx, &fullDuplexDesc, fullDuplexPath)
	if err != nil {
		return err
	}
	if err := call.SendMsg(duplex(27182, 31415)); err != nil {
		return err
	}
	if _, err := next(call, 31415); err != nil {
		return err
	}
	cancel()
	return failsWith(call.RecvMsg(new(StreamingOutputCallResponse)), codes.Canceled)
}

// sentAfter makes a last call, so that what a case sent before has left when its connection is closed.
func sentAfter(body func(*grpc.ClientConn) error) func(*grpc.ClientConn) error {
	return func(conn *grpc.ClientConn) error {
		if err := body(conn); err != nil {
			return err
		}
		return emptyUnary(conn)
	}
}

func timeoutOnSleepingServer(conn *grpc.ClientConn) error {
	ctx, cancel := within(time.Millisecond)
	defer cancel()
	call, err := conn.NewStream(ctx, &fullDuplexDesc, fullDuplexPath)
	if err != nil {
		return failsWith(err, codes.DeadlineExceeded)
	}
	// The deadline may pass before the message is sent; RecvMsg has the status then too.
	_ = call.SendMsg(duplex(27182))
	return failsWith(call.RecvMsg(new(StreamingOutputCallResponse)), codes.DeadlineExceeded)
}
