/* Who used the processor: the server (all threads), this process, and everybody on either one's core. In CPU seconds. */
#include "loadgen.h"

#include <sched.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

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
    u.server_core = core_cpu(opt.server_core, &u.steal, &u.server_idle);
    u.own_core = core_cpu(sched_getcpu(), &u.steal, &own_idle);
    return u;
}

/* What was used since `then`; since the machine's start if all of `then` is 0. */
struct usage usage_since(struct usage then) {
    struct usage u = usage_now();
    return (struct usage){u.server - then.server, u.own - then.own, u.server_core - then.server_core,
                          u.own_core - then.own_core, u.steal - then.steal, u.server_idle - then.server_idle};
}
