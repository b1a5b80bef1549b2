package main

import "github.com/golang/protobuf/proto"

// The grpc.testing messages, by hand: the field numbers and types of tests/interop/proto, so that no build here needs
// protoc. Those whose compressed flag somebody asks for have one field more, CameCompressed: it is never sent, see
// compression.go.

// Empty is the message with nothing in it.
type Empty struct{}

// BoolValue is a boolean that can also be absent.
type BoolValue struct {
	Value bool `protobuf:"varint,1,opt,name=value,proto3"`
}

// Payload holds bytes whose only purpose is their number.
type Payload struct {
	Type int32  `protobuf:"varint,1,opt,name=type,proto3"`
	Body []byte `protobuf:"bytes,2,opt,name=body,proto3"`
}

// EchoStatus is the status with which the server is asked to end the call.
type EchoStatus struct {
	Code    int32  `protobuf:"varint,1,opt,name=code,proto3"`
	Message string `protobuf:"bytes,2,opt,name=message,proto3"`
}

// SimpleRequest says what the response of a unary call shall be.
type SimpleRequest struct {
	ResponseType       int32       `protobuf:"varint,1,opt,name=response_type,proto3"`
	ResponseSize       int32       `protobuf:"varint,2,opt,name=response_size,proto3"`
	Payload            *Payload    `protobuf:"bytes,3,opt,name=payload,proto3"`
	ResponseCompressed *BoolValue  `protobuf:"bytes,6,opt,name=response_compressed,proto3"`
	ResponseStatus     *EchoStatus `protobuf:"bytes,7,opt,name=response_status,proto3"`
	ExpectCompressed   *BoolValue  `protobuf:"bytes,8,opt,name=expect_compressed,proto3"`
	CameCompressed     bool        `protobuf:"varint,15,opt,name=came_compressed,proto3"`
}

// SimpleResponse answers a unary call.
type SimpleResponse struct {
	Payload        *Payload `protobuf:"bytes,1,opt,name=payload,proto3"`
	CameCompressed bool     `protobuf:"varint,15,opt,name=came_compressed,proto3"`
}

// StreamingInputCallRequest is one message of an upload.
type StreamingInputCallRequest struct {
	Payload          *Payload   `protobuf:"bytes,1,opt,name=payload,proto3"`
	ExpectCompressed *BoolValue `protobuf:"bytes,2,opt,name=expect_compressed,proto3"`
	CameCompressed   bool       `protobuf:"varint,15,opt,name=came_compressed,proto3"`
}

// StreamingInputCallResponse answers an upload.
type StreamingInputCallResponse struct {
	AggregatedPayloadSize int32 `protobuf:"varint,1,opt,name=aggregated_payload_size,proto3"`
}

// ResponseParameters says what one message of a download shall be.
type ResponseParameters struct {
	Size       int32      `protobuf:"varint,1,opt,name=size,proto3"`
	IntervalUs int32      `protobuf:"varint,2,opt,name=interval_us,proto3"`
	Compressed *BoolValue `protobuf:"bytes,3,opt,name=compressed,proto3"`
}

// StreamingOutputCallRequest asks for a download, one response for each of its parameters.
type StreamingOutputCallRequest struct {
	ResponseType       int32                 `protobuf:"varint,1,opt,name=response_type,proto3"`
	ResponseParameters []*ResponseParameters `protobuf:"bytes,2,rep,name=response_parameters,proto3"`
	Payload            *Payload              `protobuf:"bytes,3,opt,name=payload,proto3"`
	ResponseStatus     *EchoStatus           `protobuf:"bytes,7,opt,name=response_status,proto3"`
}

// StreamingOutputCallResponse is one message of a download.
type StreamingOutputCallResponse struct {
	Payload        *Payload `protobuf:"bytes,1,opt,name=payload,proto3"`
	CameCompressed bool     `protobuf:"varint,15,opt,name=came_compressed,proto3"`
}

func (m *Empty) Reset()                               { *m = Empty{} }
func (m *BoolValue) Reset()                           { *m = BoolValue{} }
func (m *Payload) Reset()                             { *m = Payload{} }
func (m *EchoStatus) Reset()                          { *m = EchoStatus{} }
func (m *SimpleRequest) Reset()                       { *m = SimpleRequest{} }
func (m *SimpleResponse) Reset()                      { *m = SimpleResponse{} }
func (m *StreamingInputCallRequest) Reset()           { *m = StreamingInputCallRequest{} }
func (m *StreamingInputCallResponse) Reset()          { *m = StreamingInputCallResponse{} }
func (m *ResponseParameters) Reset()                  { *m = ResponseParameters{} }
func (m *StreamingOutputCallRequest) Reset()          { *m = StreamingOutputCallRequest{} }
func (m *StreamingOutputCallResponse) Reset()         { *m = StreamingOutputCallResponse{} }
func (*Empty) ProtoMessage()                          {}
func (*BoolValue) ProtoMessage()                      {}
func (*Payload) ProtoMessage()                        {}
func (*EchoStatus) ProtoMessage()                     {}
func (*SimpleRequest) ProtoMessage()                  {}
func (*SimpleResponse) ProtoMessage()                 {}
func (*StreamingInputCallRequest) ProtoMessage()      {}
func (*StreamingInputCallResponse) ProtoMessage()     {}
func (*ResponseParameters) ProtoMessage()             {}
func (*StreamingOutputCallRequest) ProtoMessage()     {}
func (*StreamingOutputCallResponse) ProtoMessage()    {}
func (m *Empty) String() string                       { return proto.CompactTextString(m) }
func (m *BoolValue) String() string                   { return proto.CompactTextString(m) }
func (m *Payload) String() string                     { return proto.CompactTextString(m) }
func (m *EchoStatus) String() string                  { return proto.CompactTextString(m) }
func (m *SimpleRequest) String() string               { return proto.CompactTextString(m) }
func (m *SimpleResponse) String() string              { return proto.CompactTextString(m) }
func (m *StreamingInputCallRequest) String() string   { return proto.CompactTextString(m) }
func (m *StreamingInputCallResponse) String() string  { return proto.CompactTextString(m) }
func (m *ResponseParameters) String() string          { return proto.CompactTextString(m) }
func (m *StreamingOutputCallRequest) String() string  { return proto.CompactTextString(m) }
func (m *StreamingOutputCallResponse) String() string { return proto.CompactTextString(m) }

// zeros is a payload of so many bytes.
func zeros(bytes int) *Payload {
	return &Payload{Body: make([]byte, bytes)}
}
