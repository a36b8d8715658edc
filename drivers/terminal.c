/*
 * A terminal's input: bytes to characters, controls and sequences.
 *
 * Not here: what a control sequence does (terminal_csi.c), the grid (terminal_grid.c). Pure.
 * Lock: the caller's.
 * ECMA-48, "Control functions"; Unicode standard, "UTF-8"; DEC VT100 user guide, "Character Sets".
 */
#include "drivers/terminal_grid.h"

#include "hv/string.h"

#define REPLACEMENT 0xfffd
#define PARAMETER_MOST 9999
#define TAB_STEP 8

/* Everything as at the start, but the lines that have left the grid. */
static void begin(struct terminal *terminal)
{
    terminal->top = 0;
    terminal->bottom = terminal->rows - 1;
    terminal->insert = false;
    terminal->state = TERMINAL_GROUND;
    terminal->utf8_left = 0;
    terminal->autowrap = terminal->cursor_visible = true;
    terminal->last_code = ' ';
    terminal->pen = (struct terminal_pen){ .foreground = TERMINAL_DEFAULT_FOREGROUND,
                                           .background = TERMINAL_DEFAULT_BACKGROUND };
    terminal->saved = terminal->pen;
    for (uint32_t column = 0; column < terminal->columns; column++)
        terminal->tab[column] = column % TAB_STEP == 0;
    for (uint32_t row = 0; row < terminal->rows; row++)
        grid_erase(terminal, row, 0, terminal->columns);
}

static uint32_t in_range(uint32_t value, uint32_t most)
{
    if (value < 2)
        return 2;
    return value < most ? value : most;
}

void terminal_init(struct terminal *terminal, uint32_t columns, uint32_t rows,
                   struct terminal_cell *cells, size_t cell_count)
{
    memset(terminal, 0, sizeof(*terminal));
    terminal->columns = in_range(columns, TERMINAL_MOST_COLUMNS);
    terminal->rows = in_range(rows, TERMINAL_MOST_ROWS);
    terminal->lines = cells;
    terminal->line_count = (uint32_t)hv_min_u64(cell_count / terminal->columns, UINT32_MAX / 2);
    begin(terminal);
}

/* DEC special graphics: 0x60 to 0x7e are lines and symbols. */
static uint16_t graphics_of(uint16_t code)
{
    static const uint16_t graphics[31] = {
        0x25c6, 0x2592, 0x2409, 0x240c, 0x240d, 0x240a, 0x00b0, 0x00b1, 0x2424, 0x240b, 0x2518,
        0x2510, 0x250c, 0x2514, 0x253c, 0x23ba, 0x23bb, 0x2500, 0x23bc, 0x23bd, 0x251c, 0x2524,
        0x2534, 0x252c, 0x2502, 0x2264, 0x2265, 0x03c0, 0x2260, 0x00a3, 0x00b7,
    };
    return code >= 0x60 && code <= 0x7e ? graphics[code - 0x60] : code;
}

static void put_code(struct terminal *t, uint32_t code)
{
    if (code > 0xffff || (code >= 0xd800 && code <= 0xdfff))
        code = REPLACEMENT;
    if (t->pen.graphics[t->pen.charset])
        code = graphics_of((uint16_t)code);
    grid_put(t, (uint16_t)code);
}

static void begin_sequence(struct terminal *t, uint32_t value, uint8_t left)
{
    t->utf8_value = value;
    t->utf8_left = left;
}

/* One byte of text at or above 0x80. A sequence that breaks off shows as one replacement. */
static void put_utf8(struct terminal *t, uint8_t byte)
{
    if ((byte & 0xc0) == 0x80) {
        if (t->utf8_left == 0) {
            put_code(t, REPLACEMENT);
            return;
        }
        t->utf8_value = t->utf8_value << 6 | (byte & 0x3f);
        if (--t->utf8_left == 0)
            put_code(t, t->utf8_value);
        return;
    }
    if (t->utf8_left > 0)
        put_code(t, REPLACEMENT);
    begin_sequence(t, 0, 0);
    if (byte >= 0xc2 && byte <= 0xdf)
        begin_sequence(t, byte & 0x1f, 1);
    else if ((byte & 0xf0) == 0xe0)
        begin_sequence(t, byte & 0x0f, 2);
    else if (byte >= 0xf0 && byte <= 0xf4)
        begin_sequence(t, byte & 0x07, 3);
    else
        put_code(t, REPLACEMENT);
}

static void tabulate(struct terminal *t)
{
    uint32_t column = t->pen.column + 1;
    while (column < t->columns && !t->tab[column])
        column++;
    grid_move_to(t, t->pen.row, column);
}

static void control(struct terminal *t, uint8_t byte)
{
    switch (byte) {
    case '\b':
        grid_move_to(t, t->pen.row, t->pen.column > 0 ? t->pen.column - 1 : 0);
        break;
    case '\t':
        tabulate(t);
        break;
    case '\n':
    case '\v':
    case '\f':
        grid_line_feed(t);
        break;
    case '\r':
        grid_move_to(t, t->pen.row, 0);
        break;
    case 0x0e: /* SO */
    case 0x0f: /* SI */
        t->pen.charset = byte == 0x0e;
        break;
    case 0x18: /* CAN */
    case 0x1a: /* SUB */
        t->state = TERMINAL_GROUND;
        break;
    case 0x1b:
        t->state = TERMINAL_ESCAPE;
        break;
    default:
        break; /* BEL and the rest: nothing to see */
    }
}

static void align(struct terminal *t)
{
    struct terminal_cell cell = { 'E', TERMINAL_DEFAULT_FOREGROUND, TERMINAL_DEFAULT_BACKGROUND };
    for (uint32_t row = 0; row < t->rows; row++) {
        for (uint32_t column = 0; column < t->columns; column++)
            grid_row(t, row)[column] = cell;
        grid_touch(t, row, 0, t->columns);
    }
}

static void begin_csi(struct terminal *t)
{
    memset(t->parameters, 0, sizeof(t->parameters));
    t->parameter_count = 0;
    t->private_mark = 0;
    t->state = TERMINAL_CSI;
}

static void escape(struct terminal *t, uint8_t byte)
{
    t->state = TERMINAL_GROUND;
    switch (byte) {
    case '[':
        begin_csi(t);
        break;
    case ']':
    case 'P':
    case 'X':
    case '^':
    case '_':
        t->state = TERMINAL_STRING;
        break;
    case '(':
    case ')':
    case '*':
    case '+':
    case '#':
    case '%':
    case ' ':
        t->introducer = byte;
        t->state = TERMINAL_ESCAPE_ONE;
        break;
    case '7':
        t->saved = t->pen;
        break;
    case '8':
        grid_restore(t);
        break;
    case 'D':
        grid_line_feed(t);
        break;
    case 'E':
        grid_move_to(t, t->pen.row, 0);
        grid_line_feed(t);
        break;
    case 'H':
        t->tab[t->pen.column] = true;
        break;
    case 'M':
        grid_reverse_line_feed(t);
        break;
    case 'c':
        begin(t);
        break;
    default:
        break;
    }
}

static void escape_one(struct terminal *t, uint8_t byte)
{
    t->state = TERMINAL_GROUND;
    if (t->introducer == '(' || t->introducer == ')')
        t->pen.graphics[t->introducer == ')'] = byte == '0';
    else if (t->introducer == '#' && byte == '8')
        align(t);
}

static void parameter_digit(struct terminal *t, uint8_t byte)
{
    uint32_t *value;
    if (t->parameter_count == 0)
        t->parameter_count = 1;
    value = &t->parameters[t->parameter_count - 1];
    *value = *value * 10 + (uint32_t)(byte - '0');
    if (*value > PARAMETER_MOST)
        *value = PARAMETER_MOST;
}

static void parameter_end(struct terminal *t)
{
    if (t->parameter_count == 0)
        t->parameter_count = 1;
    if (t->parameter_count == TERMINAL_PARAMETERS)
        t->state = TERMINAL_CSI_IGNORE;
    else
        t->parameter_count++;
}

static void csi(struct terminal *t, uint8_t byte)
{
    if (byte >= 0x40 && byte <= 0x7e) {
        bool ignored = t->state == TERMINAL_CSI_IGNORE;
        t->state = TERMINAL_GROUND;
        if (!ignored)
            terminal_run_csi(t, byte);
    } else if (t->state == TERMINAL_CSI_IGNORE) {
        return;
    } else if (byte >= '0' && byte <= '9') {
        parameter_digit(t, byte);
    } else if (byte == ';' || byte == ':') {
        parameter_end(t);
    } else if (byte >= '<' && byte <= '?' && t->parameter_count == 0 && t->private_mark == 0) {
        t->private_mark = byte;
    } else {
        t->state = TERMINAL_CSI_IGNORE; /* an intermediate byte, or nonsense */
    }
}

static void string(struct terminal *t, uint8_t byte)
{
    if (byte == 0x07 || byte == 0x18 || byte == 0x1a)
        t->state = TERMINAL_GROUND;
    else if (byte == 0x1b)
        t->state = TERMINAL_STRING_ESCAPE;
    else if (t->state == TERMINAL_STRING_ESCAPE) {
        t->state = TERMINAL_GROUND; /* ESC \ ends it; ESC and anything else begins anew */
        if (byte != '\\')
            escape(t, byte);
    }
}

static void put_byte(struct terminal *t, uint8_t byte)
{
    if (t->state == TERMINAL_STRING || t->state == TERMINAL_STRING_ESCAPE) {
        string(t, byte);
        return;
    }
    if (byte < 0x80 && t->utf8_left > 0) {
        begin_sequence(t, 0, 0);
        put_code(t, REPLACEMENT);
    }
    if (byte < 0x20 || byte == 0x7f) {
        if (byte != 0x7f)
            control(t, byte);
    } else if (t->state == TERMINAL_ESCAPE) {
        escape(t, byte);
    } else if (t->state == TERMINAL_ESCAPE_ONE) {
        escape_one(t, byte);
    } else if (t->state == TERMINAL_CSI || t->state == TERMINAL_CSI_IGNORE) {
        csi(t, byte);
    } else if (byte < 0x80) {
        put_code(t, byte);
    } else {
        put_utf8(t, byte);
    }
}

void terminal_write(struct terminal *terminal, const char *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++)
        put_byte(terminal, (uint8_t)bytes[i]);
}
