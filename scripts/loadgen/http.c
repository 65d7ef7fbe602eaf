/* The load over HTTP and HTTPS: a new connection for each request, or connections that are kept. */
#include "loadgen.h"
#include "tls.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define PATIENCE 5.0 /* seconds before a request counts as lost */

struct visit {
    struct request asked;
    uint32_t address; /* ANYWHERE, or of all requests, because a kept connection has one address */
    int fd, size, sent, have; /* fd -1: no connection */
    bool waiting, kept; /* for an answer; the connection has answered before */
    double began;
    struct tls *tls;
    char out[1024];
    char in[8192];
};

static struct visit *visits;
static int epoll;

void open_http(void) {
    epoll = epoll_create1(0);
    visits = need(calloc(opt.in_flight, sizeof *visits));
    if (opt.tls) tls_prepare();
    for (uint32_t i = 0; i < opt.in_flight; i++) {
        visits[i].fd = -1;
        visits[i].address = opt.keep_alive ? i % opt.addresses : ANYWHERE;
        if (opt.tls) visits[i].tls = tls_place();
    }
}

static void hang_up(struct visit *v) {
    if (v->fd < 0) return;
    if (opt.tls) tls_end(v->tls);
    close(v->fd); /* leaves the epoll set with it */
    v->fd = -1;
}

static void set_waiting(struct visit *v, bool waiting) {
    busy = busy + waiting - v->waiting;
    v->waiting = waiting;
}

static ssize_t put(struct visit *v, const char *bytes, size_t size) {
    return opt.tls ? tls_write(v->tls, bytes, size) : send(v->fd, bytes, size, MSG_NOSIGNAL);
}

static ssize_t get(struct visit *v, char *bytes, size_t size) {
    return opt.tls ? tls_read(v->tls, bytes, size) : recv(v->fd, bytes, size, 0);
}

/* Sends what it can of the request, after the handshake of TLS; true when all of it is sent. */
static bool flush(struct visit *v) {
    ssize_t n = v->sent < v->size ? put(v, v->out + v->sent, (size_t)(v->size - v->sent)) : 0;
    if (n > 0) v->sent += (int)n;
    return v->sent == v->size;
}

/* Begins a connection from the peer's address. */
static bool begin_connection(struct visit *v) {
    int on = 1;
    if (opt.ipv6) {
        struct sockaddr_in6 server = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)opt.port), .sin6_addr = IN6ADDR_LOOPBACK_INIT};
        return !connect(v->fd, (struct sockaddr *)&server, sizeof server) || errno == EINPROGRESS;
    }
    struct sockaddr_in server = {.sin_family = AF_INET, .sin_port = htons((uint16_t)opt.port), .sin_addr.s_addr = htonl(0x7f000001)};
    struct sockaddr_in own = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(address_of(v->asked.peer))};
    setsockopt(v->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on); /* ports are then per destination */
    if (bind(v->fd, (struct sockaddr *)&own, sizeof own)) die("bind");
    return !connect(v->fd, (struct sockaddr *)&server, sizeof server) || errno == EINPROGRESS;
}

/* Connects, and sends what it can of the request. */
static bool call(struct visit *v) {
    v->fd = socket(opt.ipv6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (v->fd < 0) die("socket");
    v->kept = false;
    stats.connections += counting;
    if (opt.tls) tls_begin(v->tls, v->fd);
    if (!begin_connection(v)) {
        error("connect: %s", strerror(errno));
        hang_up(v);
        return false;
    }
    flush(v); /* over loopback the handshake of TCP is done by now, whatever connect said */
    /* Without TLS, one wake-up a visit, at the server's FIN: an answer to `Connection: close` ends there. */
    uint32_t several = opt.tls ? EPOLLIN | EPOLLOUT : opt.keep_alive ? EPOLLIN : 0;
    struct epoll_event watch = {EPOLLRDHUP | EPOLLET | several | (v->sent < v->size ? EPOLLOUT : 0), {.ptr = v}};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, v->fd, &watch)) die("epoll_ctl");
    return true;
}

/* Chooses the place's next request. A fill over kept connections goes on at another address when all peers of one are in. */
static bool choose(struct visit *v) {
    if (v->address == ANYWHERE) return next_request(&v->asked, ANYWHERE);
    for (; v->address < opt.addresses; v->address += opt.in_flight, hang_up(v))
        if (next_request(&v->asked, v->address)) return true;
    return false;
}

/* Sends the place's next request, over the connection it has or a new one. */
static void visit_since(struct visit *v, double began) {
    set_waiting(v, false);
    if (!counting || !choose(v)) return;
    v->size = write_http(v->out, sizeof v->out, &v->asked);
    v->sent = v->have = 0;
    v->began = began;
    if (v->fd >= 0) flush(v);
    else if (!call(v)) return;
    set_waiting(v, true);
}

/* A place whose request is over begins the next one, unless requests come by the clock. */
static void visit(struct visit *v) {
    if (opt.rate && !opt.fill) set_waiting(v, false);
    else visit_since(v, now_s());
}

/* Sends the request once more, over a new connection. */
static void call_again(struct visit *v) {
    v->sent = v->have = 0;
    stats.retransmits += counting;
    set_waiting(v, call(v));
}

static void take(struct visit *v, const struct answer *a) {
    uint64_t errors = stats.errors;
    check_body(&v->asked, a);
    if (stats.errors == errors) answered(v->asked.kind, now_s() - v->began);
    v->kept = true;
}

/* Reads what has come; `closes` says whether the connection is over with the answer. */
static enum progress pull(struct visit *v, bool *closes) {
    for (;;) {
        ssize_t n = get(v, v->in + v->have, sizeof v->in - 1 - (size_t)v->have);
        *closes = true;
        if (n < 0 && errno == EAGAIN) return PART;
        if (n <= 0 && v->kept && !v->have) return AGAIN; /* the server closed it just before the request came */
        if (n < 0) { error("receive: %s", strerror(errno)); return BROKEN; }
        if (n == 0) { error("closed after %d bytes of an answer", v->have); return BROKEN; }
        v->have += (int)n;
        v->in[v->have] = 0;
        struct answer a;
        enum progress progress = read_http(v->in, (size_t)v->have, &a);
        if (progress == WHOLE) take(v, &a);
        if (progress == WHOLE) *closes = !opt.keep_alive || a.closes;
        if (progress != PART) return progress;
        if (v->have == (int)sizeof v->in - 1) { error("a long answer"); return BROKEN; }
    }
}

/* Serves an event: sends, reads, and begins the next request when this one is over. */
static void attend(struct visit *v, uint32_t happened) {
    bool closed = happened & (EPOLLRDHUP | EPOLLHUP | EPOLLERR), closes = false;
    errno = EAGAIN;
    bool failed = !flush(v) && errno != EAGAIN; /* then reading says why */
    if (v->sent < v->size && !failed && !closed) return;
    if (!opt.tls && !opt.keep_alive && !closed) return; /* only at the server's FIN */
    enum progress progress = v->waiting ? pull(v, &closes) : BROKEN;
    if (progress == PART) return;
    if (closes || closed) hang_up(v);
    if (progress == AGAIN) call_again(v);
    else visit(v);
}

static void give_up_late(double now) {
    for (uint32_t i = 0; i < opt.in_flight; i++) {
        if (visits[i].waiting && now - visits[i].began > PATIENCE) {
            stats.lost++;
            hang_up(&visits[i]);
            visit(&visits[i]);
        }
        if (!visits[i].waiting) visit(&visits[i]);
    }
}

static void wait_for_events(double patience) {
    struct epoll_event events[BATCH];
    struct timespec limit = {0, patience > 0 ? (long)(patience * 1e9) : 0};
    int n = epoll_pwait2(epoll, events, BATCH, &limit, NULL);
    for (int i = 0; i < n; i++) {
        struct visit *v = events[i].data.ptr;
        if (v->fd >= 0) attend(v, events[i].events);
    }
}

/* Sends by the clock; waits count from when a request was due. One that finds all places taken waits for the first. */
static bool run_by_the_clock(double began, double end) {
    uint64_t sent = 0;
    double now = began, heard = began;
    for (; now < end; now = now_s()) {
        uint64_t due = 1 + (uint64_t)((now - began) * opt.rate), before = stats.answered;
        for (uint32_t i = 0; i < opt.in_flight && sent < due; i++)
            if (!visits[i].waiting) visit_since(&visits[i], began + (double)sent++ / opt.rate);
        wait_for_events(sent < due ? 0.001 : began + (double)sent / opt.rate - now);
        if (stats.answered > before) heard = now;
        if (now - heard > SILENCE) return false;
    }
    stats.behind = behind(now - began, sent);
    return true;
}

/* Keeps all places busy. */
static bool run_open_places(double began, double end) {
    double now = began, heard = began, scanned = began;
    for (uint32_t i = 0; i < opt.in_flight; i++) visit(&visits[i]);
    for (; opt.fill ? busy || fill_goes_on() : now < end; now = now_s()) {
        uint64_t before = stats.answered;
        wait_for_events(0.1);
        if (stats.answered > before) heard = now;
        if (now - heard > SILENCE) return false;
        if (now - scanned > 0.1) { give_up_late(now); scanned = now; }
    }
    return true;
}

bool run_http(double began, double end) {
    return (opt.rate && !opt.fill ? run_by_the_clock : run_open_places)(began, end);
}

void drain_http(void) {
    counting = false;
    for (double end = now_s() + 1; busy && now_s() < end;) wait_for_events(0.1);
    stats.open_at_end = busy;
    for (uint32_t i = 0; i < opt.in_flight; i++) hang_up(&visits[i]);
}
