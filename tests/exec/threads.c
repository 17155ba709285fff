// A thread with a table of descriptors of its own, after the first thread has ended: threads ADDRESS.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct sockaddr_in6 to = {.sin6_family = AF_INET6};
static pthread_t first;

static void *thread(void *unused) {
    (void)unused;
    char text[512] = {0};
    pthread_join(first, 0);
    if (unshare(CLONE_FILES)) exit(3);
    // What this number is in the table that was left is another file.
    int s = socket(AF_INET6, SOCK_STREAM, 0);
    if (connect(s, (struct sockaddr *)&to, sizeof to)) { perror("connect"); exit(1); }
    const char ask[] = "GET / HTTP/1.0\r\nHost: a\r\n\r\n";
    if (send(s, ask, sizeof ask - 1, 0) < 0) exit(1);
    size_t length = 0;
    ssize_t got;
    while ((got = recv(s, text + length, sizeof text - 1 - length, 0)) > 0) length += got;
    char *body = strstr(text, "\r\n\r\n");
    if (!body) exit(1);
    fputs(body + 4, stdout);
    exit(0);
}

int main(int count, char **words) {
    if (count != 2) return 2;
    inet_pton(AF_INET6, words[1], &to.sin6_addr);
    to.sin6_port = htons(80);
    first = pthread_self();
    pthread_t other;
    pthread_create(&other, 0, thread, 0);
    pthread_exit(0);
}
