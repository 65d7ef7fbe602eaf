/* What the parts of the load generator share: options, counters, the population, and the two loads. */
#ifndef LOADGEN_H
#define LOADGEN_H
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <endian.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/types.h>

#define BATCH 256          /* datagrams a system call, and connections a wake-up */
#define SILENCE 5.0        /* seconds without any answer after which the run is given up */
#define ANYWHERE UINT32_MAX /* in place of the number of an address */
#define LATENCIES 200000   /* buckets of 10 microseconds */

enum kind { ANNOUNCE, SCRAPE, CONNECT, KINDS };
enum event { NONE, COMPLETED, STARTED, STOPPED }; /* the numbers of BEP 15 */

struct request {
    enum kind kind;
    enum event event;
    uint32_t peer;
    bool seeding;
};

struct options {
    uint32_t torrents, peers, addresses, in_flight, numwant, seed, accounts, first;
    double seconds, reconnect, rate;
    int port, pid, server_core;
    bool fill, new, ipv6, keep_alive, tls, resume;
};
extern struct options opt;

struct counters {
    uint64_t answered, by_kind[KINDS], errors, connection_id_errors, retransmits, lost, late, open_at_end, connections, resumed;
    uint64_t listing_answers, listed, self_listed, first_announces, own_drops, latency[LATENCIES];
    double max_latency, behind; /* longest wait; requests that were due and not sent */
    char first_error[160];
};
extern struct counters stats;
extern bool counting; /* false while the last answers are drained */
extern uint32_t busy; /* requests that wait for an answer */

/* main.c */
void die(const char *what) __attribute__((noreturn));
void *need(void *memory);
double now_s(void);

/* population.c: the peers, their swarms, addresses and keys, and what they ask */
void populate(void);
const uint8_t *hash_of(uint32_t torrent);
uint32_t torrent_of(uint32_t peer);
uint32_t swarm_size(uint32_t torrent);
uint32_t peer_at(const uint8_t *compact); /* UINT32_MAX: we never announced from there */
uint32_t address_of(uint32_t peer);       /* IPv4, in the order of the host */
uint16_t port_of(uint32_t peer);
void peer_id_of(uint32_t peer, char id[21]);
void key_of(uint32_t account, char key[33]);
uint64_t transferred(uint32_t peer);
uint64_t left_of(const struct request *r);
bool next_request(struct request *r, uint32_t address);
bool fill_goes_on(void);

/* answers.c: what every answer is held against, and the count */
void error(const char *format, ...) __attribute__((format(printf, 1, 2)));
void answered(enum kind kind, double took);
void check_counts(const struct request *r, uint64_t seeders, uint64_t leechers);
void check_listed(const struct request *r, const uint8_t *list, size_t size, uint64_t counted);
/* Requests that were due after this time by the clock, and are not sent. */
static inline double behind(double seconds, uint64_t sent) {
    double due = seconds * opt.rate;
    return due > (double)sent ? (double)(uint64_t)(due - (double)sent) : 0;
}
static inline size_t endpoint_size(void) { return opt.ipv6 ? 18 : 6; }

/* udp.c and http.c: each runs until `end` (a fill: until every peer was answered); false when the server fell silent */
void open_udp(void);
bool run_udp(double began, double end);
void drain_udp(void);
void open_http(void);
bool run_http(double began, double end);
void drain_http(void);

/* http_text.c: requests written and answers read */
int write_http(char *out, size_t room, const struct request *r);
struct answer { const char *body; size_t size; bool closes; };
enum progress { PART, WHOLE, BROKEN, AGAIN };
enum progress read_http(const char *in, size_t have, struct answer *a);
void check_body(const struct request *r, const struct answer *a);

/* usage.c: who used the processor */
struct usage { double server, own, server_core, own_core, steal, server_idle; };
struct usage usage_since(struct usage then);

static inline void put16(uint8_t *p, uint16_t v) { v = htobe16(v); memcpy(p, &v, 2); }
static inline void put32(uint8_t *p, uint32_t v) { v = htobe32(v); memcpy(p, &v, 4); }
static inline void put64(uint8_t *p, uint64_t v) { v = htobe64(v); memcpy(p, &v, 8); }
static inline uint16_t get16(const uint8_t *p) { uint16_t v; memcpy(&v, p, 2); return be16toh(v); }
static inline uint32_t get32(const uint8_t *p) { uint32_t v; memcpy(&v, p, 4); return be32toh(v); }
#endif
