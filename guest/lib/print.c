/*
 * Output on COM1, polled, and the few formats that guest programs need: %s %c %d %u %x %p with
 * width, zero padding, '-', and the lengths l, ll and z.
 * PC16550D data sheet, "Line Status Register", "Programmable Baud Generator".
 */
#include "guest_internal.h"

#define COM1 0x3f8u
#define LSR (COM1 + 5)
#define LSR_THRE 0x20u
#define POLLS_MAX 200000u

static void put_byte(char c)
{
    for (unsigned i = 0; i < POLLS_MAX && !(inb(LSR) & LSR_THRE); i++)
        pause();
    outb(COM1, (uint8_t)c);
}

/* 115,200 baud, 8 data bits, no parity, one stop bit; FIFOs on, no interrupts. */
void guest_console_init(void)
{
    outb(COM1 + 1, 0);
    outb(COM1 + 3, 0x80);
    outb(COM1, 1);
    outb(COM1 + 1, 0);
    outb(COM1 + 3, 0x03);
    outb(COM1 + 2, 0x07);
    outb(COM1 + 4, 0x03);
}

void guest_putc(char c)
{
    if (c == '\n')
        put_byte('\r');
    put_byte(c);
}

struct conversion {
    unsigned width;
    bool zero, left, wide;
};

static void put_padded(const char *text, size_t length, const struct conversion *c)
{
    size_t pad = c->width > length ? c->width - length : 0;

    for (size_t i = 0; !c->left && i < pad; i++)
        guest_putc(c->zero ? '0' : ' ');
    for (size_t i = 0; i < length; i++)
        guest_putc(text[i]);
    for (size_t i = 0; c->left && i < pad; i++)
        guest_putc(' ');
}

static void put_number(uint64_t value, unsigned base, bool negative, const struct conversion *c)
{
    char text[24];
    size_t at = sizeof(text);

    do {
        text[--at] = "0123456789abcdef"[value % base];
        value /= base;
    } while (value);
    if (negative)
        text[--at] = '-';
    put_padded(&text[at], sizeof(text) - at, c);
}

static const char *parse_conversion(const char *p, struct conversion *c)
{
    *c = (struct conversion){ 0, false, false, false };
    for (; *p == '0' || *p == '-'; p++) {
        if (*p == '0')
            c->zero = true;
        else
            c->left = true;
    }
    for (; *p >= '0' && *p <= '9'; p++)
        c->width = c->width * 10 + (unsigned)(*p - '0');
    for (; *p == 'l' || *p == 'z'; p++)
        c->wide = true;
    return p;
}

static const char *put_conversion(const char *p, va_list *args)
{
    struct conversion c;
    int64_t value;
    const char *text;
    char one;

    p = parse_conversion(p, &c);
    switch (*p) {
    case 'd':
        value = c.wide ? va_arg(*args, int64_t) : va_arg(*args, int);
        put_number(value < 0 ? 0 - (uint64_t)value : (uint64_t)value, 10, value < 0, &c);
        break;
    case 'u':
    case 'x':
        put_number(c.wide ? va_arg(*args, uint64_t) : va_arg(*args, unsigned),
                   *p == 'u' ? 10 : 16, false, &c);
        break;
    case 'p':
        put_number(va_arg(*args, uint64_t), 16, false, &c);
        break;
    case 's':
        text = va_arg(*args, const char *);
        put_padded(text, strlen(text), &c);
        break;
    case 'c':
        one = (char)va_arg(*args, int);
        put_padded(&one, 1, &c);
        break;
    case '%':
        guest_putc('%');
        break;
    default:
        guest_putc('?');
        return p;
    }
    return p + 1;
}

void guest_vprint(const char *format, va_list args)
{
    va_list copy;

    va_copy(copy, args);
    while (*format) {
        if (*format == '%')
            format = put_conversion(format + 1, &copy);
        else
            guest_putc(*format++);
    }
    va_end(copy);
}

void guest_print(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    guest_vprint(format, args);
    va_end(args);
}
