package main

import (
	"context"
	"fmt"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// edges are cases beyond the official ones, of what real peers were seen to do.
var edges = map[string]func(*grpc.ClientConn) error{
	"spaces_at_the_ends": spacesAtTheEnds,
	"waits_for_headers":  waitsForHeaders,
}

// spacesAtTheEnds sends a status message and metadata that begin and end with spaces. The message comes back whole;
// spaces around a metadata value may be gone (PROTOCOL-HTTP2: "may be stripped"), the value may not.
func spacesAtTheEnds(conn *grpc.ClientConn) error {
	for _, message := range []string{" before", "after ", "  both  ", " "} {
		_, err := unary(conn, &SimpleRequest{ResponseStatus: &EchoStatus{Code: 2, Message: message}})
		if err := failsSaying(err, codes.Unknown, message); err != nil {
			return err
		}
	}
	ctx, cancel := within(callLimit)
	defer cancel()
	ctx = metadata.AppendToOutgoingContext(ctx, echoInitial, "  in the middle  ", echoTrailing, " \x00 ")
	return spacedMetadata(ctx, conn)
}

func spacedMetadata(ctx context.Context, conn *grpc.ClientConn) error {
	var header, trailer metadata.MD
	request := &SimpleRequest{ResponseStatus: &EchoStatus{Code: 2, Message: " with metadata "}}
	err := conn.Invoke(ctx, unaryPath, request, new(SimpleResponse), grpc.Header(&header), grpc.Trailer(&trailer))
	if err := failsSaying(err, codes.Unknown, " with metadata "); err != nil {
		return err
	}
	for number, value := range header.Get(echoInitial) {
		header[echoInitial][number] = strings.TrimSpace(value)
	}
	return checkEcho(header, trailer, "in the middle", " \x00 ")
}

// waitsForHeaders sends its first message when the response headers are there; only a server that sends them early
// can serve it.
func waitsForHeaders(conn *grpc.ClientConn) error {
	ctx, cancel := within(smallLimit)
	defer cancel()
	call, err := conn.NewStream(ctx, &fullDuplexDesc, fullDuplexPath)
	if err != nil {
		return err
	}
	if _, err := call.Header(); err != nil {
		return fmt.Errorf("no headers: %v", status.Convert(err).Message())
	}
	if err := call.SendMsg(duplex(8, 9)); err != nil {
		return err
	}
	if _, err := next(call, 9); err != nil {
		return err
	}
	if err := call.CloseSend(); err != nil {
		return err
	}
	return ended(call)
}
