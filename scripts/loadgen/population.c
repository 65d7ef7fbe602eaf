/* The population: who the peers are, and what the next one asks.
 *
 * Peer i is in swarm torrent_of(i), at address i % addresses, with a port of its own. All of it is a function of --seed,
 * --torrents, --peers and --addresses alone, so separate runs (a fill, then timed ones), the whitelist and the keys agree.
 */
#include "loadgen.h"

#include <stdlib.h>
#include <time.h>

#define FIRST_PORT 1024 /* lowest port a peer claims to listen on */
#define LEFT 350000000  /* bytes a leecher still wants */

static uint8_t (*hashes)[20]; /* torrent -> info hash */
static uint32_t *torrents;    /* peer -> torrent */
static uint32_t *sizes;       /* torrent -> its peers */
static uint32_t *next_at;     /* address -> its next peer that has not announced */
static uint32_t next_address, first_asked;

/* splitmix64 (public domain, Vigna): a good hash of a counter, hence a random-access deterministic generator. */
static uint64_t mix(uint64_t x) {
    x += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

static uint32_t random_below(uint32_t n) {
    static uint64_t draws;
    return (uint32_t)(((mix(((uint64_t)opt.seed << 48) + draws++) >> 32) * n) >> 32);
}

void populate(void) {
    hashes = need(calloc(opt.torrents, 20));
    torrents = need(calloc(opt.peers, sizeof *torrents));
    sizes = need(calloc(opt.torrents, sizeof *sizes));
    next_at = need(calloc(opt.addresses, sizeof *next_at));
    for (uint32_t t = 0; t < opt.torrents; t++)
        for (uint32_t word = 0; word < 3; word++) {
            uint64_t bits = mix(((uint64_t)opt.seed << 44) + (uint64_t)t * 3 + word);
            memcpy(hashes[t] + word * 8, &bits, word < 2 ? 8 : 4);
        }
    for (uint32_t i = 0; i < opt.peers; i++) { /* the first peers give every swarm one, the rest fall anywhere */
        torrents[i] = i < opt.torrents ? i : (uint32_t)(mix(((uint64_t)opt.seed << 52) + i) % opt.torrents);
        sizes[torrents[i]]++;
    }
    for (uint32_t a = 0; a < opt.addresses; a++) /* the first peer from --first on at this address */
        next_at[a] = opt.first + (a + opt.addresses - opt.first % opt.addresses) % opt.addresses;
    next_address = opt.first % opt.addresses;
}

const uint8_t *hash_of(uint32_t torrent) { return hashes[torrent]; }
uint32_t torrent_of(uint32_t peer) { return torrents[peer]; }
uint32_t swarm_size(uint32_t torrent) { return sizes[torrent]; }
uint16_t port_of(uint32_t peer) { return (uint16_t)(FIRST_PORT + peer / opt.addresses); }

uint32_t address_of(uint32_t peer) {
    uint32_t k = peer % opt.addresses; /* 127.0.0.2 to .251, then 127.0.1.2 and so on: never the server's .1 */
    return 0x7f000000u + ((k / 250) << 8) + 2 + k % 250;
}

uint32_t peer_at(const uint8_t *compact) {
    static const uint8_t loopback[16] = {[15] = 1};
    uint64_t k = 0;
    if (opt.ipv6 && memcmp(compact, loopback, 16)) return UINT32_MAX;
    if (!opt.ipv6) {
        uint32_t ip = get32(compact);
        if ((ip >> 24) != 0x7f || (ip & 255) < 2 || (ip & 255) > 251) return UINT32_MAX;
        k = (uint64_t)((ip >> 8) & 0xffff) * 250 + (ip & 255) - 2;
    }
    uint32_t port = get16(compact + endpoint_size() - 2);
    if (port < FIRST_PORT) return UINT32_MAX;
    uint64_t peer = (uint64_t)(port - FIRST_PORT) * opt.addresses + k;
    return k < opt.addresses && peer < opt.peers ? (uint32_t)peer : UINT32_MAX;
}

void peer_id_of(uint32_t peer, char id[21]) { /* no printf: this runs for every request */
    uint64_t bits = mix(peer);
    memcpy(id, "-TR3000-", 8);
    for (int i = 8; i < 20; i++, bits >>= 4) id[i] = "0123456789abcdef"[bits & 15];
    id[20] = 0;
}

void key_of(uint32_t account, char key[33]) {
    for (int i = 0; i < 32; i++)
        key[i] = "0123456789abcdef"[mix(((uint64_t)opt.seed << 36) + account * 2ull + (uint64_t)i / 16) >> i % 16 * 4 & 15];
    key[32] = 0;
}

/* Transferred bytes as a clock: they grow from announce to announce, over separate runs too. */
uint64_t transferred(uint32_t peer) { return ((uint64_t)time(NULL) - 1700000000u) * (1000 + peer % 1000); }
uint64_t left_of(const struct request *r) { return r->seeding ? 0 : LEFT; }
static bool is_seeder(uint32_t peer) { return mix(peer + ((uint64_t)opt.seed << 40)) % 10 < 3; }

/* Takes the next peer that has not announced, at the address if one is given; returns false when there is none. */
static bool new_peer(uint32_t address, uint32_t *peer) {
    uint32_t *next = &next_at[address == ANYWHERE ? next_address : address];
    if (*next >= opt.peers) return false;
    if (address == ANYWHERE) next_address = (next_address + 1) % opt.addresses;
    *peer = *next;
    *next += opt.addresses;
    first_asked++;
    return true;
}

bool fill_goes_on(void) { return first_asked < opt.peers; }

static uint32_t any_peer(uint32_t address) {
    if (address == ANYWHERE) return random_below(opt.peers);
    return random_below((opt.peers - 1 - address) / opt.addresses + 1) * opt.addresses + address;
}

/* Chooses the next request, of a peer at the address if one is given; returns false when a fill has asked for all there. */
bool next_request(struct request *r, uint32_t address) {
    uint32_t dice = random_below(1000);
    *r = (struct request){ANNOUNCE, STARTED, 0, false};
    if (opt.fill) {
        if (!new_peer(address, &r->peer)) return false;
    } else if (dice < 10) {
        *r = (struct request){SCRAPE, NONE, any_peer(address), false};
    } else if (opt.new && new_peer(address, &r->peer)) {
        stats.first_announces += counting;
    } else {
        r->peer = any_peer(address);
        r->event = dice < 20 ? STARTED : dice < 25 ? COMPLETED : dice < 30 ? STOPPED : NONE;
    }
    r->seeding = r->event == COMPLETED || is_seeder(r->peer);
    return true;
}
