package main

import (
	"bytes"
	"context"
	"io"
	"net"

	"google.golang.org/grpc"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/encoding/gzip"
)

// cameCompressed is the field CameCompressed of the messages, set: field 15, a varint, 1.
var cameCompressed = []byte{15 << 3, 1}

// markingGzip is grpc-go's gzip, which puts the field CameCompressed behind each message that it decompresses: grpc-go
// tells nobody which of a call's messages had the compressed flag.
type markingGzip struct {
	encoding.Compressor
}

func (m markingGzip) Decompress(r io.Reader) (io.Reader, error) {
	message, err := m.Compressor.Decompress(r)
	if err != nil {
		return nil, err
	}
	return io.MultiReader(message, bytes.NewReader(cameCompressed)), nil
}

func init() {
	encoding.RegisterCompressor(markingGzip{encoding.GetCompressor(gzip.Name)})
}

// encoder encodes single messages with or without compression, whatever the call that they are for does with all of
// its messages: a PreparedMsg follows the call that it was made with, which need not be the one that it is sent on.
type encoder struct {
	plain, gzip grpc.Stream
}

// encoderLike begins the two calls on `conn`, and cancels them.
func encoderLike(conn *grpc.ClientConn) (*encoder, error) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	plain, err := conn.NewStream(ctx, &fullDuplexDesc, fullDuplexPath, grpc.WaitForReady(true))
	if err != nil {
		return nil, err
	}
	packed, err := conn.NewStream(ctx, &fullDuplexDesc, fullDuplexPath, grpc.UseCompressor(gzip.Name))
	if err != nil {
		return nil, err
	}
	return &encoder{plain, packed}, nil
}

// newEncoder makes an encoder. The calls that it needs are made on a server that lives as long as that takes.
func newEncoder() (*encoder, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	server := grpc.NewServer()
	defer server.Stop()
	go func() { _ = server.Serve(listener) }()
	conn, err := grpc.Dial(listener.Addr().String(), grpc.WithInsecure())
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	return encoderLike(conn)
}

// encode gives what SendMsg takes.
func (e *encoder) encode(message interface{}, compress bool) (*grpc.PreparedMsg, error) {
	like := e.plain
	if compress {
		like = e.gzip
	}
	prepared := new(grpc.PreparedMsg)
	return prepared, prepared.Encode(like, message)
}
