/*
 * Formatted output: the subset of ISO C17 "The fprintf function" that hv/format.h names.
 * Pure, no lock. Not here: floating point, wide characters, %n.
 */
#include "hv/format.h"

#include "hv/string.h"

/* Where the text goes: what does not fit is only counted. */
struct output {
    char *text;
    size_t bytes;
    size_t length;
};

struct conversion {
    bool left, zero, alternate, plus, space;
    unsigned width;
    int precision; /* negative: none was given */
    unsigned size_bytes;
    char kind;
};

static void put_char(struct output *out, char c)
{
    if (out->length < out->bytes)
        out->text[out->length] = c;
    out->length++;
}

static void put_text(struct output *out, const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++)
        put_char(out, text[i]);
}

static void put_padding(struct output *out, char c, size_t count)
{
    size_t room = out->length < out->bytes ? out->bytes - out->length : 0;
    if (room)
        memset(out->text + out->length, c, count < room ? count : room);
    out->length += count;
}

/* Prefix (sign, 0x), zeros, body, each side padded to the width. */
static void put_field(struct output *out, const struct conversion *c, const char *prefix,
                      size_t zeros, const char *body, size_t body_length)
{
    size_t length = strlen(prefix) + zeros + body_length;
    size_t padding = c->width > length ? c->width - length : 0;
    if (!c->left)
        put_padding(out, ' ', padding);
    put_text(out, prefix, strlen(prefix));
    put_padding(out, '0', zeros);
    put_text(out, body, body_length);
    if (c->left)
        put_padding(out, ' ', padding);
}

/* Digits of `value`, right-aligned in `digits`; returns where they start. None for 0. */
static char *make_digits(char *end, uint64_t value, unsigned base, bool upper)
{
    const char *alphabet = upper ? "0123456789ABCDEF" : "0123456789abcdef";
    for (; value; value /= base)
        *--end = alphabet[value % base];
    return end;
}

static void put_number(struct output *out, const struct conversion *c, const char *prefix,
                       uint64_t value, unsigned base)
{
    char digits[24];
    char *end = digits + sizeof(digits);
    const char *start = make_digits(end, value, base, c->kind == 'X');
    size_t length = (size_t)(end - start);
    size_t least = c->precision < 0 ? 1 : (size_t)c->precision;
    if (base == 8 && c->alternate && length >= least)
        least = length + 1;
    if (c->precision < 0 && c->zero && !c->left && c->width > strlen(prefix) + least)
        least = c->width - strlen(prefix);
    put_field(out, c, prefix, length < least ? least - length : 0, start, length);
}

static uint64_t next_unsigned(const struct conversion *c, va_list *args)
{
    if (c->size_bytes == 8)
        return va_arg(*args, uint64_t);
    return va_arg(*args, unsigned) & (UINT32_MAX >> (32 - 8 * c->size_bytes));
}

static void put_signed(struct output *out, const struct conversion *c, va_list *args)
{
    unsigned shift = 64 - 8 * c->size_bytes;
    int64_t value = (int64_t)(next_unsigned(c, args) << shift) >> shift;
    const char *prefix = value < 0 ? "-" : c->plus ? "+" : c->space ? " " : "";
    put_number(out, c, prefix, value < 0 ? 0 - (uint64_t)value : (uint64_t)value, 10);
}

static void put_hexadecimal(struct output *out, const struct conversion *c, va_list *args)
{
    uint64_t value = next_unsigned(c, args);
    const char *prefix = !c->alternate || value == 0 ? "" : c->kind == 'X' ? "0X" : "0x";
    put_number(out, c, prefix, value, 16);
}

static void put_string(struct output *out, const struct conversion *c, const char *text)
{
    if (!text)
        text = "(null)";
    size_t length = c->precision < 0 ? strlen(text) : strnlen(text, (size_t)c->precision);
    put_field(out, c, "", 0, text, length);
}

/* False: the conversion is not one of ours, and took no argument. */
static bool put_conversion(struct output *out, struct conversion *c, va_list *args)
{
    char character;
    switch (c->kind) {
    case 'd':
    case 'i':
        put_signed(out, c, args);
        return true;
    case 'u':
        put_number(out, c, "", next_unsigned(c, args), 10);
        return true;
    case 'o':
        put_number(out, c, "", next_unsigned(c, args), 8);
        return true;
    case 'x':
    case 'X':
        put_hexadecimal(out, c, args);
        return true;
    case 'p':
        put_number(out, c, "0x", (uintptr_t)va_arg(*args, void *), 16);
        return true;
    case 'c':
        character = (char)va_arg(*args, int);
        put_field(out, c, "", 0, &character, 1);
        return true;
    case 's':
        put_string(out, c, va_arg(*args, const char *));
        return true;
    case '%':
        put_char(out, '%');
        return true;
    default:
        return false;
    }
}

static const char *parse_flags(const char *at, struct conversion *c)
{
    for (;; at++) {
        switch (*at) {
        case '-': c->left = true; break;
        case '0': c->zero = true; break;
        case '#': c->alternate = true; break;
        case '+': c->plus = true; break;
        case ' ': c->space = true; break;
        default: return at;
        }
    }
}

/* A decimal number, or '*' for an argument. Too large a number stops at INT_MAX. */
static const char *parse_number(const char *at, va_list *args, int *number)
{
    if (*at == '*') {
        *number = va_arg(*args, int);
        return at + 1;
    }
    *number = 0;
    for (; *at >= '0' && *at <= '9'; at++)
        *number = *number > (INT_MAX - 9) / 10 ? INT_MAX : *number * 10 + (*at - '0');
    return at;
}

static const char *parse_width(const char *at, struct conversion *c, va_list *args)
{
    int width;
    at = parse_number(at, args, &width);
    if (width < 0)
        c->left = true;
    c->width = width < 0 ? 0u - (unsigned)width : (unsigned)width;
    return at;
}

static const char *parse_length(const char *at, struct conversion *c)
{
    c->size_bytes = sizeof(int);
    switch (*at) {
    case 'h':
        c->size_bytes = at[1] == 'h' ? sizeof(char) : sizeof(short);
        return at[1] == 'h' ? at + 2 : at + 1;
    case 'l':
        c->size_bytes = sizeof(uint64_t);
        return at[1] == 'l' ? at + 2 : at + 1;
    case 'z':
    case 'j':
    case 't':
        c->size_bytes = sizeof(uint64_t);
        return at + 1;
    default:
        return at;
    }
}

/* `at` stands behind the '%'. Returns what follows the conversion. */
static const char *format_one(struct output *out, const char *at, va_list *args)
{
    struct conversion c = { .precision = -1 };
    const char *start = at - 1;
    at = parse_flags(at, &c);
    at = parse_width(at, &c, args);
    if (*at == '.')
        at = parse_number(at + 1, args, &c.precision);
    at = parse_length(at, &c);
    c.kind = *at;
    if (put_conversion(out, &c, args))
        return at + 1;
    if (*at)
        at++;
    put_text(out, start, (size_t)(at - start));
    return at;
}

int hv_vsnprintf(char *out, size_t bytes, const char *format, va_list args)
{
    struct output output = { .text = out, .bytes = bytes };
    va_list copy;
    va_copy(copy, args);
    while (*format) {
        if (*format == '%')
            format = format_one(&output, format + 1, &copy);
        else
            put_char(&output, *format++);
    }
    va_end(copy);
    if (bytes)
        out[output.length < bytes ? output.length : bytes - 1] = '\0';
    return output.length > INT_MAX ? INT_MAX : (int)output.length;
}

int hv_snprintf(char *out, size_t bytes, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int length = hv_vsnprintf(out, bytes, format, args);
    va_end(args);
    return length;
}
