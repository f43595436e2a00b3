/* A small HTTP receiver for the benchmark of webhooks: one thread, epoll, connections kept, every request answered 204.

   receiver [MICROSECONDS]: works so long on each request, as a receiver that reads and stores it would. It prints its
   port, and at each SIGUSR1 what came since the last one: requests, bytes of bodies, microseconds from the first to the
   last request, and its own CPU time in microseconds. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { ROOM = 1 << 17, EVENTS = 256 };

struct connection {
    int socket;
    size_t have;
    char bytes[ROOM];
};

static const char answer[] = "HTTP/1.1 204 No Content\r\n\r\n";
static long long requests, body_bytes, first, last, cpu_before, work;

static long long now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000000LL + time.tv_nsec / 1000;
}

static long long cpu(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000LL + usage.ru_utime.tv_usec
        + usage.ru_stime.tv_usec;
}

static void report(void) {
    printf("%lld %lld %lld %lld\n", requests, body_bytes, last - first, cpu() - cpu_before);
    fflush(stdout);
    requests = body_bytes = 0;
    cpu_before = cpu();
}

/* The length of the first request, once its head is there; 0 before. */
static size_t length_of(struct connection *connection, size_t *body) {
    connection->bytes[connection->have] = 0;
    char *end = memmem(connection->bytes, connection->have, "\r\n\r\n", 4);
    if (!end) return 0;
    char *field = strcasestr(connection->bytes, "\ncontent-length:");
    *body = field && field < end ? strtoull(field + 16, NULL, 10) : 0;
    return end + 4 - connection->bytes + *body;
}

/* Reads what is there and answers what is whole. 0 when the connection goes on. */
static int serve(struct connection *connection) {
    ssize_t count = recv(connection->socket, connection->bytes + connection->have, ROOM - 1 - connection->have, 0);
    if (count <= 0) return count < 0 && errno == EAGAIN ? 0 : -1;
    connection->have += count;
    for (;;) {
        size_t body = 0, length = length_of(connection, &body);
        if (length >= ROOM) return -1;
        if (length == 0 || length > connection->have) return 0;
        last = now();
        if (requests++ == 0) first = last;
        body_bytes += body;
        if (work) for (long long end = last + work; now() < end;) {}
        connection->have -= length;
        memmove(connection->bytes, connection->bytes + length, connection->have);
        if (send(connection->socket, answer, sizeof answer - 1, MSG_NOSIGNAL) < 0) return -1;
    }
}

static void watch(int epoll, int descriptor, void *data) {
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = data};
    epoll_ctl(epoll, EPOLL_CTL_ADD, descriptor, &event);
}

int main(int count, char **arguments) {
    static int listener_mark, signal_mark;
    int one = 1, epoll = epoll_create1(0), listener = socket(AF_INET, SOCK_STREAM, 0);
    work = count > 1 ? atoll(arguments[1]) : 0;
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGUSR1);
    sigprocmask(SIG_BLOCK, &signals, NULL);
    int reports = signalfd(-1, &signals, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    if (bind(listener, (struct sockaddr *)&address, length) || listen(listener, 1024)) return 1;
    getsockname(listener, (struct sockaddr *)&address, &length);
    printf("%d\n", ntohs(address.sin_port));
    fflush(stdout);
    watch(epoll, listener, &listener_mark);
    watch(epoll, reports, &signal_mark);
    for (;;) {
        struct epoll_event events[EVENTS];
        int ready = epoll_wait(epoll, events, EVENTS, -1);
        for (int index = 0; index < ready; index++) {
            struct connection *connection = events[index].data.ptr;
            if (events[index].data.ptr == &signal_mark) {
                struct signalfd_siginfo info;
                if (read(reports, &info, sizeof info) > 0) report();
            } else if (events[index].data.ptr == &listener_mark) {
                int socket = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
                if (socket < 0) continue;
                setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
                connection = calloc(1, sizeof *connection);
                if (!connection) return 1;
                connection->socket = socket;
                watch(epoll, socket, connection);
            } else if (serve(connection)) {
                close(connection->socket);
                free(connection);
            }
        }
    }
}
