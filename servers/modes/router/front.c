/* The front of `router` as a program: many connections at once, no script, no privilege.
 *
 *     front NAME=NUMBER...
 *
 * It does what front.py does, which is the reference, with the same statuses, limits and messages.
 * It is executed by a process that is www for good already, and that gives it by number: the
 * listening socket, a line to the starter, a slot of the scoreboard, and what else `settings` names.
 *
 * Strategy
 * ========
 * One thread, epoll(7): edge-triggered for clients, so that a connection is registered once, and not
 * at all where its only request is there when it is accepted. Who has to wait is looked at a few
 * times a second. A plain request is read into one buffer, and sent on from a copy of it.
 *
 * Rule 1: what a client sends is read by request.h alone, what a worker answers by `on_answer` and
 * answer.h. Neither makes a system call, and both are fuzzed.
 * Rule 2: a descriptor is found by its number in `table`, so an event for one that was closed
 * meanwhile reaches nobody, or a successor, who bears a false alarm.
 * Rule 3: which worker gets which request follows the rules of dispatch.py.
 */

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "request.h"

#include "answer.h"

#define CHUNK (64 * 1024)
#define MOST_INSIDE (64 * 1024) /* of a content that goes in the packet itself (messages.py) */
#define MOST_DRAINED (16 * 1024 * 1024)
#define KEPT_BYTES (16 * 1024) /* of a buffer that waits for the next request */
#define MS 1000000LL           /* in nanoseconds, as all times are */
#define LINGER (2000 * MS)     /* Apache's SECONDS_TO_LINGER (connection.c) */
#define SWEEP (250 * MS)
#define PATIENCE (10 * MS)
#define QUICK 32               /* answers in a row, each within PATIENCE (dispatch.py) */
#define MOST_AHEAD 4096        /* bytes of a request that goes to a busy worker */
#define MOST_ATTEMPTS 3
#define MOST_DESCRIPTORS 16384
#define SPARE_DESCRIPTORS 64
#define EVENTS 64
#define MOST_ACCEPTED 8 /* at one event */

/* What the command line says. Descriptors that are not given are -1. */

static struct {
    long listener, line, board, slot, sites, root, journal, tally;
    long port, head, body, output, script_ms, client_ms, bound, per_tenant, idle_s;
} settings;

static const struct {
    const char *name;
    long *value;
} names[] = {
    {"listener", &settings.listener}, {"line", &settings.line},
    {"board", &settings.board},       {"slot", &settings.slot},
    {"sites", &settings.sites},       {"root", &settings.root},
    {"journal", &settings.journal},   {"port", &settings.port},
    {"tally", &settings.tally},
    {"head", &settings.head},         {"body", &settings.body},
    {"output", &settings.output},     {"script_ms", &settings.script_ms},
    {"client_ms", &settings.client_ms}, {"bound", &settings.bound},
    {"per_tenant", &settings.per_tenant}, {"idle_s", &settings.idle_s},
};

static void fail(const char *what)
{
    fprintf(stderr, "[front] %s: %s\n", what, strerror(errno));
    exit(1);
}

static void read_settings(char **arguments)
{
    for (size_t place = 0; place < sizeof names / sizeof *names; place++)
        *names[place].value = -1;
    for (; *arguments; arguments++) {
        size_t length = strcspn(*arguments, "=");
        size_t place = 0;
        while (place < sizeof names / sizeof *names &&
               (strlen(names[place].name) != length ||
                memcmp(names[place].name, *arguments, length)))
            place++;
        if (place == sizeof names / sizeof *names || !(*arguments)[length]) {
            errno = EINVAL;
            fail(*arguments);
        }
        *names[place].value = atol(*arguments + length + 1);
    }
}

/* Lists, of links inside of what is in them. */

struct link {
    struct link *before, *after;
};

#define LIST(name) static struct link name = {&name, &name}
#define HOLDER(link, type, member) ((type *)((char *)(link) - offsetof(type, member)))

static bool is_in_list(const struct link *link)
{
    return link->after != NULL;
}

static void put_last(struct link *list, struct link *link)
{
    link->before = list->before;
    link->after = list;
    list->before->after = link;
    list->before = link;
}

static void take_out(struct link *link)
{
    if (!is_in_list(link))
        return;
    link->before->after = link->after;
    link->after->before = link->before;
    link->before = link->after = NULL;
}

static void put_once(struct link *list, struct link *link)
{
    if (!is_in_list(link))
        put_last(list, link);
}

static bool is_empty(const struct link *list)
{
    return list->after == list;
}

/* What there is. */

enum kind { NOTHING, LISTENER, LINE, SIGNALS, CLIENT, CHANNEL };

static struct {
    enum kind kind;
    void *what;
} table[MOST_DESCRIPTORS];

enum state { READING, ASKED, WRITING, LINGERING, CLOSED };

struct tenant {
    struct tenant *next; /* of the same hash */
    struct link idle;    /* its workers with nothing to do, the last one used at the end */
    struct link busy;    /* and its others */
    struct link waiting; /* its requests without a worker, in order */
    struct link crowded, hungry;
    int64_t uid;
    int64_t place;     /* of its cell in the tally */
    unsigned count;    /* of all its workers, also those that are about to start */
    unsigned starting;
    unsigned quick; /* how many answers in a row came soon */
    char name[];
};

struct connection {
    struct link all, waiting;
    struct tenant *tenant;
    struct channel *worker;
    struct parser parser;
    struct buffer rest; /* what has come behind the request that is being served */
    size_t taken;       /* of `rest` */
    struct buffer out;  /* what the client has not taken yet */
    size_t sent;
    size_t drained;
    int64_t since, limit;
    int64_t routed;     /* when it was complete, where requests are counted */
    int descriptor;
    enum state state;
    unsigned attempts;
    uint16_t port;
    char address[INET_ADDRSTRLEN];
    bool readable, ended, registered, mid;
    bool keep;      /* the client wants the connection to stay */
    bool stays;     /* it may serve another request */
    bool head_only;
};

struct channel {
    struct link own; /* in a list of its tenant's, or in that of those that start */
    struct link idle;
    struct tenant *tenant;
    struct connection *job;
    struct connection *next; /* what it will find when it has done its job */
    int64_t since;
    uint64_t number;
    int descriptor;
    uint32_t serial, next_serial;
    bool is_busy;
};

LIST(connections);
LIST(starting);
LIST(idle); /* the longest idle first */
LIST(crowded);
LIST(again);  /* requests that lost the worker that would have come to them */
LIST(hungry); /* without a worker, and no room for one; by time of asking */
/* Freed when a turn is over: whoever has just called something may still look at them. */
LIST(closed);
LIST(ended);

static struct limits limits;
static int64_t now, next_sweep, script_limit, client_limit, idle_limit;
static int epoll, signals;
static unsigned connection_count, most_connections, worker_count, busy_count, processors;
static uint64_t last_number;
static uint32_t last_serial;
static bool listens;
static char incoming[CHUNK];
static char packet[MOST_INSIDE + 1024];
static struct buffer outgoing;

static void work(struct connection *connection);
static void staff(struct tenant *tenant);

/* What the master is told, and a profile. */

enum { BUSY_SINCE, SERVED, PUBLISHED, STARTED, COMPILED, USAGE, SLOT = USAGE + 5 }; /* scoreboard.py */

static volatile int64_t *slot;

/* Points of servers/profiling/journal.py. */
enum { ACCEPTED = 0, SPAWNING = 5, ANSWERED = 14, RENDERED = 18 };

static volatile int64_t *journal;

/* Counts of requests, as servers/front/shared_memory/tally.py has them; NULL where nobody observes. */
enum { TENANT_WORKERS = 5, TENANT_WORKERS_BUSY = 6, HEAD = 16 };
enum { CLASSES = 4, SUM = CLASSES, BUCKETS, BOUNDED = 20, CELL = BUCKETS + BOUNDED + 1, SHIFT = 16 };

static volatile int64_t *tally;
static int64_t known_sites; /* as it was at the start: others can write to the tally */

static int64_t clock_ns(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000000000LL + time.tv_nsec;
}

static void stamp(int point)
{
    if (journal)
        journal[point] = clock_ns();
}

/* Count an answer: to a request for a site if it is one, and else to none, without a latency. */
static void count_answer(const struct connection *connection, int status, bool to_request)
{
    const struct tenant *tenant = to_request ? connection->tenant : NULL;
    int64_t took, bucket = 0;
    volatile int64_t *cell;

    if (!tally)
        return;
    /* This process is the first row. A site that came later has no cell of its own. */
    cell = tally + HEAD + CELL * (tenant ? tenant->place : known_sites);
    cell[status < 300 ? 0 : status >= 500 ? CLASSES - 1 : status / 100 - 2]++;
    if (!to_request)
        return;
    took = clock_ns() - connection->routed;
    took = took > 0 ? took : 1;
    cell[SUM] += took;
    while (bucket < BOUNDED && took > 1LL << (SHIFT + bucket))
        bucket++;
    cell[BUCKETS + bucket]++;
}

static void publish_usage(void)
{
    struct rusage own, others;
    int64_t cpu;

    getrusage(RUSAGE_SELF, &own);
    getrusage(RUSAGE_CHILDREN, &others);
    cpu = own.ru_utime.tv_sec + own.ru_stime.tv_sec + others.ru_utime.tv_sec + others.ru_stime.tv_sec;
    cpu = cpu * 1000000 + own.ru_utime.tv_usec + own.ru_stime.tv_usec + others.ru_utime.tv_usec +
          others.ru_stime.tv_usec;
    slot[USAGE] = cpu * 1000;
    slot[USAGE + 1] = own.ru_minflt + others.ru_minflt;
    slot[USAGE + 2] = own.ru_majflt + others.ru_majflt;
    slot[USAGE + 3] = own.ru_nvcsw + others.ru_nvcsw;
    slot[USAGE + 4] = own.ru_nivcsw + others.ru_nivcsw;
    slot[PUBLISHED]++;
}

/* Write a line to the log, with the beginning of the request that is being served. */
static void note(const struct connection *connection, const char *text)
{
    struct slice line = {connection->parser.message.at, connection->parser.message.length};
    char said[512];
    int length;

    if (connection->state == ASKED && line.length)
        line.length = find_line_end(line.at, line.length);
    else
        line.length = 0;
    line = first(line, 200);
    length = snprintf(said, sizeof said, "[%d] %.*s: %s\n", (int)getpid(), (int)line.length,
                      line.length ? line.at : "", text);
    if (length > (int)sizeof said - 1)
        length = sizeof said - 1;
    /* Scripts share the open file, and can make it one that does not take this. */
    if (write(STDERR_FILENO, said, (size_t)length) < 0)
        return;
}

static void *zeros(size_t size)
{
    void *memory = calloc(1, size);

    if (!memory)
        fail("memory");
    return memory;
}

/* Events. */

static void watch(int descriptor, enum kind kind, void *what, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.fd = descriptor};

    if (epoll_ctl(epoll, EPOLL_CTL_ADD, descriptor, &event))
        fail("epoll");
    table[descriptor].kind = kind;
    table[descriptor].what = what;
}

static void watch_no_more(int descriptor)
{
    epoll_ctl(epoll, EPOLL_CTL_DEL, descriptor, NULL);
    table[descriptor].kind = NOTHING;
}

static void listen_again(void)
{
    if (listens || connection_count >= most_connections)
        return;
    watch((int)settings.listener, LISTENER, NULL, EPOLLIN);
    listens = true;
}

/* Let clients wait in the listener's queue until others have gone. */
static void listen_no_more(void)
{
    if (listens)
        watch_no_more((int)settings.listener);
    listens = false;
}

/* Sites: those that were there when the server started, and those that came later. */

#define HASHES 4096

static struct tenant *tenants[HASHES];

static unsigned hash(const char *name)
{
    uint32_t value = 2166136261; /* FNV-1a */

    while (*name)
        value = (value ^ (unsigned char)*name++) * 16777619;
    return value % HASHES;
}

static struct tenant *add_tenant(const char *name, int64_t uid)
{
    struct tenant *tenant = zeros(sizeof *tenant + strlen(name) + 1);
    struct tenant **place = &tenants[hash(name)];

    strcpy(tenant->name, name);
    tenant->uid = uid;
    tenant->place = known_sites;
    tenant->idle = (struct link){&tenant->idle, &tenant->idle};
    tenant->busy = (struct link){&tenant->busy, &tenant->busy};
    tenant->waiting = (struct link){&tenant->waiting, &tenant->waiting};
    tenant->next = *place;
    *place = tenant;
    return tenant;
}

static bool is_alphanumeric(const char *name)
{
    const char *at = name;

    while ((*at >= 'a' && *at <= 'z') || is(*at, DIGIT))
        at++;
    return *name && !*at;
}

static struct tenant *find_tenant(const char *name)
{
    struct stat status;
    struct tenant *tenant = tenants[hash(name)];

    while (tenant && strcmp(tenant->name, name))
        tenant = tenant->next;
    if (tenant)
        return tenant;
    if (!is_alphanumeric(name) ||
        fstatat((int)settings.root, name, &status, AT_SYMLINK_NOFOLLOW) ||
        !S_ISDIR(status.st_mode))
        return NULL;
    return add_tenant(name, status.st_uid);
}

/* Read the sites that the master knows, from a file of lines: owner's uid, space, name, NUL. */
static void read_sites(void)
{
    struct stat status;
    char *text, *end, *at;

    if (fstat((int)settings.sites, &status))
        fail("sites");
    text = zeros((size_t)status.st_size + 1);
    end = text + status.st_size;
    if (pread((int)settings.sites, text, (size_t)status.st_size, 0) != status.st_size)
        fail("sites");
    for (at = text; at < end; at += strlen(at) + 1) {
        char *name;
        int64_t uid = strtoll(at, &name, 10);
        if (*name == ' ')
            add_tenant(name + 1, uid)->place = known_sites++;
    }
    free(text);
    close((int)settings.sites);
}

/* The starter of tenants' workers: messages as in starter.py. */

struct __attribute__((packed)) start_message {
    char kind;
    uint64_t number;
    uint64_t uid;
    char name[LONGEST_NAME];
};

struct __attribute__((packed)) end_message {
    char kind;
    uint64_t number;
};

struct __attribute__((packed)) started_message {
    uint64_t number;
    uint32_t error;
};

static void tell(const void *message, size_t length)
{
    while (send((int)settings.line, message, length, MSG_NOSIGNAL) < 0)
        if (errno != EINTR)
            fail("the starter of tenants' workers has ended");
}

/* Have a worker end, which knows nothing of it. */
static void dismiss(struct channel *worker)
{
    struct end_message message = {'E', worker->number};

    tell(&message, sizeof message);
    /* Closing would not do: the starter has the same open file (epoll(7)). */
    watch_no_more(worker->descriptor);
    close(worker->descriptor);
}

/* The table of workers. Each function is an event of dispatch.py, and does what follows from it. */

static void become_busy(struct channel *worker)
{
    put_last(&worker->tenant->busy, &worker->own);
    worker->is_busy = true;
    busy_count++;
}

/* Be neither idle nor busy. */
static void leave_lists(struct channel *worker)
{
    take_out(&worker->own);
    take_out(&worker->idle);
    busy_count -= worker->is_busy;
    worker->is_busy = false;
}

static void hand_over(struct connection *connection, struct channel *worker);
static bool hand_ahead(struct connection *connection, struct channel *worker);

static void give(struct channel *worker, struct connection *connection)
{
    take_out(&connection->waiting);
    become_busy(worker);
    worker->job = connection;
    connection->worker = worker;
    connection->since = now;
    hand_over(connection, worker);
}

/* Let a busy worker find the next request when it has answered: it then goes on with what it has in
 * the processor's caches, instead of having to be woken. Return whether it went. */
static bool give_ahead(struct channel *worker, struct connection *connection)
{
    if (worker->next || worker->tenant->quick < QUICK || !is_empty(&hungry) ||
        connection->parser.message.length > MOST_AHEAD || !hand_ahead(connection, worker))
        return false;
    take_out(&connection->waiting);
    worker->next = connection;
    connection->worker = worker;
    connection->since = now;
    return true;
}

/* Let others have a place that has become free. */
static void share_room(struct tenant *tenant)
{
    struct link *link = hungry.after;

    while (link != &hungry) {
        struct tenant *other = HOLDER(link, struct tenant, hungry);
        link = link->after;
        if (is_empty(&other->waiting) || other->count)
            take_out(&other->hungry);
        else if (worker_count < (unsigned)settings.bound)
            staff(other);
    }
    if (!is_empty(&tenant->waiting) && !tenant->count && !is_in_list(&tenant->hungry))
        staff(tenant);
}

static void end_worker(struct channel *worker)
{
    struct tenant *tenant = worker->tenant;

    leave_lists(worker);
    dismiss(worker);
    put_last(&ended, &worker->own);
    worker_count--;
    tenant->count--;
    share_room(tenant);
}

/* Have a worker started, if there is room or can be made. */
static void staff(struct tenant *tenant)
{
    struct start_message message = {.kind = 'S'};
    struct channel *worker;
    size_t length = strlen(tenant->name);

    take_out(&tenant->hungry);
    if (worker_count >= (unsigned)settings.bound) {
        put_last(&hungry, &tenant->hungry);
        if (!is_empty(&idle))
            end_worker(HOLDER(idle.after, struct channel, idle));
        return;
    }
    worker = zeros(sizeof *worker);
    worker->tenant = tenant;
    worker->number = ++last_number;
    worker->descriptor = -1;
    put_last(&starting, &worker->own);
    worker_count++;
    tenant->count++;
    tenant->starting++;
    message.number = worker->number;
    message.uid = (uint64_t)tenant->uid;
    memcpy(message.name, tenant->name, length);
    tell(&message, offsetof(struct start_message, name) + length);
}

static int64_t asked_at(const struct tenant *tenant)
{
    return HOLDER(tenant->waiting.after, struct connection, waiting)->since;
}

/* Return whether a worker that is free had better go: others have waited for longer. */
static bool makes_room(const struct tenant *tenant)
{
    if (is_empty(&tenant->waiting))
        return true;
    for (struct link *link = hungry.after; link != &hungry; link = link->after) {
        struct tenant *other = HOLDER(link, struct tenant, hungry);
        if (!is_empty(&other->waiting))
            return asked_at(other) < asked_at(tenant); /* or two would make room for ever */
    }
    return true;
}

/* A worker goes on with what it was given ahead. */
static void go_on(struct channel *worker)
{
    struct tenant *tenant = worker->tenant;

    become_busy(worker);
    worker->job = worker->next;
    worker->serial = worker->next_serial;
    worker->next = NULL;
    worker->job->since = now;
    if (!is_empty(&tenant->waiting))
        give_ahead(worker, HOLDER(tenant->waiting.after, struct connection, waiting));
}

/* A worker is free, for whoever waits. */
static void finished(struct channel *worker)
{
    struct tenant *tenant = worker->tenant;

    worker->job = NULL;
    leave_lists(worker);
    if (worker->next) {
        go_on(worker);
    } else if (!is_empty(&hungry) && makes_room(tenant)) {
        end_worker(worker);
    } else if (!is_empty(&tenant->waiting)) {
        give(worker, HOLDER(tenant->waiting.after, struct connection, waiting));
        if (worker->job && !is_empty(&tenant->waiting))
            give_ahead(worker, HOLDER(tenant->waiting.after, struct connection, waiting));
    } else {
        worker->since = now;
        put_last(&tenant->idle, &worker->own);
        put_last(&idle, &worker->idle);
    }
}

/* Return whether another worker would get no processor of its own, and this tenant's are quick. */
static bool should_queue(const struct tenant *tenant)
{
    return busy_count >= processors && tenant->quick >= QUICK && !is_empty(&tenant->busy);
}

static void give_idle(struct tenant *tenant, struct connection *connection)
{
    struct channel *worker = HOLDER(tenant->idle.before, struct channel, own);

    leave_lists(worker);
    give(worker, connection);
}

/* A request has come. */
static void ask(struct connection *connection)
{
    struct tenant *tenant = connection->tenant;

    if (!is_empty(&tenant->idle) && !should_queue(tenant)) {
        give_idle(tenant, connection);
        return;
    }
    if (is_empty(&tenant->waiting) && !is_empty(&tenant->busy) &&
        give_ahead(HOLDER(tenant->busy.before, struct channel, own), connection))
        return;
    connection->since = now;
    put_last(&tenant->waiting, &connection->waiting);
    if (tenant->count)
        put_once(&crowded, &tenant->crowded);
    else
        staff(tenant);
}

/* See to those who have waited for long. */
static void attend(void)
{
    struct link *link = crowded.after;

    while (link != &crowded) {
        struct tenant *tenant = HOLDER(link, struct tenant, crowded);
        link = link->after;
        if (is_empty(&tenant->waiting))
            take_out(&tenant->crowded);
        else if (now - asked_at(tenant) >= PATIENCE && !is_empty(&tenant->idle))
            give_idle(tenant, HOLDER(tenant->waiting.after, struct connection, waiting));
        else if (!tenant->starting && now - asked_at(tenant) >= PATIENCE &&
                 tenant->count < (unsigned)settings.per_tenant &&
                 worker_count < (unsigned)settings.bound)
            staff(tenant);
    }
}

static void end_idle(void)
{
    while (!is_empty(&idle)) {
        struct channel *worker = HOLDER(idle.after, struct channel, idle);
        if (now - worker->since < idle_limit)
            return;
        end_worker(worker);
    }
}

/* Clients. */

static void close_connection(struct connection *connection)
{
    connection->state = CLOSED;
    table[connection->descriptor].kind = NOTHING;
    close(connection->descriptor); /* which takes it out of the epoll set as well (epoll(7)) */
    take_out(&connection->all);
    take_out(&connection->waiting);
    put_last(&closed, &connection->all);
    connection_count--;
    listen_again();
}

static void free_closed(void)
{
    while (!is_empty(&closed)) {
        struct connection *connection = HOLDER(closed.after, struct connection, all);
        take_out(&connection->all);
        free_parser(&connection->parser);
        free(connection->rest.at);
        free(connection->out.at);
        free(connection);
    }
    while (!is_empty(&ended)) {
        struct channel *worker = HOLDER(ended.after, struct channel, own);
        take_out(&worker->own);
        free(worker);
    }
}

static void await_events(struct connection *connection, uint32_t also)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP | EPOLLET | also,
                                .data.fd = connection->descriptor};

    if (connection->registered) {
        epoll_ctl(epoll, EPOLL_CTL_MOD, connection->descriptor, &event);
        return;
    }
    watch(connection->descriptor, CLIENT, connection, event.events);
    connection->registered = true;
}

static void drain(struct connection *connection)
{
    ssize_t length;

    while ((length = recv(connection->descriptor, incoming, sizeof incoming, MSG_DONTWAIT)) > 0) {
        connection->drained += (size_t)length;
        if (connection->drained > MOST_DRAINED)
            break;
    }
    if (length < 0 && (errno == EAGAIN || errno == EINTR)) {
        if (!connection->registered)
            await_events(connection, 0);
        return;
    }
    close_connection(connection);
}

/* End a connection on which the client may still be sending.
 *
 * Closing with unread data resets the connection and may destroy the answer on its way (RFC 9112,
 * section 9.6), so what still comes is read and thrown away first. */
static void begin_to_close(struct connection *connection)
{
    if (shutdown(connection->descriptor, SHUT_WR)) {
        close_connection(connection);
        return;
    }
    connection->state = LINGERING;
    connection->drained = 0;
    empty(&connection->rest, 0);
    drain(connection);
}

/* All of an answer is sent. */
static void after_answer(struct connection *connection)
{
    empty(&connection->out, KEPT_BYTES);
    connection->sent = 0;
    if (connection->stays)
        connection->state = READING;
    else if (connection->limit)
        begin_to_close(connection);
    else
        close_connection(connection);
}

/* Send what the client has not taken yet, until the kernel has no more room. */
static void write_rest(struct connection *connection)
{
    while (connection->sent < connection->out.length) {
        ssize_t sent = send(connection->descriptor, connection->out.at + connection->sent,
                            connection->out.length - connection->sent, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0 && errno == EAGAIN)
            return;
        if (sent < 0) {
            close_connection(connection);
            return;
        }
        connection->sent += (size_t)sent;
        connection->since = now;
    }
    after_answer(connection);
}

/* Send an answer, of which `outgoing` is the head; keep what the client does not take at once. */
static void send_answer(struct connection *connection, struct slice body)
{
    struct iovec parts[] = {{outgoing.at, outgoing.length}, {(char *)body.at, body.length}};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = body.length ? 2 : 1};
    size_t whole = outgoing.length + body.length, taken;
    ssize_t sent = sendmsg(connection->descriptor, &message, MSG_DONTWAIT | MSG_NOSIGNAL);

    connection->since = now;
    if (sent < 0 && errno != EAGAIN && errno != EINTR) {
        close_connection(connection);
        return;
    }
    taken = sent < 0 ? 0 : (size_t)sent;
    if (taken == whole) {
        after_answer(connection);
        return;
    }
    if (taken < outgoing.length)
        append(&connection->out, outgoing.at + taken, outgoing.length - taken);
    taken = taken < outgoing.length ? 0 : taken - outgoing.length;
    append(&connection->out, body.at + taken, body.length - taken);
    connection->state = WRITING;
    await_events(connection, EPOLLOUT);
}

/* RFC 9110, section 6.6.1. */
static void append_date(struct buffer *out)
{
    static const char *const days[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char *const months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                         "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    static time_t second;
    static char line[64];
    time_t present = time(NULL);

    if (present != second) {
        struct tm day;
        second = present;
        gmtime_r(&second, &day);
        snprintf(line, sizeof line, "Date: %s, %02d %s %d %02d:%02d:%02d GMT\r\n",
                 days[day.tm_wday], day.tm_mday, months[day.tm_mon], day.tm_year + 1900,
                 day.tm_hour, day.tm_min, day.tm_sec);
    }
    append_text(out, line);
}

static void render_and_send(struct connection *connection, const struct response *response)
{
    struct slice body;

    outgoing.length = 0;
    append_head(&outgoing, response, connection->stays);
    append_date(&outgoing);
    append_length(&outgoing, response, connection->head_only, &body);
    stamp(RENDERED);
    send_answer(connection, body);
}

/* Answer a request. `keep` is false where the connection must end whatever the client wants. */
static void reply(struct connection *connection, const struct response *response, bool keep)
{
    connection->stays = keep && connection->keep && response->status < 500;
    /* It may still be sending, as far as it knows. */
    connection->limit = connection->keep && !connection->stays ? LINGER : 0;
    slot[SERVED]++;
    count_answer(connection, response->status, !connection->parser.is_star);
    render_and_send(connection, response);
}

static struct response plain_response(int status, const char *text, char *space, size_t size)
{
    static const char type[] = "Content-Type: text/plain; charset=utf-8";
    struct response response = {.status = status, .lines = {type, sizeof type - 1}};
    int length = snprintf(space, size, "%s\n", text);

    response.body = (struct slice){space, (size_t)length < size ? (size_t)length : size - 1};
    return response;
}

static void reply_plainly(struct connection *connection, int status, const char *text)
{
    char space[256];
    struct response response = plain_response(status, text, space, sizeof space);

    reply(connection, &response, true);
}

/* Answer a request that was not read to its end. */
static void refuse(struct connection *connection, int status, const char *text)
{
    char space[256];
    struct response response = plain_response(status, text, space, sizeof space);

    connection->head_only = connection->parser.head_only;
    connection->stays = false;
    connection->limit = client_limit;
    count_answer(connection, status, false);
    render_and_send(connection, &response);
}

/* Answer in a worker's place, and go on. */
static void fail_request(struct connection *connection, int status, const char *reason)
{
    char text[200];

    note(connection, reason);
    snprintf(text, sizeof text, "%s: %s",
             status == 502 ? "the script failed" : "the server cannot start another process", reason);
    reply_plainly(connection, status, text);
    work(connection);
}

static void reply_to_options(struct connection *connection)
{
    static const char lines[] = "Allow: DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT, TRACE";
    struct response response = {.status = 200, .lines = {lines, sizeof lines - 1}};

    reply(connection, &response, true);
}

/* A request has come: have it served. */
static void route(struct connection *connection)
{
    connection->mid = false;
    connection->keep = connection->parser.keep;
    connection->head_only = connection->parser.head_only;
    if (tally)
        connection->routed = clock_ns();
    if (connection->parser.is_star) {
        reply_to_options(connection);
        return;
    }
    connection->tenant = find_tenant(connection->parser.tenant);
    if (!connection->tenant) {
        reply_plainly(connection, 404, "not found: there is no such tenant or script");
    } else if (!connection->tenant->uid) {
        note(connection, "the site is root's, and content never runs as root");
        reply_plainly(connection, 403, "the script may not be run");
    } else {
        connection->state = ASKED;
        connection->attempts = 0;
        ask(connection);
    }
}

/* A request has not come whole. */
static void await_more(struct connection *connection)
{
    static const char interim[] = "HTTP/1.1 100 Continue\r\n\r\n";

    if (!is_mid_message(&connection->parser)) {
        connection->mid = false;
        return;
    }
    if (!connection->mid) {
        connection->mid = true;
        connection->since = now;
    }
    if (connection->parser.expects_continue) {
        connection->parser.expects_continue = false;
        if (send(connection->descriptor, interim, sizeof interim - 1,
                 MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
            close_connection(connection);
    }
}

/* Read what has come; return what of it lies behind a request. */
static struct slice take(struct connection *connection, struct slice data)
{
    enum step step = feed(&connection->parser, &limits, &data);

    if (step == MORE)
        await_more(connection);
    return step == WHOLE ? data : (struct slice){NULL, 0};
}

/* Do what follows from what was read. */
static void act(struct connection *connection)
{
    struct parser *parser = &connection->parser;

    if (parser->refusal.status)
        refuse(connection, parser->refusal.status, parser->refusal.text);
    else if (parser->has_request)
        route(connection);
}

static void take_rest(struct connection *connection)
{
    struct buffer *rest = &connection->rest;
    struct slice data = {rest->at + connection->taken, rest->length - connection->taken};

    connection->taken = rest->length - take(connection, data).length;
    if (connection->taken == rest->length) {
        empty(rest, KEPT_BYTES);
        connection->taken = 0;
    }
    act(connection);
}

static void receive(struct connection *connection)
{
    ssize_t length = recv(connection->descriptor, incoming, sizeof incoming, MSG_DONTWAIT);
    struct slice behind;

    if (length < 0 && errno == EINTR)
        return;
    if (length < 0 && errno == EAGAIN && !connection->ended) {
        connection->readable = false;
        return;
    }
    if (length <= 0) {
        close_connection(connection);
        return;
    }
    /* A short read has emptied it, and what comes later raises another event (epoll(7)). */
    connection->readable = connection->ended || length == sizeof incoming;
    behind = take(connection, (struct slice){incoming, (size_t)length});
    append(&connection->rest, behind.at, behind.length);
    act(connection);
}

/* Go on with a connection until it has to wait. */
static void work(struct connection *connection)
{
    while (connection->state == READING) {
        if (connection->rest.length > connection->taken)
            take_rest(connection);
        else if (connection->readable)
            receive(connection);
        else if (connection->registered)
            return;
        else
            await_events(connection, 0);
    }
}

static void on_client(struct connection *connection, uint32_t events)
{
    connection->readable = true;
    if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
        connection->ended = true;
    if (connection->state == WRITING)
        write_rest(connection);
    else if (connection->state == LINGERING)
        drain(connection);
    work(connection);
}

static void accept_client(int descriptor, const struct sockaddr_in *remote)
{
    struct connection *connection = zeros(sizeof *connection);

    stamp(ACCEPTED);
    connection->descriptor = descriptor;
    connection->state = READING;
    connection->since = now;
    connection->readable = true;
    connection->port = ntohs(remote->sin_port);
    inet_ntop(AF_INET, &remote->sin_addr, connection->address, sizeof connection->address);
    put_last(&connections, &connection->all);
    connection_count++;
    work(connection);
}

static void on_listener(void)
{
    struct sockaddr_in remote;

    for (int count = 0; count < MOST_ACCEPTED && listens; count++) {
        socklen_t length = sizeof remote;
        int descriptor = accept4((int)settings.listener, (struct sockaddr *)&remote, &length,
                                 SOCK_CLOEXEC);
        if (descriptor < 0) {
            if (errno != EAGAIN && errno != ECONNABORTED && errno != EINTR)
                listen_no_more(); /* EMFILE and the like */
            return;
        }
        if (connection_count + 1 >= most_connections)
            listen_no_more();
        accept_client(descriptor, &remote);
    }
}

/* Tenants' workers. */

/* Have nothing more to do with a worker, and have it ended. */
static void lose(struct channel *worker)
{
    struct connection *next = worker->next;

    worker->next = NULL;
    end_worker(worker);
    if (!next)
        return;
    next->worker = NULL; /* nobody has begun with it */
    put_last(&again, &next->waiting);
}

/* Have others do what workers were given ahead that are gone. */
static void ask_again(void)
{
    while (!is_empty(&again)) {
        struct connection *connection = HOLDER(again.after, struct connection, waiting);
        take_out(&connection->waiting);
        ask(connection);
    }
}

/* Have another worker serve a request that none has read. */
static void try_again(struct connection *connection)
{
    connection->attempts++;
    connection->worker = NULL;
    if (connection->attempts < MOST_ATTEMPTS)
        ask(connection);
    else
        fail_request(connection, 503, "its processes end before they are asked");
}

/* Return a file in memory that holds these bytes and nothing else ever, or -1. */
static int sealed(const char *at, size_t length)
{
    int file = memfd_create("message", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    ssize_t written;

    while (file >= 0 && length) {
        written = write(file, at, length);
        if (written < 0 && errno != EINTR)
            break;
        if (written > 0)
            at += written, length -= (size_t)written;
    }
    if (file >= 0 && (length || fcntl(file, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK |
                                                             F_SEAL_GROW | F_SEAL_SEAL))) {
        close(file);
        return -1;
    }
    return file;
}

/* Send a packet to a worker, and a descriptor if it is not -1; return whether it went. */
static bool send_packet(int descriptor, struct iovec *parts, size_t count, int file)
{
    union {
        char bytes[CMSG_SPACE(sizeof(int))];
        struct cmsghdr aligned;
    } control = {{0}};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = count};

    if (file >= 0) {
        message.msg_control = control.bytes;
        message.msg_controllen = sizeof control.bytes;
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof file);
        memcpy(CMSG_DATA(header), &file, sizeof file);
    }
    return sendmsg(descriptor, &message, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0;
}

/* Pass a request to a worker (messages.py). */
static bool pass_request(const struct connection *connection, const struct channel *worker)
{
    struct __attribute__((packed)) {
        char kind;
        uint32_t number;
        uint16_t remote_port, port;
        uint8_t length;
        char address[INET_ADDRSTRLEN];
    } head = {'Q', worker->serial, connection->port, (uint16_t)settings.port, 0, {0}};
    const struct buffer *content = &connection->parser.message;
    bool is_inside = content->length <= MOST_INSIDE;
    struct iovec parts[] = {{&head, 0}, {content->at, content->length}};
    int file = -1;
    bool sent;

    head.length = (uint8_t)strlen(connection->address);
    memcpy(head.address, connection->address, head.length);
    parts[0].iov_len = sizeof head - sizeof head.address + head.length;
    if (is_inside)
        return send_packet(worker->descriptor, parts, 2, -1);
    head.kind = 'q';
    file = sealed(content->at, content->length);
    sent = file >= 0 && send_packet(worker->descriptor, parts, 1, file);
    if (file >= 0)
        close(file);
    return sent;
}

static void hand_over(struct connection *connection, struct channel *worker)
{
    stamp(SPAWNING);
    worker->serial = ++last_serial;
    if (pass_request(connection, worker))
        return;
    worker->job = NULL;
    lose(worker); /* it has ended, on its own account */
    try_again(connection);
}

static bool hand_ahead(struct connection *connection, struct channel *worker)
{
    uint32_t serial = worker->serial;

    worker->serial = ++last_serial;
    if (pass_request(connection, worker)) {
        worker->next_serial = worker->serial;
        worker->serial = serial;
        return true;
    }
    worker->serial = serial; /* what is wrong with it will be seen */
    return false;
}

static void lose_with_request(struct channel *worker, const char *reason)
{
    struct connection *connection = worker->job;

    lose(worker);
    if (connection) {
        connection->worker = NULL;
        fail_request(connection, 502, reason);
    }
}

/* Read a worker's packet into `packet`; return its length, with the descriptor that came with it or
 * -1. There is room for just one: the kernel closes any other (recvmsg(2), MSG_CTRUNC). */
static ssize_t read_packet(int descriptor, int *file, int *flags)
{
    union {
        char bytes[CMSG_SPACE(sizeof(int))];
        struct cmsghdr aligned;
    } control;
    struct iovec part = {packet, sizeof packet};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = control.bytes,
                             .msg_controllen = CMSG_LEN(sizeof(int))};
    ssize_t length = recvmsg(descriptor, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    struct cmsghdr *header = length < 0 ? NULL : CMSG_FIRSTHDR(&message);

    *file = -1;
    *flags = message.msg_flags;
    if (header && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS &&
        header->cmsg_len >= CMSG_LEN(sizeof *file))
        memcpy(file, CMSG_DATA(header), sizeof *file);
    return length;
}

/* Read what a sealed file holds; false where it is no such file, or holds too much. */
static bool read_file(int file, struct buffer *content)
{
    const int needed = F_SEAL_WRITE | F_SEAL_SHRINK;
    int seals = fcntl(file, F_GET_SEALS);
    struct stat status;
    ssize_t length = 1;

    if (seals < 0 || (seals & needed) != needed || fstat(file, &status) ||
        status.st_size > settings.output + CHUNK)
        return false;
    make_room(content, (size_t)status.st_size + 1);
    while (content->length < (size_t)status.st_size && length > 0) {
        length = pread(file, content->at + content->length,
                       (size_t)status.st_size - content->length, (off_t)content->length);
        content->length += length > 0 ? (size_t)length : 0;
    }
    return length >= 0;
}

/* Give an answer to the client, which is nothing but what a CGI program printed. */
static void pass_on(struct connection *connection, struct slice content, bool keep)
{
    struct response response;
    char text[200], space[256];
    const char *wrong = read_printed(&response, content);

    stamp(ANSWERED);
    if (wrong) {
        note(connection, wrong);
        snprintf(text, sizeof text, "the script failed: %s", wrong);
        response = plain_response(500, text, space, sizeof space);
    }
    reply(connection, &response, keep);
}

#define ANSWER_HEAD 6 /* kind, number of the request, flags */
enum { STAYS = 1, IS_LAST = 2 };

/* A worker has answered the request that it was asked for: the one answer there is. */
static void take_answer(struct channel *worker, struct slice content, int answer_flags)
{
    struct connection *connection = worker->job;

    worker->tenant->quick = now - connection->since < PATIENCE ? worker->tenant->quick + 1 : 0;
    connection->worker = NULL;
    worker->job = NULL;
    pass_on(connection, content, answer_flags & STAYS);
    if (answer_flags & IS_LAST)
        lose(worker);
    else
        finished(worker);
    empty(&connection->parser.message, KEPT_BYTES);
    work(connection);
}

/* Look at a packet from a worker, which may say whatever it likes. */
static void judge_answer(struct channel *worker, size_t length, int file, int flags)
{
    struct buffer large = {0};
    struct slice content = {packet + ANSWER_HEAD, length - ANSWER_HEAD};
    bool is_good = !(flags & MSG_TRUNC) && length >= ANSWER_HEAD;
    uint32_t number = 0;

    if (is_good && file < 0) {
        is_good = packet[0] == 'A';
    } else if (is_good) {
        is_good = packet[0] == 'a' && length == ANSWER_HEAD && read_file(file, &large);
        content = (struct slice){large.at, large.length};
    }
    if (file >= 0)
        close(file);
    if (is_good)
        memcpy(&number, packet + 1, sizeof number);
    if (!is_good)
        lose_with_request(worker, "its process sent a malformed answer");
    else if (!worker->job || number != worker->serial)
        lose_with_request(worker, "its process answers without being asked");
    else
        take_answer(worker, content, packet[5]);
    free(large.at);
}

/* It has ended, and somebody has read all that it was given. */
static void lose_with_all(struct channel *worker)
{
    struct connection *next = worker->next;

    worker->next = NULL;
    lose_with_request(worker, "its process ended before it answered");
    if (next) {
        next->worker = NULL;
        fail_request(next, 502, "its process ended before it answered");
    }
}

static void on_answer(struct channel *worker)
{
    struct connection *connection = worker->job;
    int file, flags;
    ssize_t length = read_packet(worker->descriptor, &file, &flags);

    if (length < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (length < 0 && !worker->next) { /* ECONNRESET: it ended with the request left to read */
        lose(worker);
        if (connection)
            try_again(connection);
        return;
    }
    if (length < 0) { /* the next request is left, and perhaps more */
        lose_with_request(worker, "its process ended before it answered");
        return;
    }
    if (!length && file < 0)
        lose_with_all(worker);
    else
        judge_answer(worker, (size_t)length, file, flags);
}

/* A worker that was asked for cannot be had; where it was the last, nobody will do what waits. */
/* EBUSY says that the tenant's other workers only lack a processor. */
static void on_refusal(struct channel *worker, int error)
{
    struct tenant *tenant = worker->tenant;
    char reason[128];

    snprintf(reason, sizeof reason, "no process for it: %s", strerror(error));
    put_last(&ended, &worker->own);
    worker_count--;
    tenant->count--;
    if (!tenant->count && error != EBUSY) {
        struct link given_up = {&given_up, &given_up};
        while (!is_empty(&tenant->waiting)) {
            struct link *link = tenant->waiting.after;
            take_out(link);
            put_last(&given_up, link);
        }
        share_room(tenant);
        while (!is_empty(&given_up)) {
            struct link *link = given_up.after;
            take_out(link);
            fail_request(HOLDER(link, struct connection, waiting), 503, reason);
        }
        return;
    }
    share_room(tenant);
}

static struct channel *worker_that_starts(uint64_t number)
{
    for (struct link *link = starting.after; link != &starting; link = link->after) {
        struct channel *worker = HOLDER(link, struct channel, own);
        if (worker->number == number)
            return worker;
    }
    errno = EPROTO;
    fail("the starter");
    return NULL;
}

/* Take a worker that was asked for. */
static void on_line(void)
{
    struct started_message message;
    struct channel *worker;
    int file, flags;
    ssize_t length = read_packet((int)settings.line, &file, &flags);

    if (length < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (length != sizeof message) {
        errno = ECONNRESET;
        fail("the starter of tenants' workers has ended");
    }
    memcpy(&message, packet, sizeof message);
    worker = worker_that_starts(message.number);
    take_out(&worker->own);
    worker->tenant->starting--;
    if (message.error || file < 0 || file >= MOST_DESCRIPTORS) {
        on_refusal(worker, message.error ? (int)message.error : EMFILE);
        return;
    }
    worker->descriptor = file;
    watch(file, CHANNEL, worker, EPOLLIN);
    finished(worker);
}

/* Time. */

/* A client has not sent a request, or not taken an answer, in time. */
static void on_silence(struct connection *connection)
{
    if (connection->state == READING && connection->mid)
        refuse(connection, 408, "the request did not arrive in time");
    else
        close_connection(connection);
}

/* Answer a request that has had its time, in the hands of a worker or waiting for one. */
static void give_up(struct connection *connection)
{
    struct channel *worker = connection->worker;

    if (!worker) {
        take_out(&connection->waiting);
        fail_request(connection, 503, "all of its processes are busy");
        return;
    }
    connection->worker = NULL;
    worker->job = NULL;
    note(connection, "the script exceeded its time limit");
    lose(worker);
    reply_plainly(connection, 504, "the script took too long");
    work(connection);
}

static void look_at(struct connection *connection)
{
    int64_t waited = now - connection->since;

    if (connection->state == ASKED) {
        bool is_next = connection->worker && connection->worker->job != connection;
        if (waited >= script_limit && !is_next) /* whose turn is not long after that of the job */
            give_up(connection);
    } else if (connection->state == LINGERING) {
        if (waited >= connection->limit || waited >= client_limit)
            close_connection(connection);
    } else if (waited >= client_limit) {
        on_silence(connection);
    }
}

/* End what has taken too long. */
static void sweep(void)
{
    struct link *link = connections.after;

    while (link != &connections) {
        struct connection *connection = HOLDER(link, struct connection, all);
        link = link->after; /* what is looked at may go, and nothing else */
        look_at(connection);
    }
    if (tally) {
        tally[TENANT_WORKERS] = worker_count;
        tally[TENANT_WORKERS_BUSY] = busy_count;
    }
    end_idle();
    listen_again();
}

/* What this process may do from now on. */

/* Landlock (landlock(7)): no file, no port, no signal to others. Numbers are given, since a host's
 * headers may know less than its kernel. */
static void close_files(void)
{
    struct {
        uint64_t files, ports, scoped;
    } handled = {(1 << 13) - 1, 0, 0};
    long version = syscall(444, NULL, 0, 1); /* landlock_create_ruleset, its VERSION */
    int ruleset;

    if (version < 1)
        return;
    handled.files |= (version >= 2 ? 1 << 13 : 0) | (version >= 3 ? 1 << 14 : 0) |
                     (version >= 5 ? 1 << 15 : 0);
    handled.ports = version >= 4 ? 3 : 0;
    handled.scoped = version >= 6 ? 3 : 0;
    /* A kernel that knows less of this structure wants the rest to be zeros. */
    ruleset = (int)syscall(444, &handled, sizeof handled, 0);
    if (ruleset < 0 || syscall(446, ruleset, 0)) /* landlock_restrict_self */
        fail("Landlock");
    close(ruleset);
}

#if defined __x86_64__
#define ARCHITECTURE AUDIT_ARCH_X86_64
#elif defined __aarch64__
#define ARCHITECTURE AUDIT_ARCH_AARCH64
#elif defined __riscv && __riscv_xlen == 64
#define ARCHITECTURE AUDIT_ARCH_RISCV64
#endif

/* What the loop below calls, and the C library for it. */
static const unsigned allowed[] = {
    SYS_accept4,  SYS_recvfrom,     SYS_recvmsg,      SYS_sendto,      SYS_sendmsg, SYS_shutdown,
    SYS_close,    SYS_epoll_pwait,  SYS_epoll_ctl,    SYS_read,        SYS_write,   SYS_writev,
    SYS_pread64,  SYS_fcntl,        SYS_fstat,        SYS_memfd_create, SYS_getrusage,
    SYS_getpid,   SYS_clock_gettime, SYS_gettimeofday, SYS_brk,        SYS_mmap,    SYS_munmap,
    SYS_mremap,   SYS_madvise,      SYS_getrandom,    SYS_exit_group,  SYS_exit,    SYS_statx,
    SYS_futex,    SYS_rt_sigreturn, SYS_restart_syscall,
#ifdef SYS_epoll_wait
    SYS_epoll_wait,
#endif
#ifdef SYS_time
    SYS_time,
#endif
#ifdef SYS_newfstatat
    SYS_newfstatat,
#endif
};

/* Have all other system calls fail with EPERM (seccomp(2)), and those of another ABI end us. */
static void close_calls(void)
{
#ifdef ARCHITECTURE
    enum { COUNT = sizeof allowed / sizeof *allowed };
    struct sock_filter filter[COUNT + 8], *next = filter;
    struct sock_fprog program = {0, filter};
    unsigned distance = COUNT;

    *next++ = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
                                           offsetof(struct seccomp_data, arch));
    *next++ = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ARCHITECTURE, 1, 0);
    *next++ = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
    *next++ =
        (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
    for (size_t place = 0; place < COUNT; place++, distance--)
        *next++ = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, allowed[place],
                                               (uint8_t)distance, 0);
    *next++ = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM);
    *next++ = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    program.len = (unsigned short)(next - filter);
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) && errno != EINVAL)
        fail("seccomp");
#endif
}

/* The process. */

static volatile int64_t *map(long descriptor, size_t length)
{
    void *memory =
        mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED, (int)descriptor, 0);

    if (memory == MAP_FAILED)
        fail("memory that is shared");
    close((int)descriptor);
    return memory;
}

static void map_what_is_shared(void)
{
    struct stat status;

    if (fstat((int)settings.board, &status))
        fail("scoreboard");
    slot = map(settings.board, (size_t)status.st_size) + settings.slot * SLOT;
    if (settings.journal >= 0) {
        if (fstat((int)settings.journal, &status))
            fail("journal");
        journal = map(settings.journal, (size_t)status.st_size);
    }
    if (settings.tally >= 0) {
        if (fstat((int)settings.tally, &status))
            fail("tally");
        if (status.st_size < 8 * (HEAD + CELL * (known_sites + 1))) {
            errno = EINVAL;
            fail("tally");
        }
        tally = map(settings.tally, (size_t)status.st_size);
    }
}

/* Take as many descriptors as there are to be had, and leave some for workers. */
static void count_descriptors(void)
{
    struct rlimit limit;
    long wanted = MOST_DESCRIPTORS;

    if (getrlimit(RLIMIT_NOFILE, &limit))
        fail("limits");
    if (limit.rlim_max != RLIM_INFINITY && limit.rlim_max < MOST_DESCRIPTORS)
        wanted = (long)limit.rlim_max;
    limit.rlim_cur = (rlim_t)wanted; /* descriptors have a place in `table` */
    if (setrlimit(RLIMIT_NOFILE, &limit))
        fail("limits");
    wanted -= settings.bound + SPARE_DESCRIPTORS;
    most_connections = wanted > 1 ? (unsigned)wanted : 1;
}

static void prepare(void)
{
    sigset_t usual;
    cpu_set_t usable;

    classify_bytes();
    processors = sched_getaffinity(0, sizeof usable, &usable) ? 1 : (unsigned)CPU_COUNT(&usable);
    limits = (struct limits){(size_t)settings.head, (size_t)settings.body};
    script_limit = settings.script_ms * MS;
    client_limit = settings.client_ms * MS;
    idle_limit = settings.idle_s * 1000 * MS;
    count_descriptors();
    read_sites();
    map_what_is_shared();
    sigemptyset(&usual);
    sigaddset(&usual, SIGUSR1);
    sigprocmask(SIG_BLOCK, &usual, NULL);
    signals = signalfd(-1, &usual, SFD_CLOEXEC | SFD_NONBLOCK);
    epoll = epoll_create1(EPOLL_CLOEXEC);
    if (signals < 0 || epoll < 0)
        fail("descriptors");
    listen_again();
    watch((int)settings.line, LINE, NULL, EPOLLIN);
    watch(signals, SIGNALS, NULL, EPOLLIN);
}

static void on_signals(void)
{
    struct signalfd_siginfo signal;

    while (read(signals, &signal, sizeof signal) == sizeof signal)
        publish_usage();
}

static void on_event(const struct epoll_event *event)
{
    int descriptor = event->data.fd;

    switch (table[descriptor].kind) {
    case LISTENER:
        on_listener();
        break;
    case LINE:
        on_line();
        break;
    case SIGNALS:
        on_signals();
        break;
    case CLIENT:
        on_client(table[descriptor].what, event->events);
        break;
    case CHANNEL:
        on_answer(table[descriptor].what);
        break;
    case NOTHING:
        break;
    }
}

/* Wait for events, and handle them; look at the time every now and then. */
static void turn(void)
{
    struct epoll_event events[EVENTS];
    int64_t patience = -MS;
    int count;

    if (!is_empty(&crowded))
        patience = PATIENCE;
    else if (connection_count || worker_count)
        patience = SWEEP;
    count = epoll_wait(epoll, events, EVENTS, (int)(patience / MS));
    now = clock_ns();
    for (int place = 0; place < count; place++)
        on_event(&events[place]);
    if (!is_empty(&crowded))
        attend();
    if (now >= next_sweep) {
        next_sweep = now + SWEEP;
        sweep();
    }
    ask_again();
    free_closed();
}

int main(int count, char **arguments)
{
    (void)count;
    prctl(PR_SET_NAME, "front");
    read_settings(arguments + 1);
    prepare();
    close_files();
    close_calls();
    slot[STARTED] = 1;
    for (;;)
        turn();
}
