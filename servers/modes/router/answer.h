/* What a script printed in, an HTTP response out. No system calls.
 *
 * As `parse_output` in servers/interpreter/embedded.py and `render` in servers/http have it, which
 * are the reference: byte for byte the same response, or the same status where it is none. */

#define LONGEST_PRINTED_HEAD (1024 * 1024)

struct response {
    int status;
    struct slice reason; /* as the script gives it, or nothing */
    struct slice lines;  /* its header */
    struct slice body;
    struct slice said_length; /* Content-Length, as the script gives it */
};

/* RFC 9110, and the IANA's registry of status codes. */
static const char *reason_of(int status)
{
    static const struct {
        int status;
        const char *phrase;
    } reasons[] = {
        {200, "OK"},
        {201, "Created"},
        {202, "Accepted"},
        {203, "Non-Authoritative Information"},
        {204, "No Content"},
        {205, "Reset Content"},
        {206, "Partial Content"},
        {207, "Multi-Status"},
        {208, "Already Reported"},
        {226, "IM Used"},
        {300, "Multiple Choices"},
        {301, "Moved Permanently"},
        {302, "Found"},
        {303, "See Other"},
        {304, "Not Modified"},
        {305, "Use Proxy"},
        {307, "Temporary Redirect"},
        {308, "Permanent Redirect"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {402, "Payment Required"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {406, "Not Acceptable"},
        {407, "Proxy Authentication Required"},
        {408, "Request Timeout"},
        {409, "Conflict"},
        {410, "Gone"},
        {411, "Length Required"},
        {412, "Precondition Failed"},
        {413, "Content Too Large"},
        {414, "URI Too Long"},
        {415, "Unsupported Media Type"},
        {416, "Range Not Satisfiable"},
        {417, "Expectation Failed"},
        {418, "I'm a Teapot"},
        {421, "Misdirected Request"},
        {422, "Unprocessable Content"},
        {423, "Locked"},
        {424, "Failed Dependency"},
        {425, "Too Early"},
        {426, "Upgrade Required"},
        {428, "Precondition Required"},
        {429, "Too Many Requests"},
        {431, "Request Header Fields Too Large"},
        {451, "Unavailable For Legal Reasons"},
        {500, "Internal Server Error"},
        {501, "Not Implemented"},
        {502, "Bad Gateway"},
        {503, "Service Unavailable"},
        {504, "Gateway Timeout"},
        {505, "HTTP Version Not Supported"},
        {506, "Variant Also Negotiates"},
        {507, "Insufficient Storage"},
        {508, "Loop Detected"},
        {510, "Not Extended"},
        {511, "Network Authentication Required"},
    };

    for (size_t place = 0; place < sizeof reasons / sizeof *reasons; place++)
        if (reasons[place].status == status)
            return reasons[place].phrase;
    return "Unknown";
}

static bool has_no_content(int status)
{
    return status == 204 || status == 205 || status == 304;
}

/* What a script may say once (RFC 3875, section 6.3; RFC 9110, section 8.6). */
enum { CONTENT_TYPE, LOCATION, STATUS, CONTENT_LENGTH, SINGLES };

static const char *const singles[] = {"content-type", "location", "status", "content-length"};

/* Return which of them a name is, SINGLES for none. */
static int single_of(struct slice name)
{
    int kind = 0;

    while (kind < SINGLES && !equals_in_any_case(name, singles[kind]))
        kind++;
    return kind;
}

/* What the server says, not a script (RFC 9112, section 9.6; RFC 3875, section 6.3). */
static bool is_the_servers(struct slice name)
{
    static const char *const names[] = {"connection", "content-length", "date", "keep-alive",
                                        "proxy-connection", "trailer", "transfer-encoding",
                                        "upgrade", "status"};

    for (size_t place = 0; place < sizeof names / sizeof *names; place++)
        if (equals_in_any_case(name, names[place]))
            return true;
    return false;
}

/* Split at the first empty line. Either of the two line ends may be CR LF or LF. */
static bool split_printed(struct slice printed, struct slice *lines, struct slice *body)
{
    const char *at = printed.at, *end = printed.at + printed.length;

    while (at < end && (at = memchr(at, '\n', (size_t)(end - at)))) {
        size_t gap = 0;
        if (end - at >= 2 && at[1] == '\n')
            gap = 2;
        else if (end - at >= 3 && at[1] == '\r' && at[2] == '\n')
            gap = 3;
        if (gap) {
            *lines = (struct slice){printed.at, (size_t)(at - printed.at)};
            *body = (struct slice){at + gap, (size_t)(end - at) - gap};
            if (lines->length && at[-1] == '\r')
                lines->length--;
            return true;
        }
        at++;
    }
    return false;
}

/* Take one line of a printed header; false at the end. */
static bool next_line(struct slice *lines, struct slice *line)
{
    if (!lines->at)
        return false;
    if (!partition(lines, '\n', line))
        lines->at = NULL;
    if (line->length && line->at[line->length - 1] == '\r')
        line->length--;
    return true;
}

static bool read_line(struct slice line, struct slice *name, struct slice *value)
{
    *value = line;
    if (!partition(value, ':', name) || !name->length || !all(*name, TOKEN) || !all(*value, TEXT))
        return false;
    *value = trimmed(*value);
    return true;
}

static const char *read_status(struct response *response, struct slice value)
{
    struct slice code;

    response->reason = value;
    partition(&response->reason, ' ', &code);
    response->reason = trimmed(response->reason);
    if (code.length != 3 || !all(code, DIGIT) || *code.at < '2' || *code.at > '5')
        return "malformed Status from the script";
    response->status = (code.at[0] - '0') * 100 + (code.at[1] - '0') * 10 + code.at[2] - '0';
    return NULL;
}

static const char *read_singles(struct response *response, const struct slice *found)
{
    struct slice length = found[CONTENT_LENGTH];
    bool has_type;

    if (!found[CONTENT_TYPE].at && !found[LOCATION].at && !found[STATUS].at)
        return "the script's header has neither Content-Type, Location nor Status";
    for (int kind = 0; kind < SINGLES; kind++)
        if (found[kind].at && !found[kind].length)
            return "a field of the script's header is empty";
    if (length.at && (!all(length, DIGIT) || length.length > MOST_DIGITS_OF_A_LENGTH))
        return "malformed Content-Length from the script";
    response->said_length = length;
    response->status = found[LOCATION].at ? 302 : 200;
    if (found[STATUS].at) {
        const char *wrong = read_status(response, found[STATUS]);
        if (wrong)
            return wrong;
    }
    has_type = found[CONTENT_TYPE].at || found[LOCATION].at;
    if (response->body.length && !has_type && !has_no_content(response->status))
        return "the script printed a body without a Content-Type";
    return NULL;
}

/* Read what a script printed (RFC 3875, section 6); return what is wrong with it, or NULL. */
static const char *read_printed(struct response *response, struct slice printed)
{
    struct slice found[SINGLES] = {{NULL, 0}}, lines, line, name, value;

    memset(response, 0, sizeof *response);
    if (!split_printed(printed, &response->lines, &response->body))
        return "the script ended without printing a complete header";
    if (response->lines.length > LONGEST_PRINTED_HEAD)
        return "the script's header is too long";
    for (lines = response->lines; next_line(&lines, &line);) {
        if (!read_line(line, &name, &value))
            return "malformed header from the script";
        int kind = single_of(name);
        if (kind < SINGLES && found[kind].at)
            return "the script's header has a field twice";
        if (kind < SINGLES)
            found[kind] = value;
    }
    return read_singles(response, found);
}

/* Append the head of a response but for Date and what is behind it. */
static void append_head(struct buffer *out, const struct response *response, bool keep)
{
    struct slice lines = response->lines, line, name, value;

    append_text(out, "HTTP/1.1 ");
    append_number(out, (uint64_t)response->status);
    append(out, " ", 1);
    if (response->reason.length)
        append(out, response->reason.at, response->reason.length);
    else
        append_text(out, reason_of(response->status));
    append(out, "\r\n", 2);
    while (response->lines.length && next_line(&lines, &line))
        if (read_line(line, &name, &value) && !is_the_servers(name))
            append_field(out, name, value);
    append_text(out, keep ? "Connection: keep-alive\r\n" : "Connection: close\r\n");
}

/* Append the end of a head, of which `body` is left with what follows it. */
static void append_length(struct buffer *out, const struct response *response, bool head_only,
                          struct slice *body)
{
    *body = (struct slice){NULL, 0};
    if (response->status == 205) { /* RFC 9110, section 15.3.6 */
        append_text(out, "Content-Length: 0\r\n");
    } else if (!has_no_content(response->status)) {
        if (!head_only || response->body.length) {
            append_text(out, "Content-Length: ");
            append_number(out, response->body.length);
            append(out, "\r\n", 2);
        } else if (response->said_length.at) { /* RFC 9110, section 8.6 */
            append_field(out, (struct slice){"Content-Length", 14}, response->said_length);
        }
        if (!head_only)
            *body = response->body;
    }
    append(out, "\r\n", 2);
}
