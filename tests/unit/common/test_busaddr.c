/* tests/unit/common/test_busaddr.c */
#include "common/busaddr.h"

#include <sys/socket.h>
#include <sys/un.h>

#include "common/slice.h"
#include "tests/lib/tmpdir.h"

static void plaintext_stays_on_this_machine(void **state)
{
    static const char *const fine[] = {
        "ipc:///run/switchboard/bus", "tcp://127.0.0.1:5555",       "tcp://127.1.2.3:1",
        "tcp://[::1]:65535",          "tcp://[::ffff:127.0.0.1]:1", "tcp://localhost:5555",
        "tcp://127.0.0.1:*",
    };
    static const char *const beyond[] = {
        "tcp://10.0.0.1:5555",
        "tcp://*:5555",
        "tcp://0.0.0.0:5555",
        "tcp://[::]:5555",
        "tcp://eth0:5555",
        "tcp://[fe80::1]:1",
        "tcp://example.com:5555",
        "tcp://127.1:5555",
        "tcp://128.0.0.1:1",
        "tcp://[::ffff:10.0.0.1]:1",
        "tcp://localhost.example.com:1",
    };
    struct sb_errmsg err;

    (void)state;
    for (size_t i = 0; i < SB_ARRAY_LEN(fine); i++) {
        assert_int_equal(sb_busaddr_check(fine[i], false, NULL), SB_OK);
        assert_int_equal(sb_busaddr_check(fine[i], true, NULL), SB_OK);
    }
    for (size_t i = 0; i < SB_ARRAY_LEN(beyond); i++) {
        err.text[0] = '\0';
        assert_int_equal(sb_busaddr_check(beyond[i], false, &err), SB_EACCES);
        assert_non_null(strstr(err.text, beyond[i]));
        assert_non_null(strstr(err.text, "CURVE"));
        assert_int_equal(sb_busaddr_check(beyond[i], true, NULL), SB_OK);
    }
}

static void malformed_addresses_are_refused(void **state)
{
    static const char *const bad[] = {
        "",
        "127.0.0.1:5555",
        "udp://127.0.0.1:5555",
        "inproc://x",
        "tcp://",
        "tcp://:5555",
        "tcp://127.0.0.1",
        "tcp://127.0.0.1:",
        "tcp://127.0.0.1:0",
        "tcp://127.0.0.1:65536",
        "tcp://127.0.0.1:999999",
        "tcp://127.0.0.1:5x",
        "tcp://127.0.0.1:0;10.0.0.1:5555",
        "tcp://127.0.0.1;10.0.0.1:5555",
        "tcp://::1:5555",
        "ipc://",
        "ipc:///",
        "ipc://relative",
        "ipc://@abstract",
        "ipc://*",
    };

    (void)state;
    for (size_t i = 0; i < SB_ARRAY_LEN(bad); i++) {
        struct sb_errmsg err = {.text = ""};

        assert_int_equal(sb_busaddr_check(bad[i], true, &err), SB_EINVAL);
        assert_int_not_equal(err.text[0], '\0');
    }
}

static void a_socket_path_has_under_107_bytes(void **state)
{
    struct sb_errmsg err = {.text = ""};
    char addr[400];

    (void)state;
    memset(addr, 'x', sizeof(addr));
    memcpy(addr, "ipc:///", 7);
    addr[6 + SB_BUSADDR_IPC_MAX] = '\0';
    assert_int_equal(sb_busaddr_check(addr, false, NULL), SB_OK);
    addr[6 + SB_BUSADDR_IPC_MAX] = 'x';
    addr[7 + SB_BUSADDR_IPC_MAX] = '\0';
    assert_int_equal(sb_busaddr_check(addr, false, &err), SB_EINVAL);
    assert_non_null(strstr(err.text, "107 bytes"));
    assert_non_null(strstr(err.text, "under 107"));
    addr[7 + SB_BUSADDR_IPC_MAX] = 'x';
    addr[sizeof(addr) - 1] = '\0';
    assert_int_equal(sb_busaddr_check(addr, false, &err), SB_EINVAL);
}

static void a_path_in_use_is_not_taken(void **state)
{
    struct sockaddr_un sun = {.sun_family = AF_UNIX};
    struct test_tmpdir dir;
    char addr[100];
    int fd;

    (void)state;
    test_tmpdir_make(&dir);
    (void)snprintf(addr, sizeof(addr), "ipc://%s", test_tmp(&dir, "bus"));
    assert_int_equal(sb_busaddr_check_free(addr, NULL), SB_OK);
    test_write_file(dir.file, "precious", 0600);
    assert_int_equal(sb_busaddr_check_free(addr, NULL), SB_EEXIST);
    assert_int_equal(unlink(dir.file), 0);

    (void)snprintf(sun.sun_path, sizeof(sun.sun_path), "%.100s", dir.file);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (const struct sockaddr *)(const void *)&sun, sizeof(sun)), 0);
    assert_int_equal(sb_busaddr_check_free(addr, NULL), SB_OK); /* nobody listens */
    assert_int_equal(listen(fd, 1), 0);
    assert_int_equal(sb_busaddr_check_free(addr, NULL), SB_EADDRINUSE);
    assert_int_equal(sb_busaddr_check_free(addr, NULL), SB_EADDRINUSE);
    assert_int_equal(sb_busaddr_check_free(addr, NULL), SB_EADDRINUSE); /* its queue is full */
    assert_int_equal(close(fd), 0);
    assert_int_equal(sb_busaddr_check_free(addr, NULL), SB_OK); /* left behind */
    test_tmpdir_remove(&dir);
}

static void a_path_from_here_becomes_absolute(void **state)
{
    char addr[SB_BUSADDR_MAX], here[SB_BUSADDR_MAX], want[2 * SB_BUSADDR_MAX],
        longest[SB_BUSADDR_MAX];
    struct sb_errmsg err;

    (void)state;
    assert_non_null(getcwd(here, sizeof(here)));
    (void)snprintf(want, sizeof(want), "ipc://%s/run/x", here);
    assert_int_equal(sb_busaddr_resolve("ipc://run/x", addr, &err), SB_OK);
    assert_string_equal(addr, want);
    assert_int_equal(sb_busaddr_resolve("ipc:///run/x", addr, &err), SB_OK);
    assert_string_equal(addr, "ipc:///run/x");
    assert_int_equal(sb_busaddr_resolve("tcp://127.0.0.1:1", addr, &err), SB_OK);
    assert_string_equal(addr, "tcp://127.0.0.1:1");
    memset(longest, 'x', sizeof(longest));
    memcpy(longest, "ipc://", 6);
    longest[sizeof(longest) - 1] = '\0';
    assert_int_equal(sb_busaddr_resolve(longest, addr, &err), SB_EINVAL);
}

static void each_address_of_a_list_is_looked_at(void **state)
{
    struct sb_errmsg err;

    (void)state;
    assert_int_equal(sb_busaddr_check_list("ipc:///a", false, 1, NULL), SB_OK);
    assert_int_equal(sb_busaddr_check_list(" ipc://a,  tcp://127.0.0.1:1,", false, 2, NULL), SB_OK);
    assert_int_equal(sb_busaddr_check_list("ipc:///a,ipc:///b", false, 1, &err), SB_EINVAL);
    assert_int_equal(sb_busaddr_check_list("ipc:///a,tcp://10.0.0.1:1", false, 2, &err), SB_EACCES);
    assert_non_null(strstr(err.text, "10.0.0.1"));
    assert_int_equal(sb_busaddr_check_list("ipc:///a,tcp://10.0.0.1:1", true, 2, NULL), SB_OK);
    assert_int_equal(sb_busaddr_check_list("ipc:///a nonsense", false, 2, &err), SB_EINVAL);
    assert_non_null(strstr(err.text, "nonsense"));
    assert_int_equal(sb_busaddr_check_list("", false, 2, NULL), SB_EINVAL);
    assert_int_equal(sb_busaddr_check_list(" , ", false, 2, NULL), SB_EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plaintext_stays_on_this_machine),
        cmocka_unit_test(malformed_addresses_are_refused),
        cmocka_unit_test(a_socket_path_has_under_107_bytes),
        cmocka_unit_test(a_path_in_use_is_not_taken),
        cmocka_unit_test(a_path_from_here_becomes_absolute),
        cmocka_unit_test(each_address_of_a_list_is_looked_at),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
