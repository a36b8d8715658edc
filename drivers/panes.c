/*
 * The console's panes on a screen.
 *
 * Not here: what bytes do to a terminal (terminal*.c), pixels (screen.c), which text belongs to which
 * pane (vmm/core/console.c). Pure but for the framebuffer. Lock: the caller's (the console's).
 */
#include "hv/drv_panes.h"

#include "hv/format.h"
#include "hv/string.h"

#define BAR_COLOR 7
#define PANIC_ROWS 46 /* that a report wants */
#define SCROLL_KEEPS 2 /* lines that a page has in common with the next */

/* --- the bar --- */

static uint32_t bar_put(struct terminal_cell *cells, uint32_t at, uint32_t columns, const char *text,
                        bool bright)
{
    for (; *text && at < columns; text++, at++) {
        cells[at].code = (uint8_t)*text;
        if (bright)
            cells[at] = (struct terminal_cell){ (uint8_t)*text, 15, 4 };
    }
    return at;
}

static void draw_bar(struct panes *panes)
{
    struct terminal_cell cells[TERMINAL_MOST_COLUMNS];
    const struct terminal *shown = &panes->terminal[panes->shown];
    uint32_t columns = panes->screen.columns, at = 1;
    char text[48];

    for (uint32_t i = 0; i < columns; i++)
        cells[i] = (struct terminal_cell){ ' ', 0, BAR_COLOR };
    for (unsigned pane = 0; pane < CONSOLE_PANES; pane++) {
        const char *name = panes->env.name(panes->env.ctx, pane);
        if (!name)
            continue;
        hv_snprintf(text, sizeof(text), " F%u %s%s ", pane + 1, name, panes->news[pane] ? "*" : "");
        at = bar_put(cells, at, columns, text, pane == panes->shown) + 1;
    }
    if (shown->back)
        hv_snprintf(text, sizeof(text), " %u lines back (Shift-PgDn)", shown->back);
    else
        hv_snprintf(text, sizeof(text), " Alt-F1.. panes, Ctrl-A monitor");
    (void)bar_put(cells, at, columns, text, false);
    screen_draw_row(&panes->screen, panes->screen.rows - 1, cells);
    panes->bar_is_old = false;
}

/* --- panes --- */

/* The pane's terminal, with lines. NULL: there is no memory for them. */
static struct terminal *terminal_of(struct panes *panes, unsigned pane)
{
    struct terminal *terminal = &panes->terminal[pane];
    uint32_t columns = panes->screen.columns, rows = panes->screen.rows - 1;
    size_t count = (size_t)columns * (rows + PANES_LINES);
    struct terminal_cell *cells;

    if (terminal->lines)
        return terminal;
    cells = panes->env.take(panes->env.ctx, count * sizeof(*cells));
    if (!cells)
        return NULL;
    terminal_init(terminal, columns, rows, cells, count);
    return terminal;
}

bool panes_init(struct panes *panes, const struct boot_framebuffer *buffer, const struct font *font,
                const struct panes_env *env)
{
    memset(panes, 0, sizeof(*panes));
    panes->env = *env;
    if (!screen_init(&panes->screen, buffer, font, screen_scale(buffer->width, font)) ||
        panes->screen.rows < 3 || !terminal_of(panes, CONSOLE_PANE_ALL))
        return false;
    panes_select(panes, CONSOLE_PANE_ALL);
    return true;
}

void panes_write(struct panes *panes, unsigned pane, const char *bytes, size_t n)
{
    struct terminal *terminal;

    if (pane >= CONSOLE_PANES || (panes->in_panic && pane != CONSOLE_PANE_ALL))
        return;
    terminal = terminal_of(panes, pane);
    if (!terminal)
        return;
    terminal_write(terminal, bytes, n);
    if (pane == panes->shown) {
        screen_changed(&panes->screen);
    } else if (pane >= CONSOLE_PANE_LOG && !panes->news[pane]) {
        panes->news[pane] = true;
        panes->bar_is_old = true;
    }
}

void panes_select(struct panes *panes, unsigned pane)
{
    struct terminal *terminal = pane < CONSOLE_PANES ? terminal_of(panes, pane) : NULL;

    if (!terminal)
        return;
    panes->shown = pane;
    panes->news[pane] = false;
    screen_show(&panes->screen, terminal);
    draw_bar(panes);
}

static void scroll_lines(struct panes *panes, int lines)
{
    terminal_scroll(&panes->terminal[panes->shown], lines);
    screen_flush(&panes->screen);
    draw_bar(panes);
}

void panes_scroll(struct panes *panes, int pages)
{
    int page = (int)panes->terminal[panes->shown].rows - SCROLL_KEEPS;

    scroll_lines(panes, pages * (page > 0 ? page : 1));
}

void panes_end_scroll(struct panes *panes)
{
    uint32_t back = panes->terminal[panes->shown].back;

    if (back)
        scroll_lines(panes, -(int)back);
}

void panes_flush(struct panes *panes)
{
    screen_flush(&panes->screen);
    if (panes->bar_is_old && !panes->in_panic)
        draw_bar(panes);
}

/* --- panic --- */

void panes_panic(struct panes *panes)
{
    const struct boot_framebuffer buffer = panes->screen.buffer;
    const struct font *font = panes->screen.font;
    struct terminal *terminal = &panes->terminal[CONSOLE_PANE_ALL];
    uint32_t fitting = buffer.height / (font->height * PANIC_ROWS);
    size_t cells = (size_t)terminal->line_count * terminal->columns;
    uint32_t scale = (uint32_t)hv_min_u64(fitting ? fitting : 1, panes->screen.scale);

    if (panes->in_panic || !screen_init(&panes->screen, &buffer, font, scale))
        return;
    panes->in_panic = true;
    panes->shown = CONSOLE_PANE_ALL;
    terminal_init(terminal, panes->screen.columns, panes->screen.rows, terminal->lines, cells);
    terminal->cursor_visible = false;
    screen_show(&panes->screen, terminal);
}

void panes_show_code(struct panes *panes, const char *text, size_t n)
{
    panes_flush(panes);
    if (qr_encode(&panes->code, (const uint8_t *)text, n, QR_LEVEL_L, 1, QR_BEST_MASK))
        screen_draw_code(&panes->screen, &panes->code);
}
