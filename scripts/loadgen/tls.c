#include "tls.h"
#include "loadgen.h"

#include <errno.h>
#include <stdlib.h>
#ifdef WITH_TLS
#include <openssl/err.h>
#include <openssl/ssl.h>

struct tls {
    SSL *ssl;
    SSL_SESSION *session; /* of the connection before, to be resumed */
    bool counted;
};
static SSL_CTX *context;

/* TLS 1.3 sends its tickets after the handshake, so the library has to tell of them. */
static int keep_session(SSL *ssl, SSL_SESSION *session) {
    struct tls *t = SSL_get_app_data(ssl);
    SSL_SESSION_free(t->session);
    t->session = session;
    return 1;
}

void tls_prepare(void) {
    context = need(SSL_CTX_new(TLS_client_method()));
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    if (!opt.resume) return;
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(context, keep_session);
}

struct tls *tls_place(void) { return need(calloc(1, sizeof(struct tls))); }

void tls_begin(struct tls *t, int fd) {
    t->ssl = need(SSL_new(context));
    t->counted = false;
    SSL_set_fd(t->ssl, fd);
    SSL_set_app_data(t->ssl, t);
    SSL_set_tlsext_host_name(t->ssl, "localhost");
    SSL_set_connect_state(t->ssl);
    if (t->session) SSL_set_session(t->ssl, t->session);
}

static ssize_t outcome(struct tls *t, int n) {
    if (n > 0) return n;
    int why = SSL_get_error(t->ssl, n);
    ERR_clear_error();
    if (why == SSL_ERROR_ZERO_RETURN || (why == SSL_ERROR_SYSCALL && !errno)) return 0;
    if (why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE) errno = EAGAIN;
    else if (why == SSL_ERROR_SSL) errno = EPROTO;
    return -1;
}

ssize_t tls_write(struct tls *t, const void *bytes, size_t size) {
    errno = 0;
    ssize_t n = outcome(t, SSL_write(t->ssl, bytes, (int)size)); /* makes the handshake first */
    if (n > 0 && !t->counted) {
        t->counted = true;
        stats.resumed += counting && SSL_session_reused(t->ssl);
    }
    return n;
}

ssize_t tls_read(struct tls *t, void *bytes, size_t size) {
    errno = 0;
    return outcome(t, SSL_read(t->ssl, bytes, (int)size));
}

void tls_end(struct tls *t) {
    SSL_shutdown(t->ssl); /* else the library would not let the session be resumed */
    ERR_clear_error();
    SSL_free(t->ssl);
    t->ssl = NULL;
}
#else
struct tls { char none; };
void tls_prepare(void) {
    errno = ENOSYS;
    die("--tls needs OpenSSL's headers when the generator is compiled");
}
struct tls *tls_place(void) { return NULL; }
void tls_begin(struct tls *t, int fd) { (void)t, (void)fd; }
ssize_t tls_write(struct tls *t, const void *bytes, size_t size) { (void)t, (void)bytes, (void)size; return -1; }
ssize_t tls_read(struct tls *t, void *bytes, size_t size) { (void)t, (void)bytes, (void)size; return -1; }
void tls_end(struct tls *t) { (void)t; }
#endif
