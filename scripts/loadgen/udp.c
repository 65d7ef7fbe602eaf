/* The load over UDP (BEP 15): a number of requests always open, or a number of requests a second. */
#include "loadgen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>

#define RETRANSMIT 1.0 /* seconds without an answer before a datagram is sent again */
#define TRIES 8        /* datagrams sent before a request counts as lost */
#define OPTIONS 44     /* bytes of the option with the URL and its key (BEP 41) */
#define PATIENCE 1.0   /* seconds for which a place is kept for a request that is not sent again */

struct slot {
    struct request asked;
    enum kind sent_kind; /* CONNECT while the address has no connection id, then asked.kind */
    uint32_t transaction; /* the slot's number, and above it how often the slot was used */
    uint16_t size;
    uint8_t tries;
    bool busy;
    double began, sent; /* when it was due, and its latest transmission */
    uint8_t packet[144];
};

static struct { uint8_t id[8]; double got; } *connection; /* by address number */
static struct slot *slots;
static uint32_t slots_count, slot_bits;
static int udp_socket;
static uint32_t outbox[BATCH]; /* slots to send */
static unsigned outbox_size;

static void make_slots(void) {
    double wanted = opt.rate && !opt.fill ? opt.rate * PATIENCE : opt.in_flight;
    for (slot_bits = 1; (double)(1u << slot_bits) < wanted; slot_bits++);
    slots_count = opt.rate && !opt.fill ? 1u << slot_bits : opt.in_flight;
    slots = need(calloc(slots_count, sizeof *slots));
    connection = need(calloc(opt.addresses, sizeof *connection));
    for (uint32_t i = 0; i < opt.addresses; i++) connection[i].got = -1e9;
}

void open_udp(void) {
    int on = 1, room = 8 << 20, family = opt.ipv6 ? AF_INET6 : AF_INET;
    struct sockaddr_storage any = {.ss_family = (sa_family_t)family};
    make_slots();
    udp_socket = socket(family, SOCK_DGRAM, 0);
    /* One socket plays all addresses (IP_PKTINFO names the source of each datagram): the generator stays cheap. */
    if (udp_socket < 0 || (!opt.ipv6 && setsockopt(udp_socket, IPPROTO_IP, IP_PKTINFO, &on, sizeof on))) die("socket");
    setsockopt(udp_socket, SOL_SOCKET, SO_BINDTODEVICE, "lo", 2); /* keep strangers out where the kernel lets us */
    if (setsockopt(udp_socket, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room))
        setsockopt(udp_socket, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
    if (bind(udp_socket, (struct sockaddr *)&any, opt.ipv6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in))) die("bind");
}

static union {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
} server;

static socklen_t name_server(void) {
    if (opt.ipv6) server.v6 = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)opt.port), .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    else server.v4 = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)opt.port), .sin_addr.s_addr = htonl(0x7f000001)};
    return opt.ipv6 ? sizeof server.v6 : sizeof server.v4;
}

static void send_outbox(double now) {
    static struct mmsghdr messages[BATCH];
    static struct iovec parts[BATCH];
    static union { struct cmsghdr align; char bytes[CMSG_SPACE(sizeof(struct in_pktinfo))]; } control[BATCH];
    socklen_t length = name_server();
    for (unsigned i = 0; i < outbox_size; i++) {
        struct slot *slot = &slots[outbox[i]];
        struct msghdr *head = &messages[i].msg_hdr;
        slot->sent = now;
        parts[i] = (struct iovec){slot->packet, slot->size};
        *head = (struct msghdr){.msg_name = &server, .msg_namelen = length, .msg_iov = &parts[i], .msg_iovlen = 1};
        if (opt.ipv6) continue;
        struct in_pktinfo source = {.ipi_spec_dst.s_addr = htonl(address_of(slot->asked.peer))};
        head->msg_control = &control[i];
        head->msg_controllen = sizeof control[i];
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
    memcpy(p + 16, hash_of(torrent_of(r->peer)), 20);
    memcpy(p + 36, id, 20);
    put64(p + 56, transferred(r->peer));
    put64(p + 64, left_of(r));
    put64(p + 72, transferred(r->peer) / 2);
    put32(p + 80, r->event);
    put32(p + 84, 0);
    put32(p + 88, r->peer ^ 0x5eed);
    put32(p + 92, opt.numwant);
    put16(p + 96, port_of(r->peer));
    if (!opt.accounts) return;
    p[98] = 2;
    p[99] = OPTIONS - 2;
    memcpy(p + 100, "/announce/", 10);
    key_of(r->peer % opt.accounts, (char *)p + 110);
}

/* Writes and posts the datagram that this slot needs: a connect first when the address has no fresh id. */
static void ask(uint32_t index, double began, double now, bool may_connect) {
    struct slot *slot = &slots[index];
    uint32_t address = slot->asked.peer % opt.addresses;
    bool connect = may_connect && now - connection[address].got >= opt.reconnect;
    slot->sent_kind = connect ? CONNECT : slot->asked.kind;
    slot->transaction = (((slot->transaction >> slot_bits) + 1) << slot_bits) | index;
    slot->tries = 1;
    slot->began = began;
    put32(slot->packet + 12, slot->transaction);
    if (connect) {
        put64(slot->packet, 0x41727101980u);
        put32(slot->packet + 8, 0);
        slot->size = 16;
    } else {
        memcpy(slot->packet, connection[address].id, 8);
        put32(slot->packet + 8, slot->asked.kind == ANNOUNCE ? 1 : 2);
        slot->size = slot->asked.kind == ANNOUNCE ? 98 + (opt.accounts ? OPTIONS : 0) : 36;
        if (slot->asked.kind == ANNOUNCE) write_announce(slot->packet, &slot->asked);
        else memcpy(slot->packet + 16, hash_of(torrent_of(slot->asked.peer)), 20);
    }
    post(index, now);
}

static void begin(uint32_t index, double began, double now) {
    struct slot *slot = &slots[index];
    bool was = slot->busy;
    slot->busy = counting && next_request(&slot->asked, ANYWHERE);
    busy = busy + slot->busy - was;
    if (slot->busy) ask(index, began, now, true);
}

/* A slot whose request is over begins the next one, unless requests come by the clock. */
static void end_in_slot(uint32_t index, double now) {
    if (!opt.rate || opt.fill) { begin(index, now, now); return; }
    slots[index].busy = false;
    busy--;
}

static void check_error_packet(struct slot *slot, const uint8_t *p, size_t size) {
    char text[80] = "";
    memcpy(text, p + 8, size - 8 < sizeof text ? size - 8 : sizeof text - 1);
    error("error packet: %s", text);
    connection[slot->asked.peer % opt.addresses].got = -1e9; /* whatever it was, a new id cannot hurt */
    if (strcasestr(text, "connection") || strcasestr(text, "cookie")) stats.connection_id_errors += counting;
}

static void check_udp(struct slot *slot, const uint8_t *p, size_t size, double now) {
    static const uint32_t action[KINDS] = {1, 2, 0};
    static const size_t least[KINDS] = {20, 20, 16};
    enum kind kind = slot->sent_kind;
    if (get32(p) == 3 || get32(p) == 3u << 24) { check_error_packet(slot, p, size); return; } /* opentracker turns it round */
    if (get32(p) != action[kind]) { error("action %u for %u", get32(p), action[kind]); return; }
    if (size < least[kind] || (kind != ANNOUNCE && size != least[kind])) { error("%zu bytes for action %u", size, action[kind]); return; }
    uint64_t errors = stats.errors;
    if (kind == CONNECT) {
        memcpy(connection[slot->asked.peer % opt.addresses].id, p + 8, 8);
        connection[slot->asked.peer % opt.addresses].got = now;
    } else if (kind == ANNOUNCE) {
        if (!get32(p + 8) || get32(p + 8) > 86400) error("interval %u", get32(p + 8));
        check_counts(&slot->asked, get32(p + 16), get32(p + 12));
        check_listed(&slot->asked, p + 20, size - 20, (uint64_t)get32(p + 12) + get32(p + 16));
    } else {
        check_counts(&slot->asked, get32(p + 8), get32(p + 16));
    }
    if (stats.errors == errors) answered(kind, now - slot->began); /* only right answers make the rate */
}

/* An answer to a question that is over: a second one after a retransmission, or one that was given up. Anything else
 * was never asked. */
static void check_late(uint32_t transaction, uint32_t index) {
    uint32_t uses = slots[index].transaction >> slot_bits, use = transaction >> slot_bits;
    if (use && use <= uses) stats.late += counting;
    else error("transaction %u was never asked", transaction);
}

static void take(const uint8_t *p, size_t size, uint32_t to, double now) {
    uint32_t transaction = size >= 8 ? get32(p + 4) : 0, index = transaction & ((1u << slot_bits) - 1);
    if (size < 8) { error("%zu bytes", size); return; }
    if (index >= slots_count) { error("transaction %u was never asked", transaction); return; }
    struct slot *slot = &slots[index];
    if (!slot->busy || slot->transaction != transaction) { check_late(transaction, index); return; }
    if (!opt.ipv6 && to != address_of(slot->asked.peer)) error("an answer sent to another address");
    bool connected = slot->sent_kind == CONNECT && get32(p) == 0;
    check_udp(slot, p, size, now);
    if (connected && counting) ask(index, now, now, false);
    else end_in_slot(index, now);
}

/* The address that a datagram was sent to (IPv4). */
static uint32_t sent_to(struct msghdr *head) {
    struct in_pktinfo to = {0};
    struct cmsghdr *c = CMSG_FIRSTHDR(head);
    if (c && c->cmsg_type == IP_PKTINFO) memcpy(&to, CMSG_DATA(c), sizeof to);
    return ntohl(to.ipi_addr.s_addr);
}

static bool receive(double patience) {
    static struct mmsghdr messages[BATCH];
    static struct iovec parts[BATCH];
    static struct sockaddr_in6 from[BATCH]; /* the port is in the same place for both families */
    static uint8_t bytes[BATCH][2048];
    static union { struct cmsghdr align; char bytes[CMSG_SPACE(sizeof(struct in_pktinfo))]; } control[BATCH];
    struct pollfd ready = {udp_socket, POLLIN, 0};
    struct timespec limit = {0, patience > 0 ? (long)(patience * 1e9) : 0};
    if (ppoll(&ready, 1, &limit, NULL) <= 0) return false;
    for (unsigned i = 0; i < BATCH; i++) {
        parts[i] = (struct iovec){bytes[i], sizeof bytes[i]};
        messages[i].msg_hdr = (struct msghdr){.msg_name = &from[i], .msg_namelen = sizeof from[i], .msg_iov = &parts[i],
                                              .msg_iovlen = 1, .msg_control = &control[i], .msg_controllen = sizeof control[i]};
    }
    int n = recvmmsg(udp_socket, messages, BATCH, MSG_DONTWAIT, NULL);
    double now = now_s();
    for (int i = 0; i < n; i++)
        if (ntohs(from[i].sin6_port) == opt.port) take(bytes[i], messages[i].msg_len, sent_to(&messages[i].msg_hdr), now);
    return n > 0;
}

static void retransmit(double now) {
    for (uint32_t i = 0; i < slots_count; i++) {
        if (!slots[i].busy || now - slots[i].sent < RETRANSMIT) continue;
        if (slots[i].tries++ < TRIES) { stats.retransmits++; post(i, now); }
        else { stats.lost++; begin(i, now, now); }
    }
    send_outbox(now);
}

/* Keeps all slots busy: each answer makes room for the next request. */
static bool run_open_slots(double began, double end) {
    double now = began, heard = began, scanned = began;
    for (uint32_t i = 0; i < slots_count; i++) begin(i, now, now);
    for (send_outbox(now); busy && (opt.fill || now < end); now = now_s()) {
        if (receive(0.1)) heard = now;
        send_outbox(now);
        if (now - heard > SILENCE) return false;
        if (now - scanned > 0.1) { retransmit(now); scanned = now; }
    }
    return true;
}

/* Sends by the clock, whatever the server does, as many clients do that know nothing of each other. Waits count from when
 * a request was due. Nothing is sent again; what has no answer when its slot's turn comes again is lost. */
static bool run_by_the_clock(double began, double end) {
    uint64_t sent = 0;
    double now = began, heard = began;
    for (; now < end; now = now_s()) {
        uint64_t due = 1 + (uint64_t)((now - began) * opt.rate);
        for (unsigned batch = 0; sent < due && batch < BATCH; batch++, sent++) {
            uint32_t index = (uint32_t)sent & (slots_count - 1);
            stats.lost += slots[index].busy;
            begin(index, began + (double)sent / opt.rate, now);
        }
        send_outbox(now);
        if (receive(sent < due ? 0 : began + (double)sent / opt.rate - now)) heard = now;
        send_outbox(now);
        if (now - heard > SILENCE) return false;
    }
    stats.behind = behind(now - began, sent);
    return true;
}

bool run_udp(double began, double end) {
    return (opt.rate && !opt.fill ? run_by_the_clock : run_open_slots)(began, end);
}

/* Datagrams that the kernel dropped because this generator was slow, so that they are not taken for the server's. */
static uint64_t own_drops(void) {
    uint32_t info[SK_MEMINFO_VARS] = {0};
    socklen_t size = sizeof info;
    getsockopt(udp_socket, SOL_SOCKET, SO_MEMINFO, info, &size);
    return info[SK_MEMINFO_DROPS];
}

void drain_udp(void) {
    counting = false;
    for (double end = now_s() + 1; busy && now_s() < end;) receive(0.1);
    stats.open_at_end = busy;
    stats.own_drops = own_drops();
}
