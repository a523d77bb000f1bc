/* The parsers of the C front, fed from the standard input, for fuzzing.py: see there.
 *
 * A case: kind (1 byte), flags (1 byte), number of pieces, and each piece, its length first. All
 * numbers have 4 bytes. Each piece is in memory of its own size, so that a sanitizer sees who reads
 * beyond it. */
#define _GNU_SOURCE
#include "request.h"

#include "answer.h"

static const struct limits limits = {HEAD_LIMIT, BODY_LIMIT};

static void write_number(uint32_t number)
{
    fwrite(&number, sizeof number, 1, stdout);
}

static void write_bytes(const char *at, size_t length)
{
    write_number((uint32_t)length);
    fwrite(at, 1, length, stdout);
}

static uint32_t read_number(void)
{
    uint32_t number;

    if (fread(&number, sizeof number, 1, stdin) != 1)
        exit(0);
    return number;
}

static struct slice read_piece(void)
{
    size_t length = read_number();
    char *at = malloc(length ? length : 1);

    if (!at || fread(at, 1, length, stdin) != length)
        exit(2);
    return (struct slice){at, length};
}

static void write_request(const struct parser *parser)
{
    putchar('R');
    putchar(parser->keep | parser->head_only << 1 | parser->is_star << 2);
    write_bytes(parser->tenant, strlen(parser->tenant));
    write_bytes(parser->message.at, parser->message.length);
}

/* Feed a piece as the front does, which looks at what is left once more. */
static bool feed_piece(struct parser *parser, struct slice piece)
{
    struct slice left = piece;
    enum step step;

    while ((step = feed(parser, &limits, &left)) == WHOLE)
        write_request(parser);
    return step != REFUSED;
}

static void try_requests(uint32_t pieces)
{
    struct parser parser = {0};
    bool goes_on = true;

    while (pieces--) {
        struct slice piece = read_piece();
        goes_on = goes_on && feed_piece(&parser, piece);
        free((char *)piece.at);
    }
    if (goes_on) {
        putchar('M');
        putchar(is_mid_message(&parser) | parser.expects_continue << 1);
    } else {
        putchar('X');
        write_number((uint32_t)parser.refusal.status);
    }
    free_parser(&parser);
}

static void try_answer(int flags)
{
    struct slice printed = read_piece(), body;
    struct response response;
    struct buffer out = {0};

    putchar('A');
    if (read_printed(&response, printed)) {
        write_number(0);
        write_bytes("", 0);
    } else {
        append_head(&out, &response, flags & 1);
        append_length(&out, &response, flags & 2, &body);
        append(&out, body.at, body.length);
        write_number((uint32_t)response.status);
        write_bytes(out.at, out.length);
    }
    free(out.at);
    free((char *)printed.at);
}

int main(void)
{
    int kind;

    classify_bytes();
    while ((kind = getchar()) != EOF) {
        int flags = getchar();
        uint32_t pieces = read_number();
        if (kind == 'Q')
            try_requests(pieces);
        else
            try_answer(flags);
        putchar('.');
    }
    return 0;
}
