/* A closed loop of HTTP/1.1 users, in one thread that never enters Python.
 *
 * Strategy
 * ========
 * Each user has one request on its way and sends the next when the reply is complete. All users
 * share one epoll(7) set and one thread, which does nothing but send, receive, parse, compare and
 * write a record of 40 bytes a request. Whoever loaded this library reads the records when the
 * thread has ended: nothing is shared while it runs but the few words marked _Atomic.
 *
 * It does as `workloads/load/clients/client.py` does, which is the reference: the time of a request counts
 * from before its connection is made until its reply is parsed; a kept connection that turns out to
 * be closed is replaced once; a user rests for a moment after a request without a reply. What it
 * takes for a reply is in `struct reply`: it is stricter than a browser, and whatever it does not
 * take is an error of that request. Nothing that a server sends may do more than that.
 */

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#ifndef FIRST_BYTES
#define FIRST_BYTES (64 * 1024) /* of a buffer of replies; a test makes it tiny */
#endif
#define BLOCK_RECORDS 65536
#define EVENTS 64
#define NOBODY UINT32_MAX
#define NEVER INT64_MAX
#define TICKS_PER_TIMEOUT 10
#define LARGE_REQUEST (16 * 1024)
#define MOST_RESTING 64 /* `addressed_client.py` has the same number */

/* What became of a request; `workloads/load/clients/compiled.py` has the same numbers. */
enum outcome { RIGHT, WRONG, LOST, FAILED, TIMED_OUT, BROKEN };

/* Why a reply is broken. */
enum flaw { SOUND, NOT_HTTP, SURPLUS, TOO_LONG, ENDS_IN_HEADERS, ENDS_IN_BODY };

struct request {
    const char *bytes;
    const char *head; /* of the right body */
    const char *tail;
    uint64_t length;
    uint64_t head_length;
    uint64_t tail_length;
    int64_t body_length; /* -1 where it varies */
    uint32_t address; /* whom to ask, as inet_addr(3) has it */
};

struct settings {
    const struct request *requests;
    const uint32_t *order; /* of requests, gone through again and again */
    const int64_t *slices; /* pairs of begin and end, CLOCK_MONOTONIC, ns */
    uint64_t order_length;
    uint64_t slices_length; /* 0: send at any time */
    int64_t timeout_ns;
    int64_t pause_ns; /* after a request without a reply */
    uint64_t most_reply_bytes;
    uint64_t most_errors; /* with more, nobody sends any longer */
    uint64_t most_kept_bytes;
    uint16_t port;
    uint8_t keep_alive;
};

struct record {
    int64_t began; /* CLOCK_MONOTONIC, ns */
    int64_t completed;
    uint64_t body_length;
    uint32_t request;
    uint32_t kept; /* number of the wrong body, from 1; 0: not kept */
    int32_t error; /* errno */
    uint16_t status;
    uint8_t outcome;
    uint8_t flaw;
};

struct counts {
    uint64_t records;
    uint64_t errors;
    uint64_t sent;
    uint64_t verified;
    uint64_t retries;
    uint64_t connections;
    uint64_t kept;
    uint64_t rests; /* of a user between a reply and its next request, within a slice */
    uint64_t rested_ns;
    int32_t failure; /* errno of what ended the loop itself */
};

/* --- Replies --------------------------------------------------------------------------------- */

enum phase { HEAD, LENGTH, CHUNK_SIZE, CHUNK_DATA, CHUNK_END, TRAILER, UNTIL_CLOSE, COMPLETE };
enum progress { MORE, DONE, FLAWED };

/* A reply as it comes in. All bytes stay in `data`; the body of one in chunks is moved together. */
struct reply {
    char *data;
    size_t capacity;
    size_t length; /* bytes received */
    size_t at;     /* bytes understood */
    size_t searched;
    size_t body;
    size_t body_length;
    uint64_t left; /* of the body, or of the chunk */
    enum phase phase;
    enum flaw flaw;
    int status;
    bool keep_alive;
    bool framed;
};

static void reply_begin(struct reply *reply)
{
    char *data = reply->data;
    size_t capacity = reply->capacity;
    memset(reply, 0, sizeof *reply);
    reply->data = data;
    reply->capacity = capacity;
}

static enum progress flawed(struct reply *reply, enum flaw flaw)
{
    reply->flaw = flaw;
    return FLAWED;
}

static bool is_token(unsigned char c)
{ /* RFC 9110, section 5.6.2 */
    return (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z') ||
           (c && strchr("!#$%&'*+-.^_`|~", c));
}

/* Whether there are no control characters but tabs. */
static bool is_text(const char *line, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char)line[i];
        if ((c < ' ' && c != '\t') || c == 127)
            return false;
    }
    return true;
}

static bool is_named(const char *name, size_t length, const char *wanted)
{
    return length == strlen(wanted) && !strncasecmp(name, wanted, length);
}

/* The next element of a comma-separated list, without the blanks around it; false at the end. */
static bool next_element(const char **at, const char *end, const char **element, size_t *length)
{
    const char *from = *at, *comma;
    if (from >= end)
        return false;
    comma = memchr(from, ',', (size_t)(end - from));
    *at = comma ? comma + 1 : end;
    if (!comma)
        comma = end;
    while (from < comma && (*from == ' ' || *from == '\t'))
        from++;
    while (comma > from && (comma[-1] == ' ' || comma[-1] == '\t'))
        comma--;
    *element = from;
    *length = (size_t)(comma - from);
    return true;
}

struct fields {
    bool length_given, coded, chunked, close, keep;
    uint64_t length;
};

static bool take_length(struct fields *fields, const char *value, size_t length)
{
    if (fields->length_given || !length || length > 18)
        return false;
    for (size_t i = 0; i < length; i++) {
        if (value[i] < '0' || value[i] > '9')
            return false;
        fields->length = fields->length * 10 + (uint64_t)(value[i] - '0');
    }
    fields->length_given = true;
    return true;
}

static bool take_field(struct fields *fields, const char *name, size_t name_length,
                       const char *value, size_t length)
{
    const char *at = value, *end = value + length, *element;
    size_t size;
    if (is_named(name, name_length, "content-length"))
        return take_length(fields, value, length);
    if (is_named(name, name_length, "transfer-encoding")) {
        fields->coded = true;
        while (next_element(&at, end, &element, &size)) /* the last one counts */
            fields->chunked = is_named(element, size, "chunked");
    } else if (is_named(name, name_length, "connection")) {
        while (next_element(&at, end, &element, &size)) {
            fields->close |= is_named(element, size, "close");
            fields->keep |= is_named(element, size, "keep-alive");
        }
    }
    return true;
}

/* One header line without its CR LF. */
static bool take_line(struct fields *fields, const char *line, size_t length)
{
    size_t name = 0, from, to = length;
    if (!is_text(line, length))
        return false;
    while (name < length && is_token((unsigned char)line[name]))
        name++;
    if (!name || name == length || line[name] != ':')
        return false;
    from = name + 1;
    while (from < to && (line[from] == ' ' || line[from] == '\t'))
        from++;
    while (to > from && (line[to - 1] == ' ' || line[to - 1] == '\t'))
        to--;
    return take_field(fields, line, name, line + from, to - from);
}

/* "HTTP/1.1 200 OK" or its beginning. */
static bool may_be_status_line(const char *line, size_t length)
{
    static const char form[] = "HTTP/1.v ddd ";
    for (size_t i = 0; i < length; i++) {
        char c = line[i];
        if (i >= sizeof form - 1)
            return true;
        if (i == sizeof form - 2 && c == '\r')
            return true;
        if (form[i] == 'v' ? c != '0' && c != '1'
                           : form[i] == 'd' ? c < '0' || c > '9' : c != form[i])
            return false;
    }
    return true;
}

/* The head of `length` bytes, with the CR LF of its last line but without the empty line. */
static bool take_head(struct reply *reply, const char *head, size_t length)
{
    struct fields fields = {0};
    const char *at = head, *end = head + length, *line_end;
    for (bool first = true; at < end; first = false, at = line_end + 2) {
        line_end = memmem(at, (size_t)(end - at), "\r\n", 2);
        if (!line_end)
            return false;
        if (!first) {
            if (!take_line(&fields, at, (size_t)(line_end - at)))
                return false;
            continue;
        }
        if (line_end - at < 12 || !may_be_status_line(at, (size_t)(line_end - at)))
            return false;
        if (!is_text(at, (size_t)(line_end - at)))
            return false;
        reply->status = (at[9] - '0') * 100 + (at[10] - '0') * 10 + (at[11] - '0');
        reply->keep_alive = at[7] == '1';
    }
    if (reply->status < 100 || reply->status == 101 || (fields.length_given && fields.coded))
        return false;
    reply->keep_alive = reply->keep_alive ? !fields.close : fields.keep;
    reply->framed = fields.length_given || fields.coded;
    reply->left = fields.length;
    if (fields.chunked)
        reply->phase = CHUNK_SIZE;
    else if (fields.length_given || reply->status < 200 || reply->status == 204 ||
             reply->status == 304)
        reply->phase = LENGTH;
    else {
        reply->phase = UNTIL_CLOSE;
        reply->keep_alive = false;
    }
    return true;
}

static enum progress read_head(struct reply *reply)
{
    const char *start, *end;
    size_t from;
    /* Empty lines before a reply are passed over, as by llhttp. */
    while (reply->at < reply->length &&
           (reply->data[reply->at] == '\r' || reply->data[reply->at] == '\n'))
        reply->at++;
    start = reply->data + reply->at;
    if (!may_be_status_line(start, reply->length - reply->at))
        return flawed(reply, NOT_HTTP);
    from = reply->searched > reply->at + 3 ? reply->searched - 3 : reply->at;
    end = memmem(reply->data + from, reply->length - from, "\r\n\r\n", 4);
    reply->searched = reply->length;
    if (!end)
        return MORE;
    if (!take_head(reply, start, (size_t)(end - start) + 2))
        return flawed(reply, NOT_HTTP);
    reply->at = reply->body = (size_t)(end - reply->data) + 4;
    reply->searched = 0;
    reply->body_length = 0;
    return DONE;
}

/* The end of the line that begins at `at`, or NULL where it is not there yet. */
static const char *line_end(struct reply *reply)
{
    size_t from = reply->searched > reply->at ? reply->searched - 1 : reply->at;
    const char *end = memmem(reply->data + from, reply->length - from, "\r\n", 2);
    reply->searched = end ? 0 : reply->length;
    return end;
}

static enum progress read_chunk_size(struct reply *reply)
{
    const char *line = reply->data + reply->at, *end = line_end(reply), *c;
    uint64_t size = 0;
    if (!end)
        return MORE;
    for (c = line; c < end; c++) {
        int digit = *c >= '0' && *c <= '9' ? *c - '0' : (*c | 32) >= 'a' && (*c | 32) <= 'f'
                                                              ? (*c | 32) - 'a' + 10
                                                              : -1;
        if (digit < 0)
            break;
        if (size >> 56)
            return flawed(reply, NOT_HTTP);
        size = size * 16 + (uint64_t)digit;
    }
    if (c == line || c < end) /* nor is there any extension */
        return flawed(reply, NOT_HTTP);
    reply->at = (size_t)(end - reply->data) + 2;
    reply->left = size;
    reply->phase = size ? CHUNK_DATA : TRAILER;
    return DONE;
}

/* Take what is there of `left` bytes of the body, to where the body ends so far. */
static enum progress read_body(struct reply *reply)
{
    size_t there = reply->length - reply->at;
    size_t part = reply->left < there ? (size_t)reply->left : there;
    if (reply->body + reply->body_length != reply->at)
        memmove(reply->data + reply->body + reply->body_length, reply->data + reply->at, part);
    reply->at += part;
    reply->body_length += part;
    reply->left -= part;
    return reply->left ? MORE : DONE;
}

static enum progress read_chunk_end(struct reply *reply)
{
    if (reply->length - reply->at < 2)
        return reply->length > reply->at && reply->data[reply->at] != '\r'
                   ? flawed(reply, NOT_HTTP)
                   : MORE;
    if (memcmp(reply->data + reply->at, "\r\n", 2))
        return flawed(reply, NOT_HTTP);
    reply->at += 2;
    reply->phase = CHUNK_SIZE;
    return DONE;
}

static enum progress read_trailer(struct reply *reply)
{
    const char *line = reply->data + reply->at, *end = line_end(reply);
    struct fields ignored = {0};
    if (!end)
        return MORE;
    reply->at = (size_t)(end - reply->data) + 2;
    if (end == line)
        reply->phase = COMPLETE;
    else if (!take_line(&ignored, line, (size_t)(end - line)))
        return flawed(reply, NOT_HTTP);
    return DONE;
}

static enum progress finish(struct reply *reply)
{
    /* RFC 9110, section 15.2: a 1xx reply announces the real one. */
    if (reply->status < 200) {
        reply->phase = HEAD;
        reply->searched = 0;
        return DONE;
    }
    while (reply->at < reply->length &&
           (reply->data[reply->at] == '\r' || reply->data[reply->at] == '\n'))
        reply->at++;
    return reply->at < reply->length ? flawed(reply, SURPLUS) : DONE;
}

static enum progress step(struct reply *reply)
{
    enum progress progress;
    switch (reply->phase) {
    case HEAD:
        return read_head(reply);
    case CHUNK_SIZE:
        return read_chunk_size(reply);
    case CHUNK_END:
        return read_chunk_end(reply);
    case TRAILER:
        return read_trailer(reply);
    case UNTIL_CLOSE:
        reply->left = UINT64_MAX;
        return read_body(reply);
    case LENGTH:
    case CHUNK_DATA:
        progress = read_body(reply);
        if (progress == DONE)
            reply->phase = reply->phase == LENGTH ? COMPLETE : CHUNK_END;
        return progress;
    case COMPLETE:
        break;
    }
    return finish(reply);
}

/* Understand what has come so far: MORE is needed, it is DONE, or FLAWED. */
static enum progress reply_advance(struct reply *reply, uint64_t most)
{
    for (;;) {
        bool complete = reply->phase == COMPLETE;
        enum progress progress = step(reply);
        if (progress == FLAWED)
            return progress;
        if (reply->length > most)
            return flawed(reply, TOO_LONG);
        if (progress == MORE || (complete && reply->phase == COMPLETE))
            return progress;
    }
}

/* The server has closed. RFC 9112, section 6.3: a reply without a length ends with that. */
static enum progress reply_end(struct reply *reply)
{
    if (reply->phase == UNTIL_CLOSE && !reply->framed)
        return DONE;
    return flawed(reply, reply->phase == HEAD ? ENDS_IN_HEADERS : ENDS_IN_BODY);
}

/* Room for at least one more byte. */
static bool reply_room(struct reply *reply)
{
    size_t capacity = reply->capacity ? reply->capacity * 2 : FIRST_BYTES;
    char *data;
    if (reply->length < reply->capacity)
        return true;
    data = realloc(reply->data, capacity);
    if (!data)
        return false;
    reply->data = data;
    reply->capacity = capacity;
    return true;
}

static bool is_right(const struct reply *reply, const struct request *request)
{
    const char *body = reply->data + reply->body;
    size_t length = reply->body_length;
    return reply->status == 200 &&
           (request->body_length < 0 || length == (uint64_t)request->body_length) &&
           length >= request->head_length && length >= request->tail_length &&
           !memcmp(body, request->head, request->head_length) &&
           !memcmp(body + length - request->tail_length, request->tail, request->tail_length);
}

/* --- Users ----------------------------------------------------------------------------------- */

enum state { IDLE, SENDING, RECEIVING };

/* A connection to another address than the one that is being asked. */
struct resting {
    int fd;
    uint32_t address;
};

struct user {
    int fd; /* -1: no connection */
    uint32_t events; /* that the epoll set watches for; 0: it does not */
    uint32_t number;
    uint32_t request;
    uint32_t address; /* at the other end of the connection */
    enum state state;
    bool fresh; /* the connection was made for this request */
    bool again; /* it is sent for the second time */
    size_t sent;
    int64_t began, attempted, resumes;
    int64_t completed; /* its last request; 0: none, or without a reply */
    struct reply reply;
    uint32_t resting_length;
    struct resting resting[MOST_RESTING]; /* the one that has rested longest comes first */
};

struct block {
    struct record records[BLOCK_RECORDS];
};

struct kept {
    char *body;
    size_t length;
};

struct loop {
    struct settings settings;
    int epoll, wake, timer;
    pthread_t thread;
    atomic_uint wanted;
    atomic_bool stopping, halted;
    struct user **users;
    uint32_t active, made;
    uint64_t cursor, slice;
    int64_t armed, looked;
    struct block **blocks;
    size_t blocks_length;
    struct kept *kept;
    uint64_t kept_bytes;
    struct counts counts;
};

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

static void give_up(struct loop *loop, int error)
{
    loop->counts.failure = error ? error : ENOMEM;
    atomic_store(&loop->halted, true);
}

static struct record *new_record(struct loop *loop)
{
    size_t number = loop->counts.records / BLOCK_RECORDS;
    if (number == loop->blocks_length) {
        struct block **blocks = realloc(loop->blocks, (number + 1) * sizeof *blocks);
        if (!blocks)
            return NULL;
        loop->blocks = blocks;
        if (!(blocks[number] = malloc(sizeof **blocks)))
            return NULL;
        loop->blocks_length++;
    }
    return &loop->blocks[number]->records[loop->counts.records++ % BLOCK_RECORDS];
}

/* Return the number of a wrong body that was kept as evidence, 0 where it was not. */
static uint32_t keep(struct loop *loop, const struct reply *reply)
{
    struct kept *all, one = {NULL, reply->body_length};
    if (loop->kept_bytes + one.length > loop->settings.most_kept_bytes)
        return 0;
    all = realloc(loop->kept, (loop->counts.kept + 1) * sizeof *all);
    if (!all)
        return 0;
    loop->kept = all;
    if (!(one.body = malloc(one.length + 1)))
        return 0;
    memcpy(one.body, reply->data + reply->body, one.length);
    loop->kept_bytes += one.length + sizeof one;
    all[loop->counts.kept++] = one;
    return (uint32_t)loop->counts.kept;
}

static void disconnect(struct user *user)
{
    if (user->fd >= 0)
        close(user->fd); /* which takes it out of the epoll set */
    user->fd = -1;
    user->events = 0;
}

static void watch(struct loop *loop, struct user *user, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.u32 = user->number};
    int how = !events ? EPOLL_CTL_DEL : user->events ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
    if (events == user->events)
        return;
    if (epoll_ctl(loop->epoll, how, user->fd, &event))
        give_up(loop, errno);
    user->events = events;
}

static void take_out(struct user *user, uint32_t place)
{
    user->resting_length--;
    memmove(user->resting + place, user->resting + place + 1,
            (user->resting_length - place) * sizeof *user->resting);
}

/* Turn to another address. A connection leads to one for its life, so the one to the former address
 * rests until that is asked again, as browsers keep connections to several sites. Unwatched, since
 * a server may close it meanwhile: the next request on it finds that out. */
static void turn_to(struct loop *loop, struct user *user, uint32_t address)
{
    uint32_t place = 0;
    int fd = -1;
    while (place < user->resting_length && user->resting[place].address != address)
        place++;
    if (place < user->resting_length) {
        fd = user->resting[place].fd;
        take_out(user, place);
    }
    if (user->fd >= 0) {
        watch(loop, user, 0);
        if (user->resting_length == MOST_RESTING) {
            close(user->resting[0].fd);
            take_out(user, 0);
        }
        user->resting[user->resting_length++] = (struct resting){user->fd, user->address};
    }
    user->fd = fd;
    user->address = address;
}

static void disconnect_all(struct user *user)
{
    disconnect(user);
    while (user->resting_length)
        close(user->resting[--user->resting_length].fd);
}

static void note(struct loop *loop, struct user *user, enum outcome outcome, int error)
{
    const struct reply *reply = &user->reply;
    struct record *record;
    int64_t completed = now_ns();
    bool answered = outcome == RIGHT;
    if (answered && !is_right(reply, &loop->settings.requests[user->request]))
        outcome = WRONG;
    record = new_record(loop);
    if (!record) {
        give_up(loop, ENOMEM);
        return;
    }
    *record = (struct record){
        .began = user->began,
        .completed = completed,
        .body_length = answered ? reply->body_length : 0,
        .request = user->request,
        .kept = outcome == WRONG ? keep(loop, reply) : 0,
        .error = error,
        .status = (uint16_t)(answered ? reply->status : 0),
        .outcome = (uint8_t)outcome,
        .flaw = (uint8_t)reply->flaw,
    };
    user->state = IDLE;
    user->resumes = answered ? 0 : completed + loop->settings.pause_ns;
    user->completed = answered ? completed : 0;
    if (outcome == RIGHT)
        loop->counts.verified++;
    else if (++loop->counts.errors > loop->settings.most_errors)
        atomic_store(&loop->halted, true);
}

static void attempt(struct loop *loop, struct user *user);

static void fail(struct loop *loop, struct user *user, enum outcome outcome, int error)
{
    if (outcome == FAILED && !user->reply.length &&
        (error == ECONNRESET || error == EPIPE || error == ENOTCONN))
        outcome = LOST;
    disconnect(user);
    if (outcome == LOST && !user->fresh && !user->again) {
        user->again = true;
        loop->counts.retries++;
        attempt(loop, user);
        return;
    }
    note(loop, user, outcome, error);
}

static bool open_connection(struct loop *loop, struct user *user)
{
    const int on = 1;
    struct sockaddr_in server = {.sin_family = AF_INET, .sin_port = htons(loop->settings.port)};
    server.sin_addr.s_addr = user->address;
    user->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (user->fd < 0) {
        fail(loop, user, FAILED, errno);
        return false;
    }
    /* What fits into one segment is sent at once in any case (RFC 9293, section 3.7.4). */
    if (loop->settings.requests[user->request].length > LARGE_REQUEST || loop->settings.keep_alive)
        setsockopt(user->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (connect(user->fd, (struct sockaddr *)&server, sizeof server) && errno != EINPROGRESS) {
        fail(loop, user, FAILED, errno);
        return false;
    }
    loop->counts.connections++;
    return true;
}

static void send_rest(struct loop *loop, struct user *user)
{
    const struct request *request = &loop->settings.requests[user->request];
    while (user->sent < request->length) {
        ssize_t sent = send(user->fd, request->bytes + user->sent, request->length - user->sent,
                            MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0 && errno != EAGAIN) {
            fail(loop, user, FAILED, errno);
            return;
        }
        if (sent < 0) {
            watch(loop, user, EPOLLOUT);
            return;
        }
        user->sent += (size_t)sent;
    }
    user->state = RECEIVING;
    watch(loop, user, EPOLLIN);
}

static void attempt(struct loop *loop, struct user *user)
{
    user->attempted = now_ns();
    user->state = SENDING;
    user->sent = 0;
    if (user->address != loop->settings.requests[user->request].address)
        turn_to(loop, user, loop->settings.requests[user->request].address);
    user->fresh = user->fd < 0;
    reply_begin(&user->reply);
    /* Over the loopback the handshake is over when connect(2) returns EINPROGRESS: the kernel
     * works through it as the socket is unlocked. So it is sent at once. */
    if (!user->fresh || open_connection(loop, user))
        send_rest(loop, user);
}

/* A user rests while this thread works for the others. What comes between two slices is no rest. */
static void count_rest(struct loop *loop, const struct user *user, int64_t now)
{
    int64_t from = loop->settings.slices_length ? loop->settings.slices[2 * loop->slice] : 0;
    if (!user->completed || user->completed < from)
        return;
    loop->counts.rests++;
    loop->counts.rested_ns += (uint64_t)(now - user->completed);
}

static void begin(struct loop *loop, struct user *user, int64_t now)
{
    count_rest(loop, user, now);
    user->request = loop->settings.order[loop->cursor++ % loop->settings.order_length];
    user->began = now;
    user->again = false;
    loop->counts.sent++;
    attempt(loop, user);
}

static void receive(struct loop *loop, struct user *user)
{
    struct reply *reply = &user->reply;
    enum progress progress;
    ssize_t got;
    if (!reply_room(reply)) {
        give_up(loop, ENOMEM);
        return;
    }
    got = recv(user->fd, reply->data + reply->length, reply->capacity - reply->length, 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got < 0) {
        fail(loop, user, FAILED, errno);
        return;
    }
    if (!got && !reply->length) {
        fail(loop, user, LOST, 0);
        return;
    }
    reply->length += (size_t)got;
    progress = got ? reply_advance(reply, loop->settings.most_reply_bytes) : reply_end(reply);
    if (progress == FLAWED)
        fail(loop, user, BROKEN, 0);
    else if (progress == DONE) {
        note(loop, user, RIGHT, 0);
        if (!got || !loop->settings.keep_alive || !reply->keep_alive)
            disconnect(user);
    }
}

static void serve_event(struct loop *loop, uint32_t number)
{
    struct user *user;
    uint64_t ignored;
    if (number == NOBODY || number == NOBODY - 1) {
        int fd = number == NOBODY ? loop->wake : loop->timer;
        if (number != NOBODY)
            loop->armed = NEVER;
        if (read(fd, &ignored, sizeof ignored) < 0)
            return; /* it did not ring after all */
        return;
    }
    if (number >= loop->active)
        return;
    user = loop->users[number];
    if (user->state == SENDING)
        send_rest(loop, user);
    else if (user->state == RECEIVING)
        receive(loop, user);
    else /* an idle connection was closed: the next request will find out */
        watch(loop, user, 0);
}

/* Whether requests may be sent; the time when that changes, if it may change to true. */
static bool may_send(struct loop *loop, int64_t now, int64_t *next)
{
    const int64_t *slices = loop->settings.slices;
    if (atomic_load(&loop->halted))
        return false;
    if (!loop->settings.slices_length)
        return true;
    while (loop->slice < loop->settings.slices_length && now >= slices[2 * loop->slice + 1])
        loop->slice++;
    if (loop->slice == loop->settings.slices_length)
        return false;
    if (now >= slices[2 * loop->slice])
        return true;
    *next = slices[2 * loop->slice];
    return false;
}

/* Begin a request for everybody who has none and may have one; return when to look again. */
static int64_t begin_all(struct loop *loop)
{
    int64_t next = NEVER;
    for (uint32_t i = 0; i < loop->active; i++) {
        struct user *user = loop->users[i];
        int64_t now;
        if (user->state != IDLE)
            continue;
        now = now_ns();
        if (!may_send(loop, now, &next))
            break;
        if (user->resumes <= now)
            begin(loop, user, now);
        if (user->state == IDLE && user->resumes < next)
            next = user->resumes;
    }
    return next;
}

static void arm(struct loop *loop, int64_t at)
{
    struct itimerspec when = {0};
    if (at == loop->armed)
        return;
    if (at != NEVER) {
        when.it_value.tv_sec = at / 1000000000;
        when.it_value.tv_nsec = at % 1000000000;
        if (!when.it_value.tv_sec && !when.it_value.tv_nsec)
            when.it_value.tv_nsec = 1; /* zero would disarm it (timerfd_settime(2)) */
    }
    timerfd_settime(loop->timer, TFD_TIMER_ABSTIME, &when, NULL);
    loop->armed = at;
}

static void time_out(struct loop *loop)
{
    int64_t now = now_ns();
    if (now - loop->looked < loop->settings.timeout_ns / TICKS_PER_TIMEOUT)
        return;
    loop->looked = now;
    for (uint32_t i = 0; i < loop->active; i++) {
        struct user *user = loop->users[i];
        if (user->state != IDLE && now - user->attempted > loop->settings.timeout_ns)
            fail(loop, user, TIMED_OUT, 0);
    }
}

static bool another_user(struct loop *loop)
{
    struct user **users = realloc(loop->users, (loop->made + 1) * sizeof *users);
    if (!users)
        return false;
    loop->users = users;
    if (!(users[loop->made] = calloc(1, sizeof **users)))
        return false;
    users[loop->made]->fd = -1;
    users[loop->made]->number = loop->made;
    loop->made++;
    return true;
}

/* Those who leave do so at once, wherever in a request they are. */
static void come_and_go(struct loop *loop)
{
    uint32_t wanted = atomic_load(&loop->wanted);
    while (loop->active > wanted) {
        struct user *user = loop->users[--loop->active];
        disconnect_all(user);
        user->state = IDLE;
        user->completed = 0; /* who comes back has not rested meanwhile */
    }
    while (loop->active < wanted) {
        if (loop->active == loop->made && !another_user(loop)) {
            give_up(loop, ENOMEM);
            return;
        }
        loop->active++;
    }
}

static void *run(void *given)
{
    struct loop *loop = given;
    struct epoll_event events[EVENTS];
    int64_t tick_ms = loop->settings.timeout_ns / TICKS_PER_TIMEOUT / 1000000;
    loop->looked = now_ns();
    prctl(PR_SET_NAME, "closed_loop"); /* as top(1) and perf(1) show it */
    while (!atomic_load(&loop->stopping) && !loop->counts.failure) {
        int ready;
        come_and_go(loop);
        arm(loop, begin_all(loop));
        ready = epoll_wait(loop->epoll, events, EVENTS, tick_ms < 1 ? 1 : (int)tick_ms);
        for (int i = 0; i < ready; i++)
            serve_event(loop, events[i].data.u32);
        time_out(loop);
    }
    atomic_store(&loop->wanted, 0);
    come_and_go(loop);
    return NULL;
}

/* --- What Python calls ----------------------------------------------------------------------- */

static void wake_up(struct loop *loop)
{
    const uint64_t one = 1;
    if (write(loop->wake, &one, sizeof one) < 0)
        return; /* full, so it is being woken anyway */
}

static int add(struct loop *loop, int fd, uint32_t number)
{
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = number};
    return epoll_ctl(loop->epoll, EPOLL_CTL_ADD, fd, &event);
}

void loop_free(struct loop *loop)
{
    for (uint32_t i = 0; i < loop->made; i++) {
        free(loop->users[i]->reply.data);
        free(loop->users[i]);
    }
    for (size_t i = 0; i < loop->blocks_length; i++)
        free(loop->blocks[i]);
    for (uint64_t i = 0; i < loop->counts.kept; i++)
        free(loop->kept[i].body);
    free(loop->users);
    free(loop->blocks);
    free(loop->kept);
    for (int i = 0; i < 3; i++) {
        int fd = i == 0 ? loop->epoll : i == 1 ? loop->wake : loop->timer;
        if (fd >= 0)
            close(fd);
    }
    free(loop);
}

/* Start a loop without users; what the settings point to must live as long. NULL: see errno. */
struct loop *loop_start(const struct settings *settings)
{
    struct loop *loop = calloc(1, sizeof *loop);
    sigset_t all, before;
    int error;
    if (!loop)
        return NULL;
    loop->settings = *settings;
    loop->armed = NEVER;
    loop->epoll = epoll_create1(EPOLL_CLOEXEC);
    loop->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    loop->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (loop->epoll < 0 || loop->wake < 0 || loop->timer < 0 || add(loop, loop->wake, NOBODY) ||
        add(loop, loop->timer, NOBODY - 1)) {
        error = errno;
    } else {
        sigfillset(&all); /* signals are for Python's own thread */
        pthread_sigmask(SIG_SETMASK, &all, &before);
        error = pthread_create(&loop->thread, NULL, run, loop);
        pthread_sigmask(SIG_SETMASK, &before, NULL);
    }
    if (error) {
        loop_free(loop);
        errno = error;
        return NULL;
    }
    return loop;
}

void loop_want(struct loop *loop, unsigned users)
{
    atomic_store(&loop->wanted, users);
    wake_up(loop);
}

bool loop_halted(struct loop *loop)
{
    return atomic_load(&loop->halted);
}

/* End the thread; only then may be called what follows. */
void loop_stop(struct loop *loop)
{
    atomic_store(&loop->stopping, true);
    wake_up(loop);
    pthread_join(loop->thread, NULL);
}

void loop_counts(const struct loop *loop, struct counts *counts)
{
    *counts = loop->counts;
}

const struct record *loop_records(const struct loop *loop, uint64_t block)
{
    return block < loop->blocks_length ? loop->blocks[block]->records : NULL;
}

/* The body of number 1 and so on; NULL where there is none. */
const char *loop_kept(const struct loop *loop, uint64_t number, uint64_t *length)
{
    if (!number || number > loop->counts.kept)
        return NULL;
    *length = loop->kept[number - 1].length;
    return loop->kept[number - 1].body;
}

/* --- What tests call ------------------------------------------------------------------------- */

struct parsed {
    uint64_t body_length;
    int32_t status;
    uint8_t progress, flaw, keep_alive, again;
};

/* Take `length` bytes in pieces of `piece`, then the end; copy the body to `body`, if there is
 * one, which has room for `length` bytes. */
int reply_parse(const char *bytes, uint64_t length, uint64_t piece, uint64_t most, char *body,
                struct parsed *parsed)
{
    struct reply reply = {0};
    enum progress progress = MORE;
    uint64_t taken = 0;
    while (progress == MORE && taken < length) {
        uint64_t part;
        if (!reply_room(&reply))
            break;
        part = reply.capacity - reply.length;
        if (part > piece)
            part = piece;
        if (part > length - taken)
            part = length - taken;
        memcpy(reply.data + reply.length, bytes + taken, part);
        reply.length += part;
        taken += part;
        progress = reply_advance(&reply, most);
    }
    if (progress == MORE)
        progress = reply_end(&reply);
    *parsed = (struct parsed){reply.body_length, reply.status, (uint8_t)progress,
                              (uint8_t)reply.flaw, reply.keep_alive, 0};
    if (progress == DONE)
        memcpy(body, reply.data + reply.body, reply.body_length);
    free(reply.data);
    return 0;
}
