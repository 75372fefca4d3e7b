/* controlplane/copy.c */
#include "controlplane/copy.h"

#include <arpa/inet.h>
#include <string.h>

#include "common/err.h"

/* PostgreSQL counts from 2000-01-01. */
#define PG_EPOCH_DAYS 10957
#define PG_EPOCH_USEC (INT64_C(86400000000) * PG_EPOCH_DAYS)
/* Its numbers of address families, whatever the system's are. */
#define PG_AF_INET  2
#define PG_AF_INET6 3

static int put(struct sb_buf *buf, const void *bytes, size_t n)
{
    return sb_buf_append(buf, sb_slice_make(bytes, n));
}

static int put_number(struct sb_buf *buf, uint64_t value, unsigned width)
{
    unsigned char bytes[8];

    for (unsigned i = 0; i < width; i++)
        bytes[i] = (unsigned char)(value >> (8 * (width - 1 - i)));
    return put(buf, bytes, width);
}

/* A length and a number of it. */
static int put_value(struct sb_buf *buf, int64_t value, unsigned width)
{
    int rc = put_number(buf, width, 4);

    return rc == SB_OK ? put_number(buf, (uint64_t)value, width) : rc;
}

int cp_copy_start(struct sb_buf *buf)
{
    /* signature, flags, length of the header extension */
    return put(buf, "PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0\0", 19);
}

int cp_copy_row(struct sb_buf *buf, int16_t columns)
{
    return put_number(buf, (uint16_t)columns, 2);
}

int cp_copy_finish(struct sb_buf *buf)
{
    return put_number(buf, UINT16_MAX, 2);
}

int cp_copy_null(struct sb_buf *buf)
{
    return put_number(buf, UINT32_MAX, 4);
}

int cp_copy_i16(struct sb_buf *buf, int16_t value)
{
    return put_value(buf, value, 2);
}

int cp_copy_i32(struct sb_buf *buf, int32_t value)
{
    return put_value(buf, value, 4);
}

int cp_copy_i64(struct sb_buf *buf, int64_t value)
{
    return put_value(buf, value, 8);
}

/* Digits to the base of 10000, the most significant first; a weight says which
 * power the first one has. */
int cp_copy_numeric(struct sb_buf *buf, int64_t value)
{
    enum { BASE = 10000, DIGITS_MAX = 5, HEAD = 8 /* bytes */ };
    uint16_t digits[DIGITS_MAX];
    uint64_t n = 0;
    int rc;

    for (; value > 0; value /= BASE)
        digits[n++] = (uint16_t)(value % BASE);
    rc = put_number(buf, HEAD + 2 * n, 4);
    if (rc == SB_OK)
        rc = put_number(buf, n, 2);
    if (rc == SB_OK)
        rc = put_number(buf, n > 0 ? n - 1 : 0, 2);
    if (rc == SB_OK)
        rc = put_number(buf, 0, 4); /* positive, no digits behind the point */
    while (rc == SB_OK && n > 0)
        rc = put_number(buf, digits[--n], 2);
    return rc;
}

int cp_copy_bool(struct sb_buf *buf, bool value)
{
    return put_value(buf, value ? 1 : 0, 1);
}

int cp_copy_bytes(struct sb_buf *buf, struct sb_slice value)
{
    int rc;

    if (value.n > INT32_MAX)
        return SB_ETOOBIG;
    rc = put_number(buf, value.n, 4);
    return rc == SB_OK ? sb_buf_append(buf, value) : rc;
}

int cp_copy_json(struct sb_buf *buf, struct sb_slice value)
{
    int rc;

    if (value.n >= INT32_MAX)
        return SB_ETOOBIG;
    rc = put_number(buf, value.n + 1, 4);
    if (rc == SB_OK)
        rc = sb_buf_append_byte(buf, 1); /* version of jsonb on the wire */
    return rc == SB_OK ? sb_buf_append(buf, value) : rc;
}

int cp_copy_inet(struct sb_buf *buf, struct sb_slice address)
{
    char text[INET6_ADDRSTRLEN];
    /* family, bits of the netmask, is_cidr, bytes of the address, the address */
    uint8_t value[4 + sizeof(struct in6_addr)] = {PG_AF_INET, 32, 0, sizeof(struct in_addr)};

    if (address.n == 0 || address.n >= sizeof(text))
        return SB_EINVAL;
    (void)sb_slice_copy_text(address, text, sizeof(text));
    if (inet_pton(AF_INET, text, value + 4) != 1) {
        if (inet_pton(AF_INET6, text, value + 4) != 1)
            return SB_EINVAL;
        value[0] = PG_AF_INET6;
        value[1] = 128;
        value[3] = sizeof(struct in6_addr);
    }
    return cp_copy_bytes(buf, sb_slice_make((const char *)value, 4 + (size_t)value[3]));
}

bool cp_copy_takes_usec(int64_t usec)
{
    return usec > INT64_MIN + PG_EPOCH_USEC; /* INT64_MIN of theirs is -infinity */
}

int cp_copy_usec(struct sb_buf *buf, int64_t usec)
{
    return put_value(buf, usec - PG_EPOCH_USEC, 8);
}

int cp_copy_day(struct sb_buf *buf, int32_t day)
{
    return put_value(buf, day - PG_EPOCH_DAYS, 4);
}
