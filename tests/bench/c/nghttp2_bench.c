/* nghttp2's C library for the same work: whole unary RPCs between two sessions in memory, 100 calls open at once, and
 * header blocks decoded. Built and run by run.sh; see docs/performance.md. */
#include <nghttp2/nghttp2.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define OPEN 100
#define NV(n, v) {(uint8_t *)(n), (uint8_t *)(v), sizeof(n) - 1, sizeof(v) - 1, NGHTTP2_NV_FLAG_NONE}

static const uint8_t MESSAGE[21] = {0, 0, 0, 0, 16};
static long finished;

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1e9 + t.tv_nsec;
}

static void fail(const char *what) {
  fprintf(stderr, "failed: %s\n", what);
  exit(1);
}

static ssize_t read_request(nghttp2_session *s, int32_t id, uint8_t *buf, size_t len, uint32_t *flags,
                            nghttp2_data_source *source, void *user) {
  (void)s, (void)id, (void)source, (void)user;
  if (len < sizeof MESSAGE) fail("room");
  memcpy(buf, MESSAGE, sizeof MESSAGE);
  *flags |= NGHTTP2_DATA_FLAG_EOF;
  return sizeof MESSAGE;
}

static ssize_t read_response(nghttp2_session *s, int32_t id, uint8_t *buf, size_t len, uint32_t *flags,
                             nghttp2_data_source *source, void *user) {
  (void)source, (void)user;
  nghttp2_nv trailers[] = {NV("grpc-status", "0")};
  if (len < sizeof MESSAGE) fail("room");
  memcpy(buf, MESSAGE, sizeof MESSAGE);
  *flags |= NGHTTP2_DATA_FLAG_EOF | NGHTTP2_DATA_FLAG_NO_END_STREAM;
  if (nghttp2_submit_trailer(s, id, trailers, 1)) fail("trailers");
  return sizeof MESSAGE;
}

static int server_frame(nghttp2_session *s, const nghttp2_frame *frame, void *user) {
  (void)user;
  if (frame->hd.type == NGHTTP2_DATA && frame->hd.flags & NGHTTP2_FLAG_END_STREAM) {
    nghttp2_nv head[] = {NV(":status", "200"), NV("content-type", "application/grpc")};
    nghttp2_data_provider data = {.read_callback = read_response};
    if (nghttp2_submit_response(s, frame->hd.stream_id, head, 2, &data)) fail("response");
  }
  return 0;
}

static int client_closed(nghttp2_session *s, int32_t id, uint32_t code, void *user) {
  (void)s, (void)id, (void)user;
  if (code) fail("a call was reset");
  finished++;
  return 0;
}

static int on_chunk(nghttp2_session *s, uint8_t flags, int32_t id, const uint8_t *data, size_t len, void *user) {
  (void)s, (void)flags, (void)id, (void)data, (void)len, (void)user;
  return 0;
}

static int on_header(nghttp2_session *s, const nghttp2_frame *f, const uint8_t *n, size_t nl, const uint8_t *v,
                     size_t vl, uint8_t flags, void *user) {
  (void)s, (void)f, (void)n, (void)nl, (void)v, (void)vl, (void)flags, (void)user;
  return 0;
}

/* Everything that one side has to say is one read of the other. */
static int pump(nghttp2_session *from, nghttp2_session *to) {
  static uint8_t wire[1 << 20];
  size_t filled = 0;
  const uint8_t *out;
  ssize_t n;
  while ((n = nghttp2_session_mem_send(from, &out)) > 0) {
    if (filled + n > sizeof wire) fail("wire");
    memcpy(wire + filled, out, n);
    filled += n;
  }
  if (n < 0 || (filled && nghttp2_session_mem_recv(to, wire, filled) != (ssize_t)filled)) fail("pump");
  return filled > 0;
}

static void calls(long rounds) {
  nghttp2_session_callbacks *cb;
  nghttp2_session *client, *server;
  nghttp2_session_callbacks_new(&cb);
  nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, on_chunk);
  nghttp2_session_callbacks_set_on_header_callback(cb, on_header);
  nghttp2_session_callbacks_set_on_stream_close_callback(cb, client_closed);
  nghttp2_session_client_new(&client, cb, NULL);
  nghttp2_session_callbacks_set_on_stream_close_callback(cb, NULL);
  nghttp2_session_callbacks_set_on_frame_recv_callback(cb, server_frame);
  nghttp2_session_server_new(&server, cb, NULL);
  nghttp2_submit_settings(client, NGHTTP2_FLAG_NONE, NULL, 0);
  nghttp2_submit_settings(server, NGHTTP2_FLAG_NONE, NULL, 0);
  while (pump(client, server) | pump(server, client)) {}
  nghttp2_nv head[] = {NV(":method", "POST"), NV(":scheme", "http"),
                       NV(":path", "/grpc.testing.BenchmarkService/UnaryCall"), NV(":authority", "localhost"),
                       NV("te", "trailers"), NV("content-type", "application/grpc"), NV("user-agent", "bench/1")};
  nghttp2_data_provider data = {.read_callback = read_request};
  double start = now();
  for (long round = 0; round < rounds; round++) {
    for (int i = 0; i < OPEN; i++)
      if (nghttp2_submit_request(client, NULL, head, 7, &data, NULL) < 0) fail("request");
    while (pump(client, server) | pump(server, client)) {}
  }
  double spent = now() - start;
  if (finished != rounds * OPEN) fail("calls are missing");
  printf("rpcs=%ld ns_per_rpc=%.1f\n", finished, spent / finished);
}

static uint32_t number(const uint8_t **at) {
  uint32_t value;
  memcpy(&value, *at, 4);
  *at += 4;
  return value;
}

/* A block as hpack-bench --dump writes it. */
typedef struct {
  const uint8_t *wire;
  uint32_t len, fields;
  nghttp2_nv *list;
} block;

typedef struct {
  uint32_t blocks, warm;
  block *block;
} story;

static block read_block(const uint8_t **at) {
  block b;
  b.fields = number(at);
  b.len = number(at);
  b.wire = *at;
  *at += b.len;
  b.list = calloc(b.fields, sizeof *b.list);
  for (uint32_t nth = 0; nth < b.fields; nth++) {
    nghttp2_nv *nv = b.list + nth;
    nv->namelen = number(at), nv->valuelen = number(at);
    nv->name = (uint8_t *)*at, nv->value = (uint8_t *)*at + nv->namelen;
    *at += nv->namelen + nv->valuelen;
  }
  return b;
}

static story read_story(const uint8_t **at) {
  story s;
  s.blocks = number(at);
  s.warm = number(at);
  s.block = calloc(s.blocks, sizeof *s.block);
  for (uint32_t nth = 0; nth < s.blocks; nth++) s.block[nth] = read_block(at);
  return s;
}

static long decode(const story *s) {
  long counted = 0;
  nghttp2_hd_inflater *inflater;
  nghttp2_hd_inflate_new(&inflater);
  for (uint32_t nth = 0; nth < s->blocks; nth++) {
    const block *b = s->block + nth;
    const uint8_t *at = b->wire;
    uint32_t met = 0;
    for (;;) {
      nghttp2_nv nv;
      int flags = 0;
      ssize_t n = nghttp2_hd_inflate_hd2(inflater, &nv, &flags, at, b->wire + b->len - at, 1);
      if (n < 0) fail("decode");
      at += n;
      if (flags & NGHTTP2_HD_INFLATE_EMIT) met++;
      if (flags & NGHTTP2_HD_INFLATE_FINAL) break;
    }
    nghttp2_hd_inflate_end_headers(inflater);
    if (met != b->fields) fail("fields are missing");
    if (nth >= s->warm) counted += met;
  }
  nghttp2_hd_inflate_del(inflater);
  return counted;
}

static long encode(const story *s) {
  static uint8_t out[1 << 20];
  long counted = 0;
  nghttp2_hd_deflater *deflater;
  nghttp2_hd_deflate_new(&deflater, 4096);
  for (uint32_t nth = 0; nth < s->blocks; nth++) {
    const block *b = s->block + nth;
    if (nghttp2_hd_deflate_hd(deflater, out, sizeof out, b->list, b->fields) < 0) fail("encode");
    if (nth >= s->warm) counted += b->fields;
  }
  nghttp2_hd_deflate_del(deflater);
  return counted;
}

static void blocks(long (*work)(const story *), const char *path) {
  FILE *file = fopen(path, "rb");
  if (!file) fail(path);
  static uint8_t octets[64 << 20];
  const uint8_t *at = octets, *end = octets + fread(octets, 1, sizeof octets, file);
  fclose(file);
  static story stories[1024];
  size_t count = 0;
  while (at < end && count < 1024) stories[count++] = read_story(&at);
  if (at < end) fail("too many stories");
  long fields = 0;
  double start = now();
  while (fields < 400000)
    for (size_t nth = 0; nth < count; nth++) fields += work(stories + nth);
  printf("ns_per_field=%.3f\n", (now() - start) / fields);
}

int main(int argc, char **argv) {
  if (argc == 3 && !strcmp(argv[1], "calls")) calls(atol(argv[2]));
  else if (argc == 3 && !strcmp(argv[1], "decode")) blocks(decode, argv[2]);
  else if (argc == 3 && !strcmp(argv[1], "encode")) blocks(encode, argv[2]);
  else fail("usage: nghttp2_bench calls ROUNDS | decode FILE | encode FILE");
  return 0;
}
