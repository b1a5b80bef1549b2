package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

const (
	echoInitial  = "x-grpc-test-echo-initial"
	echoTrailing = "x-grpc-test-echo-trailing-bin"
)

// service is grpc.testing.TestService.
type service struct {
	encoder *encoder
}

func (s *service) desc() *grpc.ServiceDesc {
	stream := func(name string, handler func(grpc.ServerStream) error) grpc.StreamDesc {
		serve := func(_ interface{}, call grpc.ServerStream) error { return handler(call) }
		return grpc.StreamDesc{StreamName: name, Handler: serve, ServerStreams: true, ClientStreams: true}
	}
	return &grpc.ServiceDesc{
		ServiceName: "grpc.testing.TestService",
		Methods: []grpc.MethodDesc{
			{MethodName: "EmptyCall", Handler: emptyCall},
			{MethodName: "CacheableUnaryCall", Handler: cacheableUnaryCall},
		},
		Streams: []grpc.StreamDesc{
			// grpc-go lets only the handler of a stream choose whether its message is compressed; the bytes are
			// those of a unary call.
			stream("UnaryCall", s.unaryCall),
			stream("StreamingInputCall", streamingInputCall),
			stream("StreamingOutputCall", s.streamingOutputCall),
			stream("FullDuplexCall", s.fullDuplexCall),
			stream("HalfDuplexCall", s.halfDuplexCall),
		},
	}
}

func emptyCall(_ interface{}, ctx context.Context, decode func(interface{}) error, _ grpc.UnaryServerInterceptor) (interface{}, error) {
	if err := decode(new(Empty)); err != nil {
		return nil, err
	}
	initial, trailing := echoes(ctx)
	if err := grpc.SetHeader(ctx, initial); err != nil {
		return nil, err
	}
	return new(Empty), grpc.SetTrailer(ctx, trailing)
}

func cacheableUnaryCall(_ interface{}, ctx context.Context, decode func(interface{}) error, _ grpc.UnaryServerInterceptor) (interface{}, error) {
	if err := decode(new(SimpleRequest)); err != nil {
		return nil, err
	}
	body := []byte(fmt.Sprint(time.Now().UnixNano()))
	header := metadata.Pairs("cache-control", "max-age=60, public")
	return &SimpleResponse{Payload: &Payload{Body: body}}, grpc.SetHeader(ctx, header)
}

func (s *service) unaryCall(call grpc.ServerStream) error {
	request := new(SimpleRequest)
	if err := call.RecvMsg(request); err != nil {
		return err
	}
	if err := expectCompressed(request.ExpectCompressed, request.CameCompressed); err != nil {
		return err
	}
	compress := isTrue(request.ResponseCompressed)
	if compress {
		offerGzip(call)
	}
	echoMetadata(call)
	if err := echoStatus(request.ResponseStatus); err != nil {
		return err
	}
	payload, err := payloadOf(request.ResponseType, request.ResponseSize)
	if err != nil {
		return err
	}
	return s.send(call, &SimpleResponse{Payload: payload}, compress)
}

func streamingInputCall(call grpc.ServerStream) error {
	echoMetadata(call)
	total := 0
	for {
		request := new(StreamingInputCallRequest)
		err := call.RecvMsg(request)
		if err == io.EOF {
			return call.SendMsg(&StreamingInputCallResponse{AggregatedPayloadSize: int32(total)})
		}
		if err != nil {
			return err
		}
		if err := expectCompressed(request.ExpectCompressed, request.CameCompressed); err != nil {
			return err
		}
		total += len(bodyOf(request.Payload))
	}
}

func (s *service) streamingOutputCall(call grpc.ServerStream) error {
	request := new(StreamingOutputCallRequest)
	if err := call.RecvMsg(request); err != nil {
		return err
	}
	for _, wanted := range request.ResponseParameters {
		if isTrue(wanted.Compressed) {
			offerGzip(call)
		}
	}
	echoMetadata(call)
	return s.answer(call, request)
}

func (s *service) fullDuplexCall(call grpc.ServerStream) error {
	echoMetadata(call)
	for {
		request := new(StreamingOutputCallRequest)
		err := call.RecvMsg(request)
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if err := s.answer(call, request); err != nil {
			return err
		}
	}
}

func (s *service) halfDuplexCall(call grpc.ServerStream) error {
	echoMetadata(call)
	var requests []*StreamingOutputCallRequest
	for {
		request := new(StreamingOutputCallRequest)
		err := call.RecvMsg(request)
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		requests = append(requests, request)
	}
	for _, request := range requests {
		if err := s.answer(call, request); err != nil {
			return err
		}
	}
	return nil
}

// answer sends what one request asks for.
func (s *service) answer(call grpc.ServerStream, request *StreamingOutputCallRequest) error {
	if err := echoStatus(request.ResponseStatus); err != nil {
		return err
	}
	for _, wanted := range request.ResponseParameters {
		if err := pause(call.Context(), time.Duration(wanted.IntervalUs)*time.Microsecond); err != nil {
			return err
		}
		payload, err := payloadOf(request.ResponseType, wanted.Size)
		if err != nil {
			return err
		}
		if err := s.send(call, &StreamingOutputCallResponse{Payload: payload}, isTrue(wanted.Compressed)); err != nil {
			return err
		}
	}
	return nil
}

func (s *service) send(call grpc.ServerStream, message interface{}, compress bool) error {
	prepared, err := s.encoder.encode(message, compress)
	if err != nil {
		return err
	}
	return call.SendMsg(prepared)
}

// offerGzip announces grpc-encoding: gzip in the response headers, which must not have gone out yet.
func offerGzip(call grpc.ServerStream) {
	stream := grpc.ServerTransportStreamFromContext(call.Context())
	stream.(interface{ SetSendCompress(string) }).SetSendCompress(gzip.Name)
}

// echoMetadata sends the two well-known keys back: one as initial, the other as trailing metadata.
func echoMetadata(call grpc.ServerStream) {
	initial, trailing := echoes(call.Context())
	call.SetTrailer(trailing)
	if len(initial) > 0 {
		// A call that is over by now has an end that its handler will hear of.
		_ = call.SendHeader(initial)
	}
}

func echoes(ctx context.Context) (initial, trailing metadata.MD) {
	received, _ := metadata.FromIncomingContext(ctx)
	pick := func(key string) metadata.MD {
		picked := metadata.MD{}
		if values := received.Get(key); len(values) > 0 {
			picked.Set(key, values...)
		}
		return picked
	}
	return pick(echoInitial), pick(echoTrailing)
}

// echoStatus ends the call when the request asks for another status than OK.
func echoStatus(wanted *EchoStatus) error {
	if wanted == nil {
		return nil
	}
	if wanted.Code < 0 || wanted.Code > 16 {
		return status.Errorf(codes.InvalidArgument, "no status code %d", wanted.Code)
	}
	return status.Error(codes.Code(wanted.Code), wanted.Message)
}

func expectCompressed(wanted *BoolValue, came bool) error {
	if wanted != nil && wanted.Value != came {
		return status.Errorf(codes.InvalidArgument, "a message came with the compressed flag %v", came)
	}
	return nil
}

func payloadOf(kind, size int32) (*Payload, error) {
	if kind != 0 {
		return nil, status.Errorf(codes.InvalidArgument, "no payload type %d", kind)
	}
	if size < 0 {
		return nil, status.Errorf(codes.InvalidArgument, "a payload cannot have %d bytes", size)
	}
	return zeros(int(size)), nil
}

func isTrue(wanted *BoolValue) bool {
	return wanted != nil && wanted.Value
}

func bodyOf(payload *Payload) []byte {
	if payload == nil {
		return nil
	}
	return payload.Body
}

// pause waits, or ends with the call.
func pause(ctx context.Context, time_ time.Duration) error {
	if time_ <= 0 {
		return nil
	}
	timer := time.NewTimer(time_)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return status.FromContextError(ctx.Err()).Err()
	}
}
