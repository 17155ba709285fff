// Threads that connect as quickly as they can while signals arrive all the time: many THREADS TIMES ADDRESS OWN.
// Says how many answers came and from how many addresses; ends with 1 where one came from OWN, or none came.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

static struct sockaddr_in6 to = {.sin6_family = AF_INET6};
static struct in6_addr own;
static int times, lost, leaked, made;
static volatile sig_atomic_t ticks;

static void tick(int number) { (void)number; ticks++; }

static int once(void) {
    char text[512] = {0};
    size_t length = 0;
    int s = socket(AF_INET6, SOCK_STREAM, 0);
    // A connection that a signal cut off is asked for again.
    int result;
    do result = connect(s, (struct sockaddr *)&to, sizeof to); while (result && errno == EINTR);
    if (result && errno != EISCONN) { perror("connect"); return -1; }
    const char ask[] = "GET / HTTP/1.0\r\nHost: a\r\n\r\n";
    while (send(s, ask, sizeof ask - 1, MSG_NOSIGNAL) < 0) if (errno != EINTR) { perror("send"); return -1; }
    for (;;) {
        ssize_t got = recv(s, text + length, sizeof text - 1 - length, 0);
        if (got > 0) length += got;
        else if (got == 0) break;
        else if (errno != EINTR) { perror("recv"); return -1; }
    }
    struct linger at_once = {1, 0};
    setsockopt(s, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    close(s);
    char *body = strstr(text, "\r\n\r\n");
    if (!body) return -1;
    body += 4;
    body[strcspn(body, "\r\n")] = 0;
    struct in6_addr seen;
    if (inet_pton(AF_INET6, body, &seen) != 1) return -1;
    return memcmp(&seen, &own, sizeof own) ? 0 : 1;
}

static void *thread(void *unused) {
    (void)unused;
    for (int i = 0; i < times; i++) {
        int result = once();
        __sync_fetch_and_add(result < 0 ? &lost : result ? &leaked : &made, 1);
    }
    return 0;
}

int main(int count, char **words) {
    if (count != 5) return 2;
    int threads = atoi(words[1]);
    times = atoi(words[2]);
    inet_pton(AF_INET6, words[3], &to.sin6_addr);
    inet_pton(AF_INET6, words[4], &own);
    to.sin6_port = htons(80);
    struct sigaction action = {.sa_handler = tick};
    sigaction(SIGALRM, &action, 0);
    struct itimerval often = {{0, 2000}, {0, 2000}};
    setitimer(ITIMER_REAL, &often, 0);
    pthread_t all[threads];
    for (int i = 0; i < threads; i++) pthread_create(&all[i], 0, thread, 0);
    for (int i = 0; i < threads; i++) pthread_join(all[i], 0);
    printf("made %d lost %d leaked %d\n", made, lost, leaked);
    return lost || leaked || !ticks;
}
