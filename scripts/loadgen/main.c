/* loadgen: a load generator for BitTorrent trackers, for Linux and the loopback network only.
 *
 *   loadgen hashes --torrents N                       print the info hashes, one a line, for a whitelist
 *   loadgen keys --accounts N                         print the accounts' keys, one a line
 *   loadgen udp|http --port P [--fill] [...]          run, and print one line of JSON
 *
 * It keeps `--in-flight` requests open, and sends the next one after each answer; or it sends `--rate` requests a second.
 * It checks every answer against its own population: a listed peer of another swarm is an error. It treats all trackers
 * alike. Wire formats: BEP 3, 7, 15, 23, 48.
 */
#include "loadgen.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

struct options opt = {.torrents = 10000, .peers = 200000, .addresses = 250, .in_flight = 256, .numwant = 50, .seed = 1,
                      .seconds = 5, .reconnect = 60};

void die(const char *what) {
    fprintf(stderr, "loadgen: %s: %s\n", what, strerror(errno));
    exit(2);
}

void *need(void *memory) {
    if (!memory) die("memory");
    return memory;
}

double now_s(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* Milliseconds below which this share of the answers came. */
static double quantile(double share) {
    uint64_t seen = 0;
    for (int i = 0; i < LATENCIES; i++)
        if ((seen += stats.latency[i]) >= share * (double)stats.answered) return (i + 1) / 100.0;
    return 0;
}

static void member(const char *name, uint64_t value) { printf("\"%s\": %llu, ", name, (unsigned long long)value); }
static void fraction(const char *name, double value) { printf("\"%s\": %.3f, ", name, value); }

static void report(const char *protocol, bool alive, double wall, struct usage used) {
    printf("{\"protocol\": \"%s\", \"fill\": %s, \"first_error\": \"%s\", ", protocol, opt.fill ? "true" : "false", stats.first_error);
    member("in_flight", opt.in_flight);
    fraction("seconds", wall);
    fraction("rate", (double)stats.answered / wall);
    member("answered", stats.answered);
    member("announces", stats.by_kind[ANNOUNCE]);
    member("first_announces", stats.first_announces);
    member("scrapes", stats.by_kind[SCRAPE]);
    member("connects", stats.by_kind[CONNECT]);
    member("connections", stats.connections);
    member("resumed", stats.resumed);
    member("errors", stats.errors);
    member("connection_id_errors", stats.connection_id_errors);
    member("retransmits", stats.retransmits);
    member("lost", stats.lost);
    member("late", stats.late);
    member("own_drops", stats.own_drops);
    member("open_at_end", stats.open_at_end);
    fraction("behind", stats.behind);
    fraction("peers_per_answer", stats.listing_answers ? (double)stats.listed / (double)stats.listing_answers : 0);
    member("self_listed", stats.self_listed);
    fraction("p50_ms", quantile(0.5));
    fraction("p99_ms", quantile(0.99));
    fraction("p999_ms", quantile(0.999));
    fraction("max_ms", stats.max_latency * 1e3);
    fraction("generator_cpu", used.own / wall);
    fraction("server_cpu", used.server / wall);
    fraction("server_core_idle", used.server_idle / wall);
    fraction("others_on_server_core", (used.server_core - used.server) / wall);
    fraction("others_on_generator_core", (used.own_core - used.own) / wall);
    fraction("steal", used.steal / wall);
    printf("\"silent\": %s}\n", alive ? "false" : "true");
}

static int run(const char *protocol) {
    bool udp = !strcmp(protocol, "udp");
    (udp ? open_udp : open_http)();
    double began = now_s();
    struct usage before = usage_since((struct usage){0});
    bool alive = (udp ? run_udp : run_http)(began, began + opt.seconds);
    double wall = now_s() - began;
    struct usage used = usage_since(before);
    (udp ? drain_udp : drain_http)();
    report(protocol, alive, wall, used);
    return alive ? 0 : 3;
}

static void parse(int argc, char **argv) {
    static const struct option names[] = {
        {"torrents", 1, 0, 't'}, {"peers", 1, 0, 'p'}, {"addresses", 1, 0, 'a'}, {"in-flight", 1, 0, 'i'},
        {"numwant", 1, 0, 'n'}, {"seed", 1, 0, 's'}, {"seconds", 1, 0, 'd'}, {"reconnect", 1, 0, 'r'},
        {"port", 1, 0, 'o'}, {"pid", 1, 0, 'k'}, {"server-core", 1, 0, 'c'}, {"fill", 0, 0, 'f'},
        {"accounts", 1, 0, 'u'}, {"first", 1, 0, '1'}, {"rate", 1, 0, 'R'}, {"new", 0, 0, 'N'}, {"ipv6", 0, 0, '6'},
        {"keep-alive", 0, 0, 'K'}, {"tls", 0, 0, 'T'}, {"resume", 0, 0, 'S'}, {0, 0, 0, 0}};
    for (int c; (c = getopt_long(argc, argv, "", names, NULL)) != -1;) {
        uint32_t number = optarg ? (uint32_t)strtoul(optarg, NULL, 10) : 0;
        switch (c) {
        case 't': opt.torrents = number; break;
        case 'p': opt.peers = number; break;
        case 'a': opt.addresses = number; break;
        case 'i': opt.in_flight = number; break;
        case 'n': opt.numwant = number; break;
        case 's': opt.seed = number; break;
        case 'd': opt.seconds = atof(optarg); break;
        case 'r': opt.reconnect = atof(optarg); break;
        case 'o': opt.port = (int)number; break;
        case 'k': opt.pid = (int)number; break;
        case 'c': opt.server_core = (int)number; break;
        case 'f': opt.fill = true; break;
        case 'u': opt.accounts = number; break;
        case '1': opt.first = number; break;
        case 'R': opt.rate = atof(optarg); break;
        case 'N': opt.new = true; break;
        case '6': opt.ipv6 = true; break;
        case 'K': opt.keep_alive = true; break;
        case 'T': opt.tls = true; break;
        case 'S': opt.resume = true; break;
        default: exit(2);
        }
    }
}

static void check_options(void) {
    errno = EINVAL;
    if (!opt.torrents || opt.peers < opt.torrents) die("needs --peers >= --torrents >= 1");
    if (!opt.in_flight || opt.in_flight > 65535) die("--in-flight is 1 to 65535");
    if (!opt.addresses || opt.addresses > 60000 || opt.addresses > opt.peers) die("--addresses is 1 to 60000, and at most --peers");
    if (opt.ipv6 && opt.addresses > 1) die("--ipv6 has one loopback address: --addresses 1");
    if (opt.peers / opt.addresses >= 65535u - port_of(0)) die("too many peers for so few addresses");
    if (opt.rate < 0 || opt.rate > 1e6) die("--rate is 0 to 1000000");
}

int main(int argc, char **argv) {
    const char *mode = argc > 1 ? argv[1] : "";
    parse(argc, argv);
    check_options();
    populate();
    if (!strcmp(mode, "hashes")) {
        for (uint32_t t = 0; t < opt.torrents; t++, putchar('\n'))
            for (int i = 0; i < 20; i++) printf("%02x", hash_of(t)[i]);
        return 0;
    }
    if (!strcmp(mode, "keys")) {
        char key[33];
        for (uint32_t a = 0; a < opt.accounts; a++) key_of(a, key), puts(key);
        return 0;
    }
    errno = EINVAL;
    if (strcmp(mode, "udp") && strcmp(mode, "http")) die("first argument: hashes, keys, udp or http");
    if (!opt.port) die("--port is missing");
    return run(mode);
}
