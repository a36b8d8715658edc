/*
 * One line as it is typed: insertion, cursor keys, history; the keys of Emacs and of a VT100.
 *
 * Not here: showing it (monitor.c). Pure; no lock. Any byte may come at any time.
 */
#include "hv/monitor.h"
#include "hv/string.h"

#define CTRL(letter) ((letter) & 0x1f)
#define ESCAPE 0x1b
#define DELETE 0x7f

/* Of an escape sequence: nothing, ESC, ESC [ or ESC O. */
enum { ESCAPE_NONE, ESCAPE_BEGUN, ESCAPE_BRACKET };

static void erase(struct line_editor *e, unsigned from, unsigned to)
{
    memmove(e->text + from, e->text + to, e->length - to + 1);
    e->length -= to - from;
    e->cursor = from;
}

static void set_text(struct line_editor *e, const char *text)
{
    e->length = (unsigned)strnlen(text, MONITOR_LINE_BYTES);
    memmove(e->text, text, e->length);
    e->text[e->length] = '\0';
    e->cursor = e->length;
}

void line_editor_insert(struct line_editor *e, const char *text, size_t bytes)
{
    size_t fits = hv_min_u64(bytes, MONITOR_LINE_BYTES - e->length);

    memmove(e->text + e->cursor + fits, e->text + e->cursor, e->length - e->cursor + 1);
    memcpy(e->text + e->cursor, text, fits);
    e->length += (unsigned)fits;
    e->cursor += (unsigned)fits;
}

/* --- history --- */

static const char *history_line(const struct line_editor *e, unsigned back)
{
    return e->history[(e->history_count - back) % MONITOR_HISTORY];
}

static enum line_result show_history(struct line_editor *e, unsigned back)
{
    unsigned kept = e->history_count < MONITOR_HISTORY ? e->history_count : MONITOR_HISTORY;

    if (back > kept)
        return LINE_SAME;
    if (e->history_back == 0)
        memcpy(e->saved, e->text, sizeof(e->saved));
    e->history_back = back;
    set_text(e, back ? history_line(e, back) : e->saved);
    return LINE_CHANGED;
}

static enum line_result older(struct line_editor *e)
{
    return show_history(e, e->history_back + 1);
}

static enum line_result newer(struct line_editor *e)
{
    return e->history_back ? show_history(e, e->history_back - 1) : LINE_SAME;
}

void line_editor_next(struct line_editor *e)
{
    if (e->length && (e->history_count == 0 || strcmp(history_line(e, 1), e->text) != 0))
        memcpy(e->history[e->history_count++ % MONITOR_HISTORY], e->text, sizeof(e->text));
    e->history_back = 0;
    set_text(e, "");
}

/* --- keys --- */

static enum line_result move_to(struct line_editor *e, unsigned cursor)
{
    if (cursor > e->length || cursor == e->cursor)
        return LINE_SAME;
    e->cursor = cursor;
    return LINE_CHANGED;
}

static enum line_result erase_before(struct line_editor *e)
{
    if (e->cursor == 0)
        return LINE_SAME;
    erase(e, e->cursor - 1, e->cursor);
    return LINE_CHANGED;
}

static enum line_result erase_under(struct line_editor *e)
{
    if (e->cursor == e->length)
        return LINE_SAME;
    erase(e, e->cursor, e->cursor + 1);
    return LINE_CHANGED;
}

static enum line_result erase_word(struct line_editor *e)
{
    unsigned from = e->cursor;

    while (from && e->text[from - 1] == ' ')
        from--;
    while (from && e->text[from - 1] != ' ')
        from--;
    if (from == e->cursor)
        return LINE_SAME;
    erase(e, from, e->cursor);
    return LINE_CHANGED;
}

static enum line_result cursor_key(struct line_editor *e, uint8_t final)
{
    switch (final) {
    case 'A':
        return older(e);
    case 'B':
        return newer(e);
    case 'C':
        return move_to(e, e->cursor + 1);
    case 'D':
        return move_to(e, e->cursor - 1);
    case 'H':
        return move_to(e, 0);
    case 'F':
        return move_to(e, e->length);
    case '~':
        if (e->parameter == 1 || e->parameter == 7)
            return move_to(e, 0);
        if (e->parameter == 4 || e->parameter == 8)
            return move_to(e, e->length);
        return e->parameter == 3 ? erase_under(e) : LINE_SAME;
    default:
        return LINE_SAME;
    }
}

static enum line_result escape_key(struct line_editor *e, uint8_t byte)
{
    if (e->escape == ESCAPE_BEGUN) {
        e->escape = byte == '[' || byte == 'O' ? ESCAPE_BRACKET : ESCAPE_NONE;
        e->parameter = 0;
        return LINE_SAME;
    }
    if (byte >= '0' && byte <= '9') {
        e->parameter = (uint8_t)(e->parameter < 20 ? e->parameter * 10 + (byte - '0') : 255);
        return LINE_SAME;
    }
    if (byte == ';')
        return LINE_SAME;
    e->escape = ESCAPE_NONE;
    return cursor_key(e, byte);
}

static enum line_result control_key(struct line_editor *e, uint8_t byte)
{
    switch (byte) {
    case CTRL('A'):
        return move_to(e, 0);
    case CTRL('B'):
        return move_to(e, e->cursor - 1);
    case CTRL('C'):
        return LINE_CANCELLED;
    case CTRL('D'):
        return e->length ? erase_under(e) : LINE_LEFT;
    case CTRL('E'):
        return move_to(e, e->length);
    case CTRL('F'):
        return move_to(e, e->cursor + 1);
    case CTRL('H'):
    case DELETE:
        return erase_before(e);
    case CTRL('I'):
        return LINE_COMPLETE;
    case CTRL('K'):
        if (e->cursor == e->length)
            return LINE_SAME;
        erase(e, e->cursor, e->length);
        return LINE_CHANGED;
    case CTRL('L'):
        return LINE_CHANGED;
    case CTRL('N'):
        return newer(e);
    case CTRL('P'):
        return older(e);
    case CTRL('U'):
        if (e->cursor == 0)
            return LINE_SAME;
        erase(e, 0, e->cursor);
        return LINE_CHANGED;
    case CTRL('W'):
        return erase_word(e);
    case ESCAPE:
        e->escape = ESCAPE_BEGUN;
        return LINE_SAME;
    default:
        return LINE_SAME;
    }
}

enum line_result line_editor_key(struct line_editor *e, uint8_t byte)
{
    uint8_t before = e->last_byte;

    e->last_byte = byte;
    if (byte == '\r' || byte == '\n') {
        e->escape = ESCAPE_NONE;
        return byte == '\n' && before == '\r' ? LINE_SAME : LINE_ENTERED;
    }
    if (e->escape != ESCAPE_NONE && byte >= ' ' && byte < DELETE)
        return escape_key(e, byte);
    e->escape = ESCAPE_NONE;
    if (byte < ' ' || byte == DELETE)
        return control_key(e, byte);
    if (byte > DELETE || e->length == MONITOR_LINE_BYTES)
        return LINE_SAME;
    char c = (char)byte;
    line_editor_insert(e, &c, 1);
    return e->cursor == e->length ? LINE_APPENDED : LINE_CHANGED;
}
