/* Holds answers against the population, and counts: only right answers make the rate. */
#include "loadgen.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>

struct counters stats;
bool counting = true;
uint32_t busy;

void error(const char *format, ...) {
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

void answered(enum kind kind, double took) {
    if (!counting) return;
    stats.answered++;
    stats.by_kind[kind]++;
    uint64_t bucket = (uint64_t)(took * 1e5);
    stats.latency[bucket < LATENCIES ? bucket : LATENCIES - 1]++;
    if (took > stats.max_latency) stats.max_latency = took;
}

/* A swarm has no more of either kind than we made peers. Their sum may be more: some trackers count a peer twice that
 * downloads again after it was complete. It may be 0: some do not count the peer that has just come. */
void check_counts(const struct request *r, uint64_t seeders, uint64_t leechers) {
    uint32_t most = swarm_size(torrent_of(r->peer));
    if (seeders > most || leechers > most)
        error("%llu seeders and %llu leechers in a swarm of %u", (unsigned long long)seeders, (unsigned long long)leechers, most);
}

/* Checks a compact peer list: at most numwant entries, no more than were counted, all of them peers of the requested swarm. */
void check_listed(const struct request *r, const uint8_t *list, size_t size, uint64_t counted) {
    size_t n = size / endpoint_size();
    if (size % endpoint_size() || n > opt.numwant) { error("peer list of %zu bytes", size); return; }
    if (n > counted) { error("%zu peers listed and %llu counted", n, (unsigned long long)counted); return; }
    for (size_t i = 0; i < n; i++) {
        uint32_t peer = peer_at(list + i * endpoint_size());
        if (peer == UINT32_MAX || torrent_of(peer) != torrent_of(r->peer)) { error("a peer of another swarm"); return; }
        if (peer == r->peer && counting) stats.self_listed++;
    }
    if (!counting || r->event == STOPPED) return;
    stats.listing_answers++;
    stats.listed += n;
}
