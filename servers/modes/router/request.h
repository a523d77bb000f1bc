/* Where a request ends, for whom it is, and whether the connection stays. No system calls.
 *
 * Rule: the same bytes get the same verdict as from `servers.http.RequestParser`, which is the
 * reference: the same requests, and the same status where one is refused. Nothing depends on how
 * the bytes are cut into pieces. tests/servers/modes/router/fuzzing.py compares the two.
 *
 * A plain request, without a body, goes to a worker as it came. Any other is written anew, in the
 * form that has one meaning: without chunks, extensions and trailers (`canonical` in framing.py).
 */

#include <arpa/inet.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define LONGEST_TARGET (8 * 1024)
#define LONGEST_METHOD 32
#define BESIDE_A_TARGET 64 /* in a request line, so that this is never too long by itself */
#define MOST_EMPTY_LINES 10
#define MOST_DIGITS_OF_A_LENGTH 20
#define MOST_DIGITS_OF_A_SIZE 16
#define LONGEST_NAME 255 /* of a tenant, whose directory has it (NAME_MAX) */

/* Memory that grows. Without memory there is nothing left to do; the master starts another front. */

struct buffer {
    char *at;
    size_t length;
    size_t room;
};

static void make_room(struct buffer *buffer, size_t more)
{
    size_t room = buffer->room ? buffer->room : 256;

    if (buffer->length + more <= buffer->room)
        return;
    while (room < buffer->length + more)
        room *= 2;
    buffer->at = realloc(buffer->at, room);
    if (!buffer->at) {
        fputs("[front] there is no memory\n", stderr);
        exit(1);
    }
    buffer->room = room;
}

static void append(struct buffer *buffer, const char *bytes, size_t length)
{
    if (!length)
        return;
    make_room(buffer, length);
    memcpy(buffer->at + buffer->length, bytes, length);
    buffer->length += length;
}

static void append_text(struct buffer *buffer, const char *text)
{
    append(buffer, text, strlen(text));
}

static void append_number(struct buffer *buffer, uint64_t number)
{
    char digits[20];
    size_t place = sizeof digits;

    do
        digits[--place] = (char)('0' + number % 10);
    while (number /= 10);
    append(buffer, digits + place, sizeof digits - place);
}

/* Empty a buffer, and give its memory back where that is more than most requests need. */
static void empty(struct buffer *buffer, size_t most)
{
    buffer->length = 0;
    if (buffer->room > most) {
        free(buffer->at);
        buffer->at = NULL;
        buffer->room = 0;
    }
}

/* What a byte may be part of. */

enum {
    TEXT = 1,      /* RFC 9110, section 5.5 */
    TOKEN = 2,     /* RFC 9110, section 5.6.2 */
    IN_TARGET = 4, /* a fragment is never sent */
    DIGIT = 8,
    HEXADECIMAL = 16,
    IN_VERSION = 32,
    IN_NAME = 64 /* RFC 3986: unreserved characters and delimiters */
};

static unsigned char classes[256];

static void classify(const char *bytes, unsigned char class)
{
    while (*bytes)
        classes[(unsigned char)*bytes++] |= class;
}

static void classify_bytes(void)
{
    const char *letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    const char *digits = "0123456789";

    for (int byte = 0; byte < 256; byte++) {
        if (byte == '\t' || (byte >= 0x20 && byte != 0x7f))
            classes[byte] |= TEXT;
        if (byte > 0x20 && byte < 0x7f && byte != '#')
            classes[byte] |= IN_TARGET;
    }
    classify(letters, TOKEN | IN_NAME);
    classify(digits, TOKEN | IN_NAME | DIGIT | HEXADECIMAL | IN_VERSION);
    classify("!#$%&'*+-.^_`|~", TOKEN);
    classify("abcdefABCDEF", HEXADECIMAL);
    classify("HTP/.", IN_VERSION);
    classify("-._~!$&'()*+,;=", IN_NAME);
}

static inline bool is(char byte, unsigned char class)
{
    return classes[(unsigned char)byte] & class;
}

struct slice {
    const char *at;
    size_t length;
};

static bool all(struct slice text, unsigned char class)
{
    for (size_t place = 0; place < text.length; place++)
        if (!is(text.at[place], class))
            return false;
    return true;
}

static bool equals(struct slice text, const char *other)
{
    return text.length == strlen(other) && !memcmp(text.at, other, text.length);
}

static bool equals_in_any_case(struct slice text, const char *other)
{
    return text.length == strlen(other) && !strncasecmp(text.at, other, text.length);
}

static struct slice first(struct slice text, size_t most)
{
    return (struct slice){text.at, text.length < most ? text.length : most};
}

static bool is_blank(char byte)
{
    return byte == ' ' || byte == '\t';
}

static struct slice trimmed(struct slice text)
{
    while (text.length && is_blank(text.at[text.length - 1]))
        text.length--;
    while (text.length && is_blank(*text.at))
        text.at++, text.length--;
    return text;
}

/* Take from `text` what is before a mark, and leave what is behind; return whether there is one. */
static bool partition(struct slice *text, char mark, struct slice *before)
{
    const char *found = text->length ? memchr(text->at, mark, text->length) : NULL;

    *before = *text;
    if (!found) {
        *text = (struct slice){text->at + text->length, 0};
        return false;
    }
    before->length = (size_t)(found - text->at);
    text->at = found + 1;
    text->length -= before->length + 1;
    return true;
}

static size_t find_line_end(const char *at, size_t length)
{
    const char *found = length ? memmem(at, length, "\r\n", 2) : NULL;

    return found ? (size_t)(found - at) : SIZE_MAX;
}

/* What is refused, and why. A status of 0: nothing. */

struct refusal {
    int status;
    const char *text;
};

#define FINE ((struct refusal){0, NULL})
#define REFUSE(status, text)                                                                       \
    return (struct refusal) { status, text }
#define MUST(check)                                                                                \
    do {                                                                                           \
        struct refusal refusal_ = (check);                                                         \
        if (refusal_.status)                                                                       \
            return refusal_;                                                                       \
    } while (0)

/* Hosts (servers/http/authority.py). */

static bool is_name(struct slice host)
{
    for (size_t place = 0; place < host.length; place++) {
        if (host.at[place] != '%') {
            if (!is(host.at[place], IN_NAME))
                return false;
            continue;
        }
        if (host.length - place < 3 || !is(host.at[place + 1], HEXADECIMAL) ||
            !is(host.at[place + 2], HEXADECIMAL))
            return false;
        place += 2;
    }
    return true;
}

static bool is_port(struct slice port)
{
    unsigned number = 0;

    if (!all(port, DIGIT))
        return false;
    while (port.length && *port.at == '0')
        port.at++, port.length--;
    if (port.length > 5)
        return false;
    for (size_t place = 0; place < port.length; place++)
        number = number * 10 + (unsigned)(port.at[place] - '0');
    return number <= 65535;
}

/* What may stand in brackets: an IPv6 address, or one of a version to come. */
static bool is_literal(struct slice literal)
{
    char text[INET6_ADDRSTRLEN];
    struct in6_addr address;
    struct slice version;

    if (literal.length && (*literal.at == 'v' || *literal.at == 'V')) {
        literal.at++, literal.length--;
        if (!partition(&literal, '.', &version) || !version.length || !literal.length)
            return false;
        for (size_t place = 0; place < literal.length; place++)
            if (!is(literal.at[place], IN_NAME) && literal.at[place] != ':')
                return false;
        return all(version, HEXADECIMAL);
    }
    if (literal.length >= sizeof text)
        return false;
    for (size_t place = 0; place < literal.length; place++)
        if (!is(literal.at[place], HEXADECIMAL) && literal.at[place] != ':' &&
            literal.at[place] != '.')
            return false;
    memcpy(text, literal.at, literal.length);
    text[literal.length] = 0;
    return inet_pton(AF_INET6, text, &address) == 1;
}

static bool is_authority(struct slice value)
{
    struct slice host;

    if (value.length && *value.at == '[') {
        value.at++, value.length--;
        if (!partition(&value, ']', &host) || (value.length && *value.at != ':'))
            return false;
        if (value.length)
            value.at++, value.length--;
        return is_literal(host) && is_port(value);
    }
    partition(&value, ':', &host);
    return is_name(host) && is_port(value);
}

/* A head, as far as a front looks at it. The slices are parts of it. */

struct head {
    struct slice method;
    struct slice target;    /* a path and perhaps a query, or "*"; without the first slash if bare */
    struct slice authority; /* of a target in absolute form */
    struct slice host;
    struct slice length; /* Content-Length */
    bool is_bare;        /* the target has no path */
    bool is_star;
    bool is_one_one;
    bool has_host, has_length, has_coding, has_expect;
    bool has_close, has_keep_alive;
    bool has_upgrade, connects_upgrade;
    bool expects_other;
    unsigned codings, chunked;
    bool ends_chunked, ends_in_tab;
};

static size_t longest_target(size_t head_limit)
{
    size_t most = head_limit > BESIDE_A_TARGET ? head_limit - BESIDE_A_TARGET : 0;

    return most < LONGEST_TARGET ? most : LONGEST_TARGET;
}

/* Look at a request line, or the beginning of one, from left to right. */
static struct refusal check_first_line(struct slice line, size_t longest, bool *head_only)
{
    struct slice rest = line, method, target;
    bool space = partition(&rest, ' ', &method);

    *head_only = space && equals(method, "HEAD");
    partition(&rest, ' ', &target); /* `rest` is the version then */
    if (!all(first(method, LONGEST_METHOD), TOKEN) || (line.length && *line.at == ' '))
        REFUSE(400, "malformed request line");
    if (method.length > LONGEST_METHOD) /* RFC 9112, section 3 */
        REFUSE(501, "the method is too long");
    if (!all(first(target, longest), IN_TARGET))
        REFUSE(400, "malformed request target");
    if (target.length > longest)
        REFUSE(414, "the request target is too long");
    if (rest.length > 8 || !all(rest, IN_VERSION))
        REFUSE(400, "malformed request line");
    return FINE;
}

/* Split the target into authority and path (RFC 9112, section 3.2). */
static struct refusal take_absolute_form(struct head *head)
{
    const char *colon =
        head->target.length ? memmem(head->target.at, head->target.length, "://", 3) : NULL;
    struct slice scheme = {head->target.at, 0}, rest = {NULL, 0};
    size_t end = 0;

    if (!colon)
        REFUSE(400, "malformed request target: neither a path nor the URI of a host");
    scheme.length = (size_t)(colon - scheme.at);
    rest = (struct slice){colon + 3, head->target.length - scheme.length - 3};
    while (end < rest.length && rest.at[end] != '/' && rest.at[end] != '?')
        end++;
    head->authority = (struct slice){rest.at, end};
    if (!end || *rest.at == ':' || !is_authority(head->authority))
        REFUSE(400, "malformed request target: neither a path nor the URI of a host");
    if (equals_in_any_case(scheme, "https")) /* RFC 9110, section 7.4 */
        REFUSE(421, "this connection is not secured");
    if (!equals_in_any_case(scheme, "http"))
        REFUSE(400, "the request target has a scheme other than http");
    head->target = (struct slice){rest.at + end, rest.length - end};
    head->is_star = !head->target.length && equals(head->method, "OPTIONS"); /* section 3.2.4 */
    head->is_bare = !head->is_star && (!head->target.length || *head->target.at != '/');
    return FINE;
}

static struct refusal take_target(struct head *head)
{
    if (equals(head->method, "CONNECT"))
        REFUSE(501, "this server is not a proxy");
    if (head->target.length && *head->target.at == '/')
        return FINE;
    head->is_star = equals(head->target, "*") && equals(head->method, "OPTIONS");
    return head->is_star ? FINE : take_absolute_form(head);
}

/* Refuse a version that is not spoken here. */
static struct refusal take_version(struct head *head, struct slice version)
{
    head->is_one_one = equals(version, "HTTP/1.1");
    if (head->is_one_one || equals(version, "HTTP/1.0"))
        return FINE;
    if (version.length < 8 || memcmp(version.at, "HTTP/", 5) || version.at[6] != '.' ||
        !is(version.at[5], DIGIT) || !is(version.at[7], DIGIT))
        REFUSE(400, "malformed request line");
    REFUSE(505, "this server speaks HTTP/1.1 and HTTP/1.0");
}

static struct refusal take_first_line(struct head *head, struct slice line, size_t longest,
                                      bool *head_only)
{
    struct slice rest = line;
    bool complete;

    MUST(check_first_line(line, longest, head_only));
    complete = partition(&rest, ' ', &head->method);
    complete = partition(&rest, ' ', &head->target) && complete;
    if (!complete || (rest.length && memchr(rest.at, ' ', rest.length)))
        REFUSE(400, "malformed request line");
    MUST(take_target(head));
    return take_version(head, rest);
}

/* Look for control characters, bare CR and LF (RFC 9112, section 2.2), and at the size. */
static struct refusal check_bytes(const char *at, size_t length, size_t limit)
{
    size_t end = length < limit ? length : limit;

    for (size_t place = 0; place < end; place++) {
        bool is_good = is(at[place], TEXT);
        if (at[place] == '\r')
            is_good = place + 1 == end || at[place + 1] == '\n';
        else if (at[place] == '\n')
            is_good = place && at[place - 1] == '\r';
        if (!is_good)
            REFUSE(400, "malformed request: control characters in its head");
    }
    if (length > limit)
        REFUSE(431, "the request's head is too large");
    return FINE;
}

/* Go through the members of a list of tokens (RFC 9110, section 5.6.1); false at the end. */
static bool next_member(struct slice *list, struct slice *member)
{
    while (list->length) {
        partition(list, ',', member);
        *member = trimmed(*member);
        if (member->length)
            return true;
    }
    return false;
}

static void take_connection(struct head *head, struct slice value)
{
    struct slice member;

    while (next_member(&value, &member)) {
        head->has_close |= equals_in_any_case(member, "close");
        head->has_keep_alive |= equals_in_any_case(member, "keep-alive");
        head->connects_upgrade |= equals_in_any_case(member, "upgrade");
    }
}

static void take_expectation(struct head *head, struct slice value)
{
    struct slice member;

    head->has_expect = true;
    while (next_member(&value, &member))
        head->expects_other |= !equals_in_any_case(member, "100-continue");
}

static struct refusal take_codings(struct head *head, struct slice value)
{
    struct slice list = value, member = {NULL, 0};

    head->has_coding = true;
    if (!value.length)
        REFUSE(400, "malformed request: an empty Transfer-Encoding");
    while (next_member(&list, &member)) {
        head->codings++;
        head->ends_chunked = equals_in_any_case(member, "chunked");
        head->chunked += head->ends_chunked;
    }
    head->ends_in_tab = value.at[value.length] == '\t';
    if (value.at[value.length - 1] == ',')
        REFUSE(400, "malformed request: an unfinished Transfer-Encoding");
    return FINE;
}

static struct refusal take_field(struct head *head, struct slice name, struct slice value)
{
    if (equals_in_any_case(name, "host")) {
        if (head->has_host)
            REFUSE(400, "more than one Host header");
        head->has_host = true;
        head->host = value;
    } else if (equals_in_any_case(name, "connection")) {
        take_connection(head, value);
    } else if (equals_in_any_case(name, "expect")) {
        take_expectation(head, value);
    } else if (equals_in_any_case(name, "transfer-encoding")) {
        return take_codings(head, value);
    } else if (equals_in_any_case(name, "upgrade")) {
        head->has_upgrade = true;
    } else if (equals_in_any_case(name, "content-length")) {
        if (head->has_length)
            REFUSE(400, "malformed request: more than one Content-Length");
        head->has_length = true;
        head->length = value;
    }
    return FINE;
}

/* Take one field from a whole head; return where the next begins, NULL where this is none. */
static const char *next_field(const char *at, struct slice *name, struct slice *value)
{
    const char *end = at;

    /* The lines end somewhere, with bytes that are part of neither. */
    while (is(*end, TOKEN))
        end++;
    *name = (struct slice){at, (size_t)(end - at)};
    if (!name->length || *end != ':')
        return NULL;
    at = ++end;
    while (is(*end, TEXT))
        end++;
    if (end[0] != '\r' || end[1] != '\n')
        return NULL;
    *value = trimmed((struct slice){at, (size_t)(end - at)});
    return end + 2;
}

/* Take the fields between two places, the second of which is before the empty line. */
static struct refusal take_fields(struct head *head, const char *at, const char *end)
{
    struct slice name, value;
    struct refusal refusal = FINE;

    while (at < end) {
        at = next_field(at, &name, &value);
        if (!at)
            REFUSE(400, "malformed request: no header field");
        /* What is malformed elsewhere comes first: it makes all of it unreadable. */
        if (!refusal.status)
            refusal = take_field(head, name, value);
    }
    return refusal;
}

static struct refusal settle_host(struct head *head)
{
    if (!head->has_host && head->is_one_one) /* RFC 9112, section 3.2 */
        REFUSE(400, "no Host header");
    if (head->has_host && !is_authority(head->host))
        REFUSE(400, "malformed Host header");
    if (head->authority.at) /* section 3.2.2 */
        head->host = head->authority;
    return FINE;
}

static struct refusal check_length(const struct head *head)
{
    uint64_t size = 0;

    if (!head->length.length || !all(head->length, DIGIT) ||
        head->length.length > MOST_DIGITS_OF_A_LENGTH)
        REFUSE(400, "malformed Content-Length");
    for (size_t place = 0; place < head->length.length; place++) {
        unsigned digit = (unsigned)(head->length.at[place] - '0');
        if (size > (UINT64_MAX - digit) / 10)
            REFUSE(400, "malformed Content-Length");
        size = size * 10 + digit;
    }
    return FINE;
}

/* Refuse a framing that could be read in two ways (RFC 9112, sections 6.1 and 6.3). */
static struct refusal check_framing(const struct head *head)
{
    if (head->has_coding && (head->has_length || !head->is_one_one))
        REFUSE(400, "Transfer-Encoding with a Content-Length, or in HTTP/1.0");
    /* llhttp looks at less where an upgrade is offered; what is left is looked at below. */
    if (head->has_coding && !(head->has_upgrade && head->connects_upgrade) &&
        (!head->ends_chunked || head->ends_in_tab))
        REFUSE(400, "the last transfer coding must be chunked");
    if (head->has_length)
        return check_length(head);
    return FINE;
}

static bool keeps_alive(const struct head *head)
{
    return !head->has_close && (head->is_one_one || head->has_keep_alive);
}

/* A request being read from a connection. All zeros: none yet. */

enum step { MORE, WHOLE, REFUSED };

enum reading { IN_HEAD, IN_SIZED_BODY, IN_SIZE_LINE, IN_CHUNK, BEHIND_CHUNK, IN_TRAILERS };

struct limits {
    size_t head; /* in bytes */
    size_t body;
};

struct parser {
    enum reading reading;
    struct buffer held;  /* of a head that is not whole, or a line of a body in chunks */
    struct buffer head;  /* of a request whose body is being read */
    struct buffer body;
    size_t missing;      /* of a body, or of a chunk */
    size_t left;         /* what may come of a body in chunks */
    size_t left_beside;  /* and of its extensions and trailers */
    unsigned empty_lines;
    bool expects_continue;
    bool head_only; /* it must be answered without a body (RFC 9110, section 9.3.2) */
    bool keep;
    bool is_star;   /* the request is for the server itself */
    bool is_last;   /* of the connection: what comes behind it is not looked at */
    char tenant[LONGEST_NAME + 1]; /* whom the request is for, in lower case */
    struct buffer message; /* the request, for a worker */
    bool has_request;      /* it has come whole, by the last bytes */
    struct refusal refusal;
};

static bool is_mid_message(const struct parser *parser)
{
    return parser->held.length || parser->reading != IN_HEAD;
}

/* Note the first label of a host; one that is too long names nobody. */
static void note_tenant(struct parser *parser, struct slice host)
{
    size_t length = 0;

    while (length < host.length && host.at[length] != ':' && host.at[length] != '.')
        length++;
    if (length > LONGEST_NAME)
        length = 0;
    for (size_t place = 0; place < length; place++) {
        char byte = host.at[place];
        parser->tenant[place] = (char)(byte >= 'A' && byte <= 'Z' ? byte + ('a' - 'A') : byte);
    }
    parser->tenant[length] = 0;
}

static void append_field(struct buffer *out, struct slice name, struct slice value)
{
    append(out, name.at, name.length);
    append(out, ": ", 2);
    append(out, value.at, value.length);
    append(out, "\r\n", 2);
}

static void append_first_line(struct buffer *out, const struct head *head)
{
    append(out, head->method.at, head->method.length);
    append(out, head->is_bare ? " /" : " ", head->is_bare ? 2 : 1);
    append(out, head->target.at, head->target.length);
    append_text(out, head->is_one_one ? " HTTP/1.1\r\n" : " HTTP/1.0\r\n");
}

/* Write a request as there is one way to read it; `fields` is between two places of its head. */
static void write_anew(struct buffer *out, const struct head *head, const char *at,
                       const char *end, const struct buffer *body)
{
    struct slice name, value;

    append_first_line(out, head);
    while (at < end && (at = next_field(at, &name, &value))) {
        if (equals_in_any_case(name, "content-length") ||
            equals_in_any_case(name, "transfer-encoding"))
            continue;
        append_field(out, name, equals_in_any_case(name, "host") ? head->host : value);
    }
    if (head->authority.at && !head->has_host)
        append_field(out, (struct slice){"Host", 4}, head->host);
    if (head->has_length || head->has_coding) {
        append_text(out, "Content-Length: ");
        append_number(out, body->length);
        append(out, "\r\n", 2);
    }
    append(out, "\r\n", 2);
    append(out, body->at, body->length);
}

/* Read a whole head, with the empty line at its end. */
static struct refusal read_head(struct head *head, struct slice text, size_t limit,
                                const char **fields, bool *head_only)
{
    size_t line = find_line_end(text.at, text.length);

    MUST(take_first_line(head, (struct slice){text.at, line}, longest_target(limit), head_only));
    if (text.length > limit)
        return check_bytes(text.at, text.length, limit);
    *fields = text.at + line + 2;
    MUST(take_fields(head, *fields, text.at + text.length - 2));
    return check_framing(head);
}

/* The request is whole. */
static void complete(struct parser *parser, const struct head *head, struct slice text,
                     const char *fields)
{
    bool is_plain =
        !head->has_length && !head->has_coding && !head->has_expect && !head->authority.at;

    parser->message.length = 0;
    if (is_plain)
        append(&parser->message, text.at, text.length);
    else
        write_anew(&parser->message, head, fields, text.at + text.length - 2, &parser->body);
    parser->is_last = !parser->keep;
    parser->reading = IN_HEAD;
    parser->empty_lines = 0;
    parser->expects_continue = false;
    empty(&parser->held, 0);
    empty(&parser->head, 0);
    empty(&parser->body, 0);
}

/* See what follows a head: a body, perhaps, of which the client may wait to be asked for it. */
static struct refusal look_at_body(struct parser *parser, const struct limits *limits,
                                   const struct head *head)
{
    uint64_t size = 0;

    if (head->has_expect && head->is_one_one && head->expects_other) /* RFC 9110, 10.1.1 */
        REFUSE(417, "only 100-continue can be expected of this server");
    if (head->has_coding && (head->chunked != 1 || !head->ends_chunked))
        REFUSE(400, "the last transfer coding, and only the last, must be chunked");
    if (head->codings > 1)
        REFUSE(501, "no transfer coding but chunked is implemented");
    for (size_t place = 0; place < head->length.length; place++)
        size = size * 10 + (unsigned)(head->length.at[place] - '0');
    if (size > limits->body)
        REFUSE(413, "the request's body is too large");
    if (head->has_coding) {
        parser->reading = IN_SIZE_LINE;
        parser->left = limits->body;
        parser->left_beside = limits->head;
    } else if (size) {
        parser->reading = IN_SIZED_BODY;
        parser->missing = size;
    }
    parser->expects_continue =
        head->has_expect && head->is_one_one && parser->reading != IN_HEAD;
    return FINE;
}

static struct refusal take_whole_head(struct parser *parser, const struct limits *limits,
                                      struct slice text, bool *whole)
{
    struct head head = {0};
    const char *fields = NULL;

    MUST(read_head(&head, text, limits->head, &fields, &parser->head_only));
    MUST(settle_host(&head));
    MUST(look_at_body(parser, limits, &head));
    note_tenant(parser, head.host);
    parser->is_star = head.is_star;
    parser->keep = keeps_alive(&head);
    parser->head_only = equals(head.method, "HEAD");
    *whole = parser->reading == IN_HEAD;
    if (*whole)
        complete(parser, &head, text, fields);
    else
        append(&parser->head, text.at, text.length);
    return FINE;
}

/* The body has come: look at the head once more, which is known to be good. */
static void complete_with_body(struct parser *parser, const struct limits *limits)
{
    struct head head = {0};
    struct slice text = {parser->head.at, parser->head.length};
    const char *fields = NULL;
    bool head_only;

    read_head(&head, text, limits->head, &fields, &head_only);
    settle_host(&head);
    complete(parser, &head, text, fields);
}

/* Refuse a head that is wrong already. */
static struct refusal check_beginning(struct parser *parser, const struct limits *limits,
                                      struct slice text)
{
    size_t line = find_line_end(text.at, text.length);
    struct slice whole = text;
    struct head head = {0};

    if (line != SIZE_MAX) {
        MUST(take_first_line(&head, (struct slice){text.at, line}, longest_target(limits->head),
                             &parser->head_only));
    } else {
        if (text.length && text.at[text.length - 1] == '\r')
            text.length--;
        MUST(check_first_line(text, longest_target(limits->head), &parser->head_only));
    }
    return check_bytes(whole.at, whole.length, limits->head);
}

/* Pass by empty lines before a request (RFC 9112, section 2.2), not without end. */
static struct refusal pass_by_empty_lines(struct parser *parser, struct slice *text)
{
    while (text->length >= 2 && !memcmp(text->at, "\r\n", 2)) {
        if (++parser->empty_lines > MOST_EMPTY_LINES)
            REFUSE(400, "too many empty lines before the request");
        text->at += 2, text->length -= 2;
    }
    return FINE;
}

/* Read a head, as far as it has come. */
static struct refusal take_head(struct parser *parser, const struct limits *limits,
                                struct slice *data, bool *whole)
{
    struct slice text = *data;
    size_t scanned = parser->held.length;
    const char *end;

    if (scanned) {
        append(&parser->held, data->at, data->length);
        text = (struct slice){parser->held.at, parser->held.length};
    }
    MUST(pass_by_empty_lines(parser, &text));
    end = text.length ? memmem(text.at, text.length, "\r\n\r\n", 4) : NULL;
    if (!end) {
        MUST(check_beginning(parser, limits, text));
        if (!scanned) {
            append(&parser->held, text.at, text.length);
        } else { /* without the empty lines */
            memmove(parser->held.at, text.at, text.length);
            parser->held.length = text.length;
        }
        data->length = 0;
        return FINE;
    }
    /* What is behind the head came last. */
    size_t rest = (size_t)(text.at + text.length - (end + 4));
    data->at += data->length - rest;
    data->length = rest;
    text.length -= rest;
    MUST(take_whole_head(parser, limits, text, whole));
    empty(&parser->held, 0);
    return FINE;
}

/* A body in chunks (RFC 9112, section 7.1; servers/http/chunked.py). Each function takes a line, or
 * the beginning of one: what is wrong with a beginning is wrong with any line that begins so. */

/* Count what is thrown away. */
static struct refusal pass_by(struct parser *parser, struct slice text, bool whole)
{
    if (!all(first(text, parser->left_beside), TEXT))
        REFUSE(400, "malformed request: control characters");
    if (text.length > parser->left_beside)
        REFUSE(431, "the chunks' extensions and the trailers are too large");
    if (whole)
        parser->left_beside -= text.length;
    return FINE;
}

static uint64_t hexadecimal(struct slice digits)
{
    uint64_t number = 0;

    for (size_t place = 0; place < digits.length; place++) {
        char byte = digits.at[place];
        number = number * 16 + (unsigned)(is(byte, DIGIT) ? byte - '0' : (byte | 32) - 'a' + 10);
    }
    return number;
}

static struct refusal take_size_line(struct parser *parser, struct slice line, bool whole)
{
    struct slice rest = line, number, digits;
    bool semicolon = partition(&rest, ';', &number);
    uint64_t size;

    digits = number;
    while (digits.length && is_blank(digits.at[digits.length - 1]))
        digits.length--;
    if (!all(digits, HEXADECIMAL) || digits.length > MOST_DIGITS_OF_A_SIZE)
        REFUSE(400, "malformed request: malformed chunk size");
    MUST(pass_by(parser,
                 (struct slice){line.at + digits.length, line.length - digits.length}, whole));
    if (!whole)
        return FINE;
    if (!digits.length || (number.length != digits.length && !semicolon))
        REFUSE(400, "malformed request: malformed chunk size");
    size = hexadecimal(digits);
    if (size > parser->left)
        REFUSE(413, "the request's body is too large");
    parser->left -= size;
    parser->missing = size;
    parser->reading = size ? IN_CHUNK : IN_TRAILERS;
    return FINE;
}

static struct refusal take_trailer(struct parser *parser, struct slice line, bool whole,
                                   bool *complete)
{
    struct slice rest = line, name;
    bool colon = partition(&rest, ':', &name);

    if (!all(first(name, parser->left_beside), TOKEN) ||
        (line.length && (!name.length || (whole && !colon))))
        REFUSE(400, "malformed request: no trailer");
    MUST(pass_by(parser, line, whole));
    *complete = whole && !line.length;
    return FINE;
}

static struct refusal take_line(struct parser *parser, struct slice line, bool whole,
                                bool *complete)
{
    if (parser->reading == IN_SIZE_LINE)
        return take_size_line(parser, line, whole);
    if (parser->reading == IN_TRAILERS)
        return take_trailer(parser, line, whole, complete);
    if (line.length)
        REFUSE(400, "malformed request: a chunk longer than its size");
    if (whole)
        parser->reading = IN_SIZE_LINE;
    return FINE;
}

/* Take a line of a body in chunks, as far as it has come. */
static struct refusal take_some_line(struct parser *parser, struct slice *data, bool *complete)
{
    const char *end = memchr(data->at, '\n', data->length);
    struct slice line = {data->at, end ? (size_t)(end + 1 - data->at) : data->length};

    data->at += line.length, data->length -= line.length;
    if (parser->held.length) {
        append(&parser->held, line.at, line.length);
        line = (struct slice){parser->held.at, parser->held.length};
    }
    if (line.length >= 2 && !memcmp(line.at + line.length - 2, "\r\n", 2)) {
        line.length -= 2;
        MUST(take_line(parser, line, true, complete));
        parser->held.length = 0;
        return FINE;
    }
    if (!parser->held.length)
        append(&parser->held, line.at, line.length);
    if (line.at[line.length - 1] == '\r')
        line.length--;
    return take_line(parser, line, false, complete);
}

static void take_content(struct parser *parser, struct slice *data)
{
    size_t length = data->length < parser->missing ? data->length : parser->missing;

    append(&parser->body, data->at, length);
    parser->missing -= length;
    data->at += length, data->length -= length;
}

static struct refusal take_body(struct parser *parser, struct slice *data, bool *complete)
{
    parser->expects_continue = false; /* RFC 9110, section 10.1.1: some of it is here */
    while (data->length && !*complete) {
        if (parser->reading == IN_SIZED_BODY) {
            take_content(parser, data);
            *complete = !parser->missing;
        } else if (parser->reading == IN_CHUNK) {
            take_content(parser, data);
            if (!parser->missing)
                parser->reading = BEHIND_CHUNK;
        } else {
            MUST(take_some_line(parser, data, complete));
        }
    }
    return FINE;
}

/* Take bytes of the connection, up to the end of the request that they complete.
 *
 * `data` is left with what has not been looked at. After WHOLE the request is in `message`; after
 * REFUSED the connection is of no more use. */
static enum step feed(struct parser *parser, const struct limits *limits, struct slice *data)
{
    bool whole = false;

    parser->has_request = false;
    while (data->length && !parser->is_last) {
        bool in_body = parser->reading != IN_HEAD;
        parser->refusal = in_body ? take_body(parser, data, &whole)
                                  : take_head(parser, limits, data, &whole);
        if (parser->refusal.status)
            return REFUSED;
        if (whole && in_body)
            complete_with_body(parser, limits);
        parser->has_request = whole;
        if (whole)
            return WHOLE;
    }
    return MORE;
}

static void free_parser(struct parser *parser)
{
    free(parser->held.at);
    free(parser->head.at);
    free(parser->body.at);
    free(parser->message.at);
}
