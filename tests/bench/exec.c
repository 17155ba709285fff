// What calls cost, in microseconds of wall time each: exec serve | connect N | unix N | udp N
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static struct sockaddr_in6 there = {.sin6_family = AF_INET6};

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1e6 + t.tv_nsec / 1e3;
}

static void must(int holds, const char *what) {
    if (holds) return;
    perror(what);
    exit(1);
}

static void serve(void) {
    int s = socket(AF_INET6, SOCK_STREAM, 0), yes = 1;
    setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    must(!bind(s, (struct sockaddr *)&there, sizeof there) && !listen(s, 4096), "listen");
    puts("ready");
    fflush(stdout);
    for (;;) close(accept(s, 0, 0));
}

static void once_connected(void) {
    int s = socket(AF_INET6, SOCK_STREAM, 0);
    struct linger at_once = {1, 0};
    must(!connect(s, (struct sockaddr *)&there, sizeof there), "connect");
    setsockopt(s, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    close(s);
}

int main(int count, char **words) {
    inet_pton(AF_INET6, "2001:db8:8::1", &there.sin6_addr);
    there.sin6_port = htons(8090);
    if (count == 2 && !strcmp(words[1], "serve")) serve();
    if (count != 3) return 2;
    int n = atoi(words[2]), pair[2];
    struct iovec part = {"x", 1};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    char byte;
    if (!strcmp(words[1], "unix")) must(!socketpair(AF_UNIX, SOCK_STREAM, 0, pair), "socketpair");
    if (!strcmp(words[1], "udp")) {
        pair[0] = socket(AF_INET6, SOCK_DGRAM, 0);
        must(!connect(pair[0], (struct sockaddr *)&there, sizeof there), "connect");
    }
    double begun = now();
    for (int i = 0; i < n; i++) {
        if (!strcmp(words[1], "connect")) once_connected();
        // A datagram to a closed port: the next call may say so.
        else if (!strcmp(words[1], "udp")) sendmsg(pair[0], &message, 0);
        else must(sendmsg(pair[0], &message, 0) == 1 && read(pair[1], &byte, 1) == 1, "sendmsg");
    }
    printf("%.1f\n", (now() - begun) / n);
}
