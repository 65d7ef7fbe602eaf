/* Writes HTTP requests (BEP 3, 7, 23, 48), and reads and checks their answers. */
#include "loadgen.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

static void percent(char *out, const uint8_t *bytes, int n) {
    static const char hex[] = "0123456789abcdef";
    for (int i = 0; i < n; i++)
        if (isalnum(bytes[i])) *out++ = (char)bytes[i];
        else { *out++ = '%'; *out++ = hex[bytes[i] >> 4]; *out++ = hex[bytes[i] & 15]; }
    *out = 0;
}

int write_http(char *out, size_t room, const struct request *r) {
    static const char *const events[] = {"", "&event=completed", "&event=started", "&event=stopped"};
    char hash[64], id[21], key[34] = "", query[400] = "";
    percent(hash, hash_of(torrent_of(r->peer)), 20);
    peer_id_of(r->peer, id);
    if (opt.accounts) {
        key[0] = '/';
        key_of(r->peer % opt.accounts, key + 1);
    }
    if (r->kind == ANNOUNCE)
        snprintf(query, sizeof query, "&peer_id=%s&port=%u&uploaded=%llu&downloaded=%llu&left=%llu&numwant=%u&key=%08x&compact=1%s",
                 id, port_of(r->peer), (unsigned long long)transferred(r->peer) / 2, (unsigned long long)transferred(r->peer),
                 (unsigned long long)left_of(r), opt.numwant, r->peer ^ 0x5eed, events[r->event]);
    return snprintf(out, room,
                    "GET /%s%s?info_hash=%s%s HTTP/1.1\r\nHost: localhost:%d\r\nUser-Agent: Transmission/3.00\r\n"
                    "Accept: */*\r\nConnection: %s\r\n\r\n",
                    r->kind == ANNOUNCE ? "announce" : "scrape", key, hash, query, opt.port, opt.keep_alive ? "keep-alive" : "close");
}

/* Finds a header's value; NULL when it is not there. `in` ends with a NUL, `end` is the empty line after the headers. */
static const char *header(const char *in, const char *end, const char *name) {
    const char *found = strcasestr(in, name);
    return found && found < end ? found + strlen(name) : NULL;
}

/* Reads as much of an answer as has come; `in` ends with a NUL. What is BROKEN was counted as an error. */
enum progress read_http(const char *in, size_t have, struct answer *a) {
    const char *end = memmem(in, have, "\r\n\r\n", 4);
    if (!end) return PART;
    if (strncmp(in, "HTTP/1.", 7) || strncmp(in + 8, " 200", 4)) { error("status: %.100s", in); return BROKEN; }
    const char *length = header(in, end, "\r\ncontent-length:"), *connection = header(in, end, "\r\nconnection:");
    if (!length) { error("no Content-Length"); return BROKEN; }
    size_t came = (size_t)(in + have - (end + 4));
    *a = (struct answer){end + 4, strtoul(length, NULL, 10), false};
    bool keeps = connection && !strncasecmp(connection + strspn(connection, " "), "keep-alive", 10);
    a->closes = in[7] == '0' ? !keeps : connection && !keeps;
    if (came > a->size) { error("%zu bytes with a Content-Length of %zu", came, a->size); return BROKEN; }
    return came == a->size ? WHOLE : PART;
}

/* Reads the number after a key of a dictionary; false when the key is not there. */
static bool number(const struct answer *a, const char *key, uint64_t *value) {
    const char *found = memmem(a->body, a->size, key, strlen(key));
    if (found) *value = strtoull(found + strlen(key), NULL, 10);
    return found;
}

static void check_scrape(const struct request *r, const struct answer *a) {
    uint64_t seeders = 0, leechers = 0;
    if (!memmem(a->body, a->size, "5:files", 7)) { error("a scrape without files"); return; }
    number(a, "8:completei", &seeders);
    number(a, "10:incompletei", &leechers);
    check_counts(r, seeders, leechers);
}

static void check_announce(const struct request *r, const struct answer *a) {
    const char *key = opt.ipv6 ? "6:peers6" : "5:peers", *peers = memmem(a->body, a->size, key, strlen(key));
    uint64_t interval = 0, seeders = 0, leechers = 0;
    if (!number(a, "8:intervali", &interval) || !interval || interval > 86400) { error("no interval, or one of %llu s", (unsigned long long)interval); return; }
    if (!number(a, "8:completei", &seeders) || !number(a, "10:incompletei", &leechers)) { error("no counts"); return; }
    check_counts(r, seeders, leechers);
    if (!peers) { error("no %s", key); return; }
    char *list;
    unsigned long length = strtoul(peers + strlen(key), &list, 10);
    if (*list != ':' || length > a->size || list + 1 + length > a->body + a->size) { error("a broken peer list"); return; }
    check_listed(r, (const uint8_t *)list + 1, length, seeders + leechers);
}

void check_body(const struct request *r, const struct answer *a) {
    size_t size = a->size;
    while (size && (a->body[size - 1] == '\n' || a->body[size - 1] == '\r')) size--; /* some trackers end the line */
    if (size < 2 || a->body[0] != 'd' || a->body[size - 1] != 'e') error("a body that is no dictionary");
    else if (memmem(a->body, size, "14:failure reason", 17)) error("failure: %.100s", a->body);
    else if (r->kind == SCRAPE) check_scrape(r, a);
    else check_announce(r, a);
}
