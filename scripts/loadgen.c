/* loadgen: a closed-loop load generator for BitTorrent trackers, for Linux and the loopback network only.
 *
 *   loadgen hashes --torrents N                       print the info hashes, one per line, for a whitelist
 *   loadgen udp|http --port P [--fill] [...]          run and print one line of JSON
 *
 * It keeps `--in-flight` requests open, sends the next one after each answer, and checks every answer against its own
 * population: peer i is in swarm torrent(i) at address(i):port(i), so a listed peer of another swarm is an error. It
 * treats all trackers alike.
 *
 * The population is a function of --seed, --torrents, --peers and --addresses alone, so separate runs (`--fill`, then
 * timed ones) and the whitelist agree. Wire formats: BEP 3, 15, 23.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <ctype.h>
#include <endian.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum kind { ANNOUNCE, SCRAPE, CONNECT, KINDS };
enum event { NONE, COMPLETED, STARTED, STOPPED }; /* the numbers of BEP 15 */

#define BATCH 256          /* datagrams a system call */
#define RETRANSMIT 1.0     /* seconds without an answer before a datagram is sent again */
#define TRIES 8            /* datagrams sent before a request counts as lost */
#define HTTP_PATIENCE 5.0  /* seconds before an HTTP request counts as lost */
#define SILENCE 5.0        /* seconds without any answer after which the run is given up */
#define FIRST_PORT 1024    /* lowest port a peer claims to listen on */
#define LEFT 350000000     /* bytes a leecher still wants */
#define LATENCIES 20000    /* buckets of 0.1 ms */

static struct {
    uint32_t torrents, peers, addresses, in_flight, numwant, seed;
    double seconds, reconnect;
    int port, pid, server_core;
    bool fill, ballast;
} opt = {.torrents = 10000, .peers = 200000, .addresses = 250, .in_flight = 256, .numwant = 50, .seed = 1,
         .seconds = 5, .reconnect = 60};

static struct {
    uint64_t answered, by_kind[KINDS], errors, connection_id_errors, retransmits, lost, open_at_end, stray;
    uint64_t listing_answers, listed, self_listed, latency[LATENCIES];
    double max_latency;
    char first_error[160];
} stats;

static pid_t ballast; /* see load_ballast */
static uint8_t (*hashes)[20]; /* torrent -> info hash */
static uint32_t *torrent_of;  /* peer -> torrent */
static bool counting = true;  /* false while the last answers are drained */

/* ---- helpers ---- */

static void die(const char *what) {
    fprintf(stderr, "loadgen: %s: %s\n", what, strerror(errno));
    exit(2);
}

static void *need(void *memory) {
    if (!memory) die("memory");
    return memory;
}

static double now_s(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* splitmix64 (public domain, Vigna): a good hash of a counter, hence a random-access deterministic generator. */
static uint64_t mix(uint64_t x) {
    x += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

static uint64_t draws;
static uint32_t random_below(uint32_t n) {
    return (uint32_t)(((mix(((uint64_t)opt.seed << 48) + draws++) >> 32) * n) >> 32);
}

static void put16(uint8_t *p, uint16_t v) { v = htobe16(v); memcpy(p, &v, 2); }
static void put32(uint8_t *p, uint32_t v) { v = htobe32(v); memcpy(p, &v, 4); }
static void put64(uint8_t *p, uint64_t v) { v = htobe64(v); memcpy(p, &v, 8); }
static uint16_t get16(const uint8_t *p) { uint16_t v; memcpy(&v, p, 2); return be16toh(v); }
static uint32_t get32(const uint8_t *p) { uint32_t v; memcpy(&v, p, 4); return be32toh(v); }

__attribute__((format(printf, 1, 2))) static void error(const char *format, ...) {
    if (!counting) return;
    stats.errors++;
    if (stats.first_error[0]) return;
    va_list args;
    va_start(args, format);
    vsnprintf(stats.first_error, sizeof stats.first_error, format, args);
    va_end(args);
    for (char *c = stats.first_error; *c; c++)
        if (*c == '"' || *c == '\\' || !isprint((unsigned char)*c)) *c = '.'; /* it is printed inside JSON */
}

static void answered(enum kind kind, double took) {
    if (!counting) return;
    stats.answered++;
    stats.by_kind[kind]++;
    uint64_t bucket = (uint64_t)(took * 1e4);
    stats.latency[bucket < LATENCIES ? bucket : LATENCIES - 1]++;
    if (took > stats.max_latency) stats.max_latency = took;
}

/* ---- the population: peers, their swarms and addresses ---- */

static uint32_t address_of(uint32_t peer) {
    uint32_t k = peer % opt.addresses; /* 127.0.0.2 to .251, then 127.0.1.2 and so on: never the server's .1 */
    return 0x7f000000u + ((k / 250) << 8) + 2 + k % 250;
}

static uint16_t port_of(uint32_t peer) { return (uint16_t)(FIRST_PORT + peer / opt.addresses); }
static bool is_seeder(uint32_t peer) { return mix(peer + ((uint64_t)opt.seed << 40)) % 10 < 3; }

/* The peer at this address, or UINT32_MAX when we never announced from there. */
static uint32_t peer_at(const uint8_t *compact) {
    uint32_t ip = get32(compact), port = get16(compact + 4);
    if ((ip >> 24) != 0x7f || (ip & 255) < 2 || (ip & 255) > 251 || port < FIRST_PORT) return UINT32_MAX;
    uint64_t k = (uint64_t)((ip >> 8) & 0xffff) * 250 + (ip & 255) - 2;
    uint64_t peer = (uint64_t)(port - FIRST_PORT) * opt.addresses + k;
    return k < opt.addresses && peer < opt.peers ? (uint32_t)peer : UINT32_MAX;
}

static void populate(void) {
    hashes = need(calloc(opt.torrents, 20));
    torrent_of = need(calloc(opt.peers, sizeof *torrent_of));
    for (uint32_t t = 0; t < opt.torrents; t++)
        for (uint32_t word = 0; word < 3; word++) {
            uint64_t bits = mix(((uint64_t)opt.seed << 44) + (uint64_t)t * 3 + word);
            memcpy(hashes[t] + word * 8, &bits, word < 2 ? 8 : 4);
        }
    for (uint32_t i = 0; i < opt.peers; i++) /* the first peers give every swarm one, the rest fall anywhere */
        torrent_of[i] = i < opt.torrents ? i : (uint32_t)(mix(((uint64_t)opt.seed << 52) + i) % opt.torrents);
}

static void peer_id_of(uint32_t peer, char id[21]) { /* no printf: this runs for every request */
    uint64_t bits = mix(peer);
    memcpy(id, "-TR3000-", 8);
    for (int i = 8; i < 20; i++, bits >>= 4) id[i] = "0123456789abcdef"[bits & 15];
    id[20] = 0;
}

struct request {
    enum kind kind;
    enum event event;
    uint32_t peer;
    bool seeding;
};

static uint32_t next_peer; /* of a fill */

/* Chooses the next request of the mix; returns false when a fill has announced every peer. */
static bool next_request(struct request *r) {
    *r = (struct request){ANNOUNCE, STARTED, next_peer, false};
    if (opt.fill) {
        if (next_peer == opt.peers) return false;
        next_peer++;
    } else {
        uint32_t dice = random_below(1000);
        r->peer = random_below(opt.peers);
        r->kind = dice < 10 ? SCRAPE : ANNOUNCE;
        r->event = dice < 20 ? STARTED : dice < 25 ? COMPLETED : dice < 30 ? STOPPED : NONE;
    }
    r->seeding = r->event == COMPLETED || is_seeder(r->peer);
    return true;
}

/* Transferred bytes as a clock: they grow from announce to announce, over separate runs too. */
static uint64_t transferred(uint32_t peer) { return ((uint64_t)time(NULL) - 1700000000u) * (1000 + peer % 1000); }

/* Checks a compact peer list: at most numwant entries, all of them peers of the requested swarm. */
static void check_listed(const struct request *r, const uint8_t *list, size_t size) {
    size_t n = size / 6;
    if (size % 6 || n > opt.numwant) { error("peer list of %zu bytes", size); return; }
    for (size_t i = 0; i < n; i++) {
        uint32_t peer = peer_at(list + i * 6);
        if (peer == UINT32_MAX || torrent_of[peer] != torrent_of[r->peer]) { error("a peer of another swarm"); return; }
        if (peer == r->peer && counting) stats.self_listed++;
    }
    if (!counting || r->event == STOPPED) return;
    stats.listing_answers++;
    stats.listed += n;
}

/* ---- UDP ---- */

struct udp_slot {
    struct request asked;
    enum kind sent_kind; /* CONNECT while the address has no connection id, then asked.kind */
    uint32_t transaction;
    uint16_t size;
    uint8_t tries;
    bool busy;
    double began, sent; /* first and latest transmission */
    uint8_t packet[112];
};

static struct { uint8_t id[8]; double got; } *connection; /* by address number */
static struct udp_slot *slots;
static uint32_t busy_slots;
static int udp_socket;
static uint32_t outbox[BATCH]; /* slots to send */
static unsigned outbox_size;

static void open_udp(void) {
    int on = 1, room = 8 << 20;
    struct sockaddr_in any = {.sin_family = AF_INET};
    udp_socket = socket(AF_INET, SOCK_DGRAM, 0);
    /* One socket plays all addresses (IP_PKTINFO names the source of each datagram): the generator stays cheap. */
    if (udp_socket < 0 || setsockopt(udp_socket, IPPROTO_IP, IP_PKTINFO, &on, sizeof on)) die("socket");
    setsockopt(udp_socket, SOL_SOCKET, SO_BINDTODEVICE, "lo", 2); /* keep strangers out where the kernel lets us */
    if (setsockopt(udp_socket, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room))
        setsockopt(udp_socket, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
    if (bind(udp_socket, (struct sockaddr *)&any, sizeof any)) die("bind");
}

static void send_outbox(double now) {
    static struct mmsghdr messages[BATCH];
    static struct iovec parts[BATCH];
    static union { struct cmsghdr align; char bytes[CMSG_SPACE(sizeof(struct in_pktinfo))]; } control[BATCH];
    struct sockaddr_in server = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)opt.port), .sin_addr.s_addr = htonl(0x7f000001)};
    for (unsigned i = 0; i < outbox_size; i++) {
        struct udp_slot *slot = &slots[outbox[i]];
        struct in_pktinfo source = {.ipi_spec_dst.s_addr = htonl(address_of(slot->asked.peer))};
        struct msghdr *head = &messages[i].msg_hdr;
        slot->sent = now;
        parts[i] = (struct iovec){slot->packet, slot->size};
        *head = (struct msghdr){.msg_name = &server, .msg_namelen = sizeof server, .msg_iov = &parts[i], .msg_iovlen = 1,
                                .msg_control = &control[i], .msg_controllen = sizeof control[i]};
        struct cmsghdr *c = CMSG_FIRSTHDR(head);
        *c = (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof source), .cmsg_level = IPPROTO_IP, .cmsg_type = IP_PKTINFO};
        memcpy(CMSG_DATA(c), &source, sizeof source);
    }
    for (unsigned done = 0; done < outbox_size;) {
        int n = sendmmsg(udp_socket, messages + done, outbox_size - done, 0);
        if (n > 0) done += (unsigned)n;
        else if (errno != EINTR && errno != ECONNREFUSED && errno != ENOBUFS) die("sendmmsg");
    }
    outbox_size = 0;
}

static void post(uint32_t index, double now) {
    outbox[outbox_size++] = index;
    if (outbox_size == BATCH) send_outbox(now);
}

static void write_announce(uint8_t *p, const struct request *r) {
    char id[21];
    peer_id_of(r->peer, id);
    memcpy(p + 16, hashes[torrent_of[r->peer]], 20);
    memcpy(p + 36, id, 20);
    put64(p + 56, transferred(r->peer));
    put64(p + 64, r->seeding ? 0 : LEFT);
    put64(p + 72, transferred(r->peer) / 2);
    put32(p + 80, r->event);
    put32(p + 84, 0);
    put32(p + 88, r->peer ^ 0x5eed);
    put32(p + 92, opt.numwant);
    put16(p + 96, port_of(r->peer));
}

/* Writes and posts the datagram this slot needs now: a connect first when the address has no fresh id. */
static void ask(uint32_t index, double now, bool may_connect) {
    struct udp_slot *slot = &slots[index];
    uint32_t address = slot->asked.peer % opt.addresses;
    bool connect = may_connect && now - connection[address].got >= opt.reconnect;
    slot->sent_kind = connect ? CONNECT : slot->asked.kind;
    slot->transaction = ((slot->transaction + 0x10000u) & 0xffff0000u) | index;
    slot->tries = 1;
    slot->began = now;
    put32(slot->packet + 12, slot->transaction);
    if (connect) {
        put64(slot->packet, 0x41727101980u);
        put32(slot->packet + 8, 0);
        slot->size = 16;
    } else {
        memcpy(slot->packet, connection[address].id, 8);
        put32(slot->packet + 8, slot->asked.kind == ANNOUNCE ? 1 : 2);
        slot->size = slot->asked.kind == ANNOUNCE ? 98 : 36;
        if (slot->asked.kind == ANNOUNCE) write_announce(slot->packet, &slot->asked);
        else memcpy(slot->packet + 16, hashes[torrent_of[slot->asked.peer]], 20);
    }
    post(index, now);
}

static void next_in_slot(uint32_t index, double now) {
    struct udp_slot *slot = &slots[index];
    bool was = slot->busy;
    slot->busy = counting && next_request(&slot->asked);
    busy_slots = busy_slots + slot->busy - was;
    if (slot->busy) ask(index, now, true);
}

static void check_error_packet(struct udp_slot *slot, const uint8_t *p, size_t size) {
    char text[80] = "";
    memcpy(text, p + 8, size - 8 < sizeof text ? size - 8 : sizeof text - 1);
    error("error packet: %s", text);
    connection[slot->asked.peer % opt.addresses].got = -1e9; /* whatever it was, a new id cannot hurt */
    if (strcasestr(text, "connection") || strcasestr(text, "cookie")) stats.connection_id_errors += counting;
}

static void check_udp(struct udp_slot *slot, const uint8_t *p, size_t size, double now) {
    static const uint32_t action[KINDS] = {1, 2, 0};
    static const size_t least[KINDS] = {20, 20, 16};
    enum kind kind = slot->sent_kind;
    if (get32(p) == 3) { check_error_packet(slot, p, size); return; }
    if (get32(p) != action[kind]) { error("action %u for %u", get32(p), action[kind]); return; }
    if (size < least[kind] || (kind != ANNOUNCE && size != least[kind])) { error("%zu bytes", size); return; }
    uint64_t errors = stats.errors;
    if (kind == CONNECT) {
        memcpy(connection[slot->asked.peer % opt.addresses].id, p + 8, 8);
        connection[slot->asked.peer % opt.addresses].got = now;
    } else if (kind == ANNOUNCE) {
        if (!get32(p + 8) || get32(p + 8) > 86400) error("interval %u", get32(p + 8));
        if (slot->asked.event != STOPPED && get32(p + 12) + get32(p + 16) < 1) error("an empty swarm for its own peer");
        check_listed(&slot->asked, p + 20, size - 20);
    }
    if (stats.errors == errors) answered(kind, now - slot->began); /* only right answers make the rate */
}

static void take(const uint8_t *p, size_t size, uint32_t to, double now) {
    uint32_t transaction = size >= 8 ? get32(p + 4) : 0, index = transaction & 0xffff;
    if (size < 8) { error("%zu bytes", size); return; }
    struct udp_slot *slot = &slots[index];
    if (index >= opt.in_flight || !slot->busy || slot->transaction != transaction) {
        stats.stray += counting; /* a second answer after a retransmission, or one to a question never asked */
        return;
    }
    if (to != address_of(slot->asked.peer)) error("an answer sent to another address");
    bool connected = slot->sent_kind == CONNECT && get32(p) == 0;
    check_udp(slot, p, size, now);
    if (connected && counting) ask(index, now, false);
    else next_in_slot(index, now);
}

static bool receive(int patience_ms) {
    static struct mmsghdr messages[BATCH];
    static struct iovec parts[BATCH];
    static struct sockaddr_in from[BATCH];
    static uint8_t bytes[BATCH][2048];
    static union { struct cmsghdr align; char bytes[CMSG_SPACE(sizeof(struct in_pktinfo))]; } control[BATCH];
    struct pollfd ready = {udp_socket, POLLIN, 0};
    if (poll(&ready, 1, patience_ms) <= 0) return false;
    for (unsigned i = 0; i < BATCH; i++) {
        parts[i] = (struct iovec){bytes[i], sizeof bytes[i]};
        messages[i].msg_hdr = (struct msghdr){.msg_name = &from[i], .msg_namelen = sizeof from[i], .msg_iov = &parts[i],
                                              .msg_iovlen = 1, .msg_control = &control[i], .msg_controllen = sizeof control[i]};
    }
    int n = recvmmsg(udp_socket, messages, BATCH, MSG_DONTWAIT, NULL);
    double now = now_s();
    for (int i = 0; i < n; i++) {
        struct in_pktinfo to = {0};
        struct cmsghdr *c = CMSG_FIRSTHDR(&messages[i].msg_hdr);
        if (c && c->cmsg_type == IP_PKTINFO) memcpy(&to, CMSG_DATA(c), sizeof to);
        if (ntohs(from[i].sin_port) == opt.port) take(bytes[i], messages[i].msg_len, ntohl(to.ipi_addr.s_addr), now);
    }
    return n > 0;
}

static void retransmit(double now) {
    for (uint32_t i = 0; i < opt.in_flight; i++) {
        if (!slots[i].busy || now - slots[i].sent < RETRANSMIT) continue;
        if (slots[i].tries++ < TRIES) { stats.retransmits++; post(i, now); }
        else { stats.lost++; next_in_slot(i, now); }
    }
    send_outbox(now);
}

/* Runs until `end` (a fill: until every peer was answered). Returns false when the server stops answering. */
static bool run_udp(double end) {
    double now = now_s(), heard = now, scanned = now;
    for (uint32_t i = 0; i < opt.in_flight; i++) next_in_slot(i, now);
    for (send_outbox(now); busy_slots && (opt.fill || now < end); now = now_s()) {
        if (receive(100)) heard = now;
        send_outbox(now);
        if (now - heard > SILENCE) return false;
        if (now - scanned > 0.1) { retransmit(now); scanned = now; }
    }
    return true;
}

static void drain_udp(void) {
    counting = false;
    for (double end = now_s() + 1; busy_slots && now_s() < end;) receive(100);
    stats.open_at_end = busy_slots;
}

/* ---- HTTP: a new connection for each request ---- */

struct http_slot {
    struct request asked;
    int fd, size, sent, have; /* fd -1: free */
    double began;
    char out[768];
    char in[8192];
};

static struct http_slot *visits;
static int epoll;

static int percent(char *out, const uint8_t *bytes, int n) {
    static const char hex[] = "0123456789abcdef";
    char *start = out;
    for (int i = 0; i < n; i++)
        if (isalnum(bytes[i])) *out++ = (char)bytes[i];
        else { *out++ = '%'; *out++ = hex[bytes[i] >> 4]; *out++ = hex[bytes[i] & 15]; }
    *out = 0;
    return (int)(out - start);
}

static void write_http(struct http_slot *v) {
    static const char *const events[] = {"", "&event=completed", "&event=started", "&event=stopped"};
    const struct request *r = &v->asked;
    char hash[64], id[21], query[400] = "";
    percent(hash, hashes[torrent_of[r->peer]], 20);
    peer_id_of(r->peer, id);
    if (r->kind == ANNOUNCE)
        snprintf(query, sizeof query, "&peer_id=%s&port=%u&uploaded=%llu&downloaded=%llu&left=%u&numwant=%u&key=%08x&compact=1%s",
                 id, port_of(r->peer), (unsigned long long)transferred(r->peer) / 2, (unsigned long long)transferred(r->peer),
                 r->seeding ? 0 : LEFT, opt.numwant, r->peer ^ 0x5eed, events[r->event]);
    v->size = snprintf(v->out, sizeof v->out,
                       "GET /%s?info_hash=%s%s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUser-Agent: Transmission/3.00\r\n"
                       "Accept: */*\r\nConnection: close\r\n\r\n",
                       r->kind == ANNOUNCE ? "announce" : "scrape", hash, query, opt.port);
}

static void leave(struct http_slot *v) {
    close(v->fd); /* leaves the epoll set with it */
    v->fd = -1;
    busy_slots--;
}

static void flush_http(struct http_slot *v) {
    ssize_t n = send(v->fd, v->out + v->sent, (size_t)(v->size - v->sent), MSG_NOSIGNAL);
    if (n > 0) v->sent += (int)n;
}

/* Opens the slot's next connection; returns false when no request or no socket is left. */
static bool visit(struct http_slot *v) {
    struct sockaddr_in server = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)opt.port), .sin_addr.s_addr = htonl(0x7f000001)};
    int on = 1;
    if (!counting || !next_request(&v->asked)) return false;
    struct sockaddr_in own = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(address_of(v->asked.peer))};
    write_http(v);
    v->sent = v->have = 0;
    v->began = now_s();
    v->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (v->fd < 0) die("socket");
    busy_slots++;
    setsockopt(v->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on); /* ports are then per destination */
    if (bind(v->fd, (struct sockaddr *)&own, sizeof own)) die("bind");
    if (connect(v->fd, (struct sockaddr *)&server, sizeof server) && errno != EINPROGRESS) {
        error("connect: %s", strerror(errno));
        leave(v);
        return false;
    }
    flush_http(v); /* over loopback the handshake is done by now, whatever connect said */
    /* One wake-up a visit, at the server's FIN: an answer to `Connection: close` ends there. */
    struct epoll_event watch = {EPOLLRDHUP | EPOLLET | (v->sent < v->size ? EPOLLOUT : 0), {.ptr = v}};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, v->fd, &watch)) die("epoll_ctl");
    return true;
}

static void check_body(const struct request *r, const char *body, size_t size) {
    if (size < 2 || body[0] != 'd' || body[size - 1] != 'e') { error("a body that is no dictionary"); return; }
    if (memmem(body, size, "14:failure reason", 17)) { error("failure: %.100s", body); return; }
    if (r->kind == SCRAPE) {
        if (!memmem(body, size, "5:files", 7)) error("a scrape without files");
        return;
    }
    const char *peers = memmem(body, size, "5:peers", 7), *interval = memmem(body, size, "8:intervali", 11);
    if (!peers || !interval || atol(interval + 11) <= 0) { error("no peers or no interval"); return; }
    char *list;
    unsigned long length = strtoul(peers + 7, &list, 10);
    if (*list != ':' || length > size || list + 1 + length > body + size) { error("a broken peer list"); return; }
    check_listed(r, (const uint8_t *)list + 1, length);
}

static void check_http(struct http_slot *v) {
    v->in[v->have] = 0;
    const char *end = memmem(v->in, (size_t)v->have, "\r\n\r\n", 4);
    const char *length = strcasestr(v->in, "\r\ncontent-length:");
    if (strncmp(v->in, "HTTP/1.", 7) || strncmp(v->in + 8, " 200", 4)) { error("status: %.40s", v->in); return; }
    if (!end || !length || length > end) { error("no Content-Length"); return; }
    size_t size = (size_t)(v->in + v->have - (end + 4));
    if (strtoul(length + 17, NULL, 10) != size) { error("Content-Length is not the %zu bytes sent", size); return; }
    uint64_t errors = stats.errors;
    check_body(&v->asked, end + 4, size);
    if (stats.errors == errors) answered(v->asked.kind, now_s() - v->began);
}

/* Serves one event of a slot; true when its visit is over. */
static bool attend(struct http_slot *v, uint32_t happened) {
    if (v->sent < v->size) flush_http(v);
    if (!(happened & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))) return false;
    for (;;) {
        ssize_t n = recv(v->fd, v->in + v->have, sizeof v->in - 1 - (size_t)v->have, 0);
        if (n > 0) v->have += (int)n;
        if (v->have == (int)sizeof v->in - 1) { error("a long answer"); return true; }
        if (n > 0 && !(happened & (EPOLLHUP | EPOLLERR))) { check_http(v); return true; } /* all there was before FIN */
        if (n == 0) { check_http(v); return true; }
        if (n < 0 && errno == EAGAIN) return false;
        if (n < 0) { error("receive: %s", strerror(errno)); return true; }
    }
}

static void give_up_late(double now) {
    for (uint32_t i = 0; i < opt.in_flight; i++) {
        if (visits[i].fd >= 0 && now - visits[i].began > HTTP_PATIENCE) { stats.lost++; leave(&visits[i]); }
        if (visits[i].fd < 0) visit(&visits[i]);
    }
}

static bool run_http(double end) {
    struct epoll_event events[BATCH];
    double now = now_s(), heard = now, scanned = now;
    for (uint32_t i = 0; i < opt.in_flight; i++) visit(&visits[i]);
    for (; (opt.fill || now < end) && (busy_slots || next_peer < opt.peers); now = now_s()) {
        uint64_t before = stats.answered;
        int n = epoll_wait(epoll, events, BATCH, 100);
        for (int i = 0; i < n; i++) {
            struct http_slot *v = events[i].data.ptr;
            if (v->fd >= 0 && attend(v, events[i].events)) { leave(v); visit(v); }
        }
        if (stats.answered > before) heard = now;
        if (now - heard > SILENCE) return false;
        if (now - scanned > 0.1) { give_up_late(now); scanned = now; }
        if (opt.fill && next_peer == opt.peers && !busy_slots) break;
    }
    return true;
}

static void drain_http(void) {
    struct epoll_event events[BATCH];
    counting = false;
    for (double end = now_s() + 1; busy_slots && now_s() < end;) {
        int n = epoll_wait(epoll, events, BATCH, 100);
        for (int i = 0; i < n; i++) {
            struct http_slot *v = events[i].data.ptr;
            if (v->fd >= 0 && attend(v, events[i].events)) leave(v);
        }
    }
    stats.open_at_end = busy_slots;
}

/* ---- the run and its report ---- */

/* CPU seconds so far: of the server (all threads), of this process, and of everybody on either one's core. */
struct usage { double server, own, server_core, own_core, steal, server_idle; };

static double process_cpu(int pid) {
    char path[64], line[1024] = "";
    unsigned long user = 0, kernel = 0;
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    FILE *file = pid ? fopen(path, "r") : NULL;
    if (!file) return 0;
    const char *after_name = fgets(line, sizeof line, file) ? strrchr(line, ')') : NULL;
    if (after_name) sscanf(after_name + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &kernel);
    fclose(file);
    return (double)(user + kernel) / (double)sysconf(_SC_CLK_TCK);
}

static double own_cpu(void) {
    struct rusage r;
    getrusage(RUSAGE_SELF, &r);
    return (double)(r.ru_utime.tv_sec + r.ru_stime.tv_sec) + 1e-6 * (double)(r.ru_utime.tv_usec + r.ru_stime.tv_usec);
}

/* What processes were charged on one core; its stolen time is added to *steal. Soft interrupts, a good part of loopback
 * traffic, count when the kernel charges them to the process they interrupt: it does unless it measures interrupt time
 * (CONFIG_IRQ_TIME_ACCOUNTING), and then the irq column, otherwise only sampled, is never 0. */
static double core_cpu(int core, double *steal, double *idle) {
    char line[256];
    unsigned long long v[8] = {0};
    int number;
    FILE *file = fopen("/proc/stat", "r");
    while (file && fgets(line, sizeof line, file))
        if (sscanf(line, "cpu%d %llu %llu %llu %llu %llu %llu %llu %llu", &number, v, v + 1, v + 2, v + 3, v + 4, v + 5,
                   v + 6, v + 7) == 9 && line[3] != ' ' && number == core) break;
    if (file) fclose(file);
    *steal += (double)v[7] / (double)sysconf(_SC_CLK_TCK);
    *idle = (double)(v[3] + v[4]) / (double)sysconf(_SC_CLK_TCK);
    return (double)(v[0] + v[1] + v[2] + (v[5] ? 0 : v[6])) / (double)sysconf(_SC_CLK_TCK);
}

static struct usage usage_now(void) {
    struct usage u = {.server = process_cpu(opt.pid), .own = own_cpu()};
    double own_idle;
    u.server_core = core_cpu(opt.server_core, &u.steal, &u.server_idle) - process_cpu(ballast);
    u.own_core = core_cpu(sched_getcpu(), &u.steal, &own_idle);
    return u;
}

static struct usage usage_since(struct usage then) {
    struct usage u = usage_now();
    return (struct usage){u.server - then.server, u.own - then.own, u.server_core - then.server_core,
                          u.own_core - then.own_core, u.steal - then.steal,
                          u.server_idle - then.server_idle};
}

/* Milliseconds below which this share of the answers came. */
static double quantile(double share) {
    uint64_t seen = 0;
    for (int i = 0; i < LATENCIES; i++)
        if ((seen += stats.latency[i]) >= share * (double)stats.answered) return (i + 1) / 10.0;
    return 0;
}

static double share(double seconds, double wall) { return seconds > 0 ? seconds / wall : 0; }

static void report(const char *protocol, bool alive, double wall, struct usage used) {
    printf("{\"protocol\": \"%s\", \"fill\": %s, \"in_flight\": %u, \"seconds\": %.3f, \"rate\": %.1f, \"answered\": %llu, "
           "\"announces\": %llu, \"scrapes\": %llu, \"connects\": %llu, ",
           protocol, opt.fill ? "true" : "false", opt.in_flight, wall, (double)stats.answered / wall,
           (unsigned long long)stats.answered, (unsigned long long)stats.by_kind[ANNOUNCE],
           (unsigned long long)stats.by_kind[SCRAPE], (unsigned long long)stats.by_kind[CONNECT]);
    printf("\"errors\": %llu, \"connection_id_errors\": %llu, \"first_error\": \"%s\", \"retransmits\": %llu, "
           "\"lost\": %llu, \"open_at_end\": %llu, \"stray\": %llu, ",
           (unsigned long long)stats.errors, (unsigned long long)stats.connection_id_errors, stats.first_error,
           (unsigned long long)stats.retransmits, (unsigned long long)stats.lost, (unsigned long long)stats.open_at_end,
           (unsigned long long)stats.stray);
    printf("\"peers_per_answer\": %.2f, \"self_listed\": %llu, \"p50_ms\": %.1f, \"p99_ms\": %.1f, \"max_ms\": %.1f, "
           "\"generator_cpu\": %.3f, \"server_cpu\": %.3f, ",
           stats.listing_answers ? (double)stats.listed / (double)stats.listing_answers : 0.0,
           (unsigned long long)stats.self_listed, quantile(0.5), quantile(0.99), stats.max_latency * 1e3,
           share(used.own, wall), share(used.server, wall));
    printf("\"server_core_idle\": %.3f, ", share(used.server_idle, wall));
    printf("\"others_on_server_core\": %.3f, \"others_on_generator_core\": %.3f, \"steal\": %.3f, \"silent\": %s}\n",
           share(used.server_core - used.server, wall), share(used.own_core - used.own, wall), share(used.steal, wall),
           alive ? "false" : "true");
}

/* Runs an endless loop on the server's core, so that the server has half of the core. The generator bears most of the
 * cost of a connection and would otherwise be the limit. */
static void load_ballast(void) {
    ballast = fork();
    if (ballast < 0) die("fork");
    if (ballast) return;
    cpu_set_t core;
    CPU_ZERO(&core);
    CPU_SET(opt.server_core, &core);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (sched_setaffinity(0, sizeof core, &core)) _exit(1);
    for (;;) __asm__ volatile("");
}

static void drop_ballast(void) {
    if (ballast) kill(ballast, SIGKILL), waitpid(ballast, NULL, 0);
}

static int run(const char *protocol) {
    bool udp = !strcmp(protocol, "udp");
    slots = need(calloc(opt.in_flight, sizeof *slots));
    visits = need(calloc(opt.in_flight, sizeof *visits));
    connection = need(calloc(opt.addresses, sizeof *connection));
    for (uint32_t i = 0; i < opt.in_flight; i++) visits[i].fd = -1;
    for (uint32_t i = 0; i < opt.addresses; i++) connection[i].got = -1e9;
    if (udp) open_udp();
    else epoll = epoll_create1(0);
    if (opt.ballast) load_ballast();
    double began = now_s();
    struct usage before = usage_now();
    bool alive = (udp ? run_udp : run_http)(began + opt.seconds);
    double wall = now_s() - began;
    struct usage used = usage_since(before);
    drop_ballast();
    if (udp) drain_udp();
    else drain_http();
    report(protocol, alive, wall, used);
    return alive ? 0 : 3;
}

static void parse(int argc, char **argv) {
    static const struct option names[] = {
        {"torrents", 1, 0, 't'}, {"peers", 1, 0, 'p'}, {"addresses", 1, 0, 'a'}, {"in-flight", 1, 0, 'i'},
        {"numwant", 1, 0, 'n'}, {"seed", 1, 0, 's'}, {"seconds", 1, 0, 'd'}, {"reconnect", 1, 0, 'r'},
        {"port", 1, 0, 'o'}, {"pid", 1, 0, 'k'}, {"server-core", 1, 0, 'c'}, {"fill", 0, 0, 'f'},
        {"ballast", 0, 0, 'b'}, {0, 0, 0, 0}};
    for (int c; (c = getopt_long(argc, argv, "", names, NULL)) != -1;) {
        uint32_t number = optarg ? (uint32_t)strtoul(optarg, NULL, 10) : 0;
        if (c == 't') opt.torrents = number;
        else if (c == 'p') opt.peers = number;
        else if (c == 'a') opt.addresses = number;
        else if (c == 'i') opt.in_flight = number;
        else if (c == 'n') opt.numwant = number;
        else if (c == 's') opt.seed = number;
        else if (c == 'd') opt.seconds = atof(optarg);
        else if (c == 'r') opt.reconnect = atof(optarg);
        else if (c == 'o') opt.port = (int)number;
        else if (c == 'k') opt.pid = (int)number;
        else if (c == 'c') opt.server_core = (int)number;
        else if (c == 'f') opt.fill = true;
        else if (c == 'b') opt.ballast = true;
        else exit(2);
    }
    errno = EINVAL;
    if (!opt.torrents || opt.peers < opt.torrents) die("needs --peers >= --torrents >= 1");
    if (!opt.in_flight || opt.in_flight > 65535) die("--in-flight is 1 to 65535");
    if (!opt.addresses || opt.addresses > 60000) die("--addresses is 1 to 60000");
    if (opt.peers / opt.addresses > 65535 - FIRST_PORT) die("too many peers for so few addresses");
}

int main(int argc, char **argv) {
    const char *mode = argc > 1 ? argv[1] : "";
    parse(argc, argv);
    populate();
    if (!strcmp(mode, "hashes")) {
        for (uint32_t t = 0; t < opt.torrents; t++, putchar('\n'))
            for (int i = 0; i < 20; i++) printf("%02x", hashes[t][i]);
        return 0;
    }
    errno = EINVAL;
    if (strcmp(mode, "udp") && strcmp(mode, "http")) die("first argument: hashes, udp or http");
    if (!opt.port) die("--port is missing");
    return run(mode);
}
