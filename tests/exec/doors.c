// Other ways into the kernel: each must end with an error, and none may connect. Static, without a C library's sockets.
#define _GNU_SOURCE
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

static int failures;

static void refused(const char *what, long result, int wanted) {
    if (result == -wanted) return;
    printf("%s: %ld, not %d\n", what, result, -wanted);
    failures++;
}

static long direct(long number, long a, long b, long c, long d, long e, long f) {
    long result = syscall(number, a, b, c, d, e, f);
    return result < 0 ? -errno : result;
}

int main(void) {
    char ring[256] = {0};
    refused("io_uring_setup", direct(SYS_io_uring_setup, 8, (long)ring, 0, 0, 0, 0), EPERM);
    refused("io_uring_enter", direct(SYS_io_uring_enter, 0, 0, 0, 0, 0, 0), EPERM);

    // AF_UNSPEC on an IPv4 socket is an IPv4 address (udp_sendmsg).
    struct sockaddr_in v4 = {.sin_family = AF_UNSPEC, .sin_port = htons(9), .sin_addr = {htonl(0xC0000201)}};
    int udp = socket(AF_INET, SOCK_DGRAM, 0);
    refused("sendto AF_UNSPEC", direct(SYS_sendto, udp, (long)"x", 1, 0, (long)&v4, sizeof v4), ENETUNREACH);

    // One of several messages goes to IPv4.
    struct sockaddr_in6 near = {.sin6_family = AF_INET6, .sin6_port = htons(9), .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    v4.sin_family = AF_INET;
    struct iovec part = {"x", 1};
    struct mmsghdr two[2] = {
        {.msg_hdr = {.msg_name = &near, .msg_namelen = sizeof near, .msg_iov = &part, .msg_iovlen = 1}},
        {.msg_hdr = {.msg_name = &v4, .msg_namelen = sizeof v4, .msg_iov = &part, .msg_iovlen = 1}},
    };
    int both = socket(AF_INET6, SOCK_DGRAM, 0);
    refused("sendmmsg", direct(SYS_sendmmsg, both, (long)two, 2, 0, 0, 0), ENETUNREACH);

    // An address that is not there.
    refused("connect NULL", direct(SYS_connect, udp, 8, 16, 0, 0, 0), EFAULT);
    refused("connect -1", direct(SYS_connect, -1, (long)&near, sizeof near, 0, 0, 0), EBADF);

#ifdef __x86_64__
    // The 32-bit table: connect is 362, its address below 4 GiB.
    struct sockaddr_in6 *low = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
    *low = near;
    long result;
    __asm__ volatile("int $0x80" : "=a"(result) : "a"(362L), "b"((long)both), "c"(low), "d"((long)sizeof near) : "memory");
    if ((int)result != -ENOSYS) refused("int 0x80", (int)result, EPERM);
    // The x32 table.
    refused("x32", direct(SYS_connect | 0x40000000, both, (long)&near, sizeof near, 0, 0, 0), EPERM);
#endif
    return failures;
}
