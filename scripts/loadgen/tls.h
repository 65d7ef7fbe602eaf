/* The client's side of TLS over a socket that never blocks. Without -DWITH_TLS there is none. */
#ifndef TLS_H
#define TLS_H
#include <stdbool.h>
#include <sys/types.h>

struct tls;                                 /* one connection's, and what its place remembers for the next */
void tls_prepare(void);                     /* once, before all others */
struct tls *tls_place(void);                /* a place for one connection after the other */
void tls_begin(struct tls *t, int fd);
ssize_t tls_write(struct tls *t, const void *bytes, size_t size); /* as send() and recv(): -1 and EAGAIN to wait */
ssize_t tls_read(struct tls *t, void *bytes, size_t size);
void tls_end(struct tls *t);
#endif
