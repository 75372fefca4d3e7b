/* tests/fuzz/proto/fuzz_msg_sketch.c */
#include "proto/sketch.h"
#include "tests/lib/fuzz_message.h"

static int load(struct sb_slice bytes, struct sb_sketch *sketch)
{
    sb_sketch_init(sketch);
    return msg_sketch_decode(bytes, sketch);
}

/* Frees too, whatever the encoder says. */
static int store(struct sb_sketch *sketch, struct sb_buf *out)
{
    int rc = msg_sketch_encode(sketch, out);

    sb_sketch_release(sketch);
    return rc;
}

FUZZ_MESSAGE(struct sb_sketch, load(bytes, &msg), store(&msg, out))
