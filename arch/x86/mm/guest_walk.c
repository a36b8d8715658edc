/*
 * The walk through a guest's own page tables: see x86/guest_walk.h. Pure, no lock.
 *
 * First the entries are read from the top to the page, then the rights are judged, and only then
 * accessed and dirty flags are set, so that an access that faults leaves the tables alone.
 * SDM volume 3 "Paging".
 */
#include "x86/guest_walk.h"

#define ENTRY_P (1ull << 0)
#define ENTRY_W (1ull << 1)
#define ENTRY_U (1ull << 2)
#define ENTRY_A (1ull << 5)
#define ENTRY_D (1ull << 6)
#define ENTRY_PS (1ull << 7)
#define ENTRY_XD (1ull << 63)
#define ENTRY_KEY_SHIFT 59
#define ADDRESS_BITS 0x000ffffffffff000ull

#define LEVELS_MAX 5u
#define ATTEMPTS_MAX 8u /* a neighbour that changes an entry each time must not hold us */

enum paging_mode { PAGING_32, PAGING_PAE, PAGING_4LEVEL, PAGING_5LEVEL };

struct walk {
    const struct guest_walk_state *state;
    const struct guest_walk_ops *ops;
    void *ctx;
    struct guest_walk_result *result;
    uint64_t gva;
    unsigned access;
    enum paging_mode mode;
    unsigned entry_bytes;
    struct {
        gpa_t gpa;
        uint64_t value;
    } entries[LEVELS_MAX]; /* from the top; result->levels of them */
};

static uint64_t bits(unsigned high, unsigned low)
{
    return high < low ? 0 : (~0ull >> (63 - high)) & (~0ull << low);
}

static bool is_user_access(const struct walk *w)
{
    return w->state->cpl == 3 && !(w->access & GUEST_ACCESS_IMPLICIT);
}

static bool has_execute_disable(const struct walk *w)
{
    return w->mode != PAGING_32 && (w->state->efer & EFER_NXE);
}

/* "Page-Fault Error Code": what it says of the access; `cause` says what was wrong. */
static enum guest_walk_status page_fault(struct walk *w, uint32_t cause)
{
    uint32_t error = cause;

    if (w->access & GUEST_ACCESS_WRITE) {
        error |= X86_PF_W;
    }
    if (is_user_access(w)) {
        error |= X86_PF_U;
    }
    if ((w->access & GUEST_ACCESS_FETCH) &&
        (has_execute_disable(w) || (w->state->cr4 & CR4_SMEP))) {
        error |= X86_PF_I;
    }
    w->result->fault = (struct x86_fault){
        .vector = X86_EXC_PF, .has_error = true, .error = error, .cr2 = w->gva
    };
    return GUEST_WALK_FAULT;
}

/* Does the entry at `level` (1 is the page table) map a page? */
static bool is_leaf(const struct walk *w, unsigned level, uint64_t entry)
{
    switch (level) {
    case 1:
        return true;
    case 2:
        return (entry & ENTRY_PS) && (w->mode != PAGING_32 || (w->state->cr4 & CR4_PSE));
    case 3:
        return (entry & ENTRY_PS) && w->state->has_1g_pages;
    default:
        return false;
    }
}

/* "Reserved bits" of the entries. A PDE of 4 MB holds address bits 39:32 in 20:13 (PSE-36). */
static uint64_t reserved_bits(const struct walk *w, unsigned level, bool leaf)
{
    unsigned width = w->state->maxphyaddr_bits;
    uint64_t reserved;

    if (w->mode == PAGING_32) {
        unsigned used = width < 40 ? width : 40;

        return level == 2 && leaf ? bits(21, used - 32 + 13) : 0;
    }
    reserved = bits(w->mode == PAGING_PAE ? 62 : 51, width);
    if (!has_execute_disable(w)) {
        reserved |= ENTRY_XD;
    }
    if (level > 1 && leaf) {
        reserved |= bits(level == 2 ? 20 : 29, 13);
    } else if (level > 2) {
        reserved |= ENTRY_PS;
    }
    return reserved;
}

static unsigned shift_of(const struct walk *w, unsigned level)
{
    return 12 + (level - 1) * (w->mode == PAGING_32 ? 10 : 9);
}

static uint64_t page_base(const struct walk *w, unsigned level, uint64_t entry)
{
    if (w->mode == PAGING_32 && level == 2) {
        return (entry & bits(31, 22)) | ((entry & bits(20, 13)) << 19);
    }
    return entry & ADDRESS_BITS & ~bits(shift_of(w, level) - 1, 0);
}

/* Gives the level at which reading begins, and the table there; 0 if PAE's PDPTE is not present. */
static unsigned start(const struct walk *w, uint64_t *table)
{
    uint64_t pdpte;

    switch (w->mode) {
    case PAGING_32:
        *table = w->state->cr3 & bits(31, 12);
        return 2;
    case PAGING_PAE:
        pdpte = w->state->pdptes[(w->gva >> 30) & 3];
        *table = pdpte & ADDRESS_BITS;
        return (pdpte & ENTRY_P) ? 2 : 0;
    case PAGING_4LEVEL:
        *table = w->state->cr3 & ADDRESS_BITS;
        return 4;
    default:
        *table = w->state->cr3 & ADDRESS_BITS;
        return 5;
    }
}

/* Reads entries down to the one that maps the page, and combines rights. */
static enum guest_walk_status read_entries(struct walk *w)
{
    struct guest_walk_result *result = w->result;
    unsigned index_bits = w->mode == PAGING_32 ? 10 : 9;
    uint64_t table = 0;
    unsigned level = start(w, &table);

    result->levels = 0;
    result->user = result->writable = result->executable = true;
    for (; level > 0; level--) {
        uint64_t index = (w->gva >> shift_of(w, level)) & bits(index_bits - 1, 0);
        gpa_t gpa = GPA(table + index * w->entry_bytes);
        enum guest_walk_status status;
        uint64_t entry = 0;
        bool leaf;

        result->gpa = gpa;
        status = w->ops->read(w->ctx, gpa, w->entry_bytes, &entry);
        if (status != GUEST_WALK_OK) {
            return status;
        }
        w->entries[result->levels].gpa = gpa;
        w->entries[result->levels++].value = entry;
        if (!(entry & ENTRY_P)) {
            return page_fault(w, 0);
        }
        leaf = is_leaf(w, level, entry);
        if (entry & reserved_bits(w, level, leaf)) {
            return page_fault(w, X86_PF_P | X86_PF_RSVD);
        }
        result->user &= !!(entry & ENTRY_U);
        result->writable &= !!(entry & ENTRY_W);
        result->executable &= !(has_execute_disable(w) && (entry & ENTRY_XD));
        if (leaf) {
            result->page_bytes = 1ull << shift_of(w, level);
            result->gpa = GPA(page_base(w, level, entry) | (w->gva & (result->page_bytes - 1)));
            return GUEST_WALK_OK;
        }
        table = entry & ADDRESS_BITS;
    }
    return page_fault(w, 0);
}

/* "Determination of Access Rights" */
static bool rights_allow(const struct walk *w)
{
    const struct guest_walk_state *s = w->state;
    const struct guest_walk_result *r = w->result;
    bool write = w->access & GUEST_ACCESS_WRITE;

    if (is_user_access(w)) {
        return r->user && (!write || r->writable) &&
               (!(w->access & GUEST_ACCESS_FETCH) || r->executable);
    }
    if (w->access & GUEST_ACCESS_FETCH) {
        return r->executable && !(r->user && (s->cr4 & CR4_SMEP));
    }
    if (r->user && (s->cr4 & CR4_SMAP) &&
        ((w->access & GUEST_ACCESS_IMPLICIT) || !(s->rflags & RFLAGS_AC))) {
        return false;
    }
    return !write || r->writable || !(s->cr0 & CR0_WP);
}

/* "Protection Keys": for data only; PKRU governs user-mode pages, IA32_PKRS the others. */
static bool key_allows(const struct walk *w)
{
    const struct guest_walk_state *s = w->state;
    bool user_page = w->result->user;
    uint64_t leaf = w->entries[w->result->levels - 1].value;
    unsigned key = (unsigned)(leaf >> ENTRY_KEY_SHIFT) & 15u;
    uint32_t rights = (user_page ? s->pkru : s->pkrs) >> (2 * key);

    if (w->mode < PAGING_4LEVEL || (w->access & GUEST_ACCESS_FETCH) ||
        !(s->cr4 & (user_page ? CR4_PKE : CR4_PKS))) {
        return true;
    }
    if (rights & 1u) {
        return false;
    }
    return !(rights & 2u) || !(w->access & GUEST_ACCESS_WRITE) ||
           (!is_user_access(w) && !(s->cr0 & CR0_WP));
}

/* "Accessed and Dirty Flags": in every entry used, and in the one that maps the page. */
static enum guest_walk_status mark_used(struct walk *w)
{
    for (unsigned i = 0; i < w->result->levels; i++) {
        uint64_t old = w->entries[i].value;
        uint64_t value = old | ENTRY_A;
        enum guest_walk_status status;

        if (i + 1u == w->result->levels && (w->access & GUEST_ACCESS_WRITE)) {
            value |= ENTRY_D;
        }
        if (value == old) {
            continue;
        }
        status = w->ops->cmpxchg(w->ctx, w->entries[i].gpa, w->entry_bytes, old, value);
        if (status != GUEST_WALK_OK) {
            if (status == GUEST_WALK_UNMAPPED) {
                w->result->gpa = w->entries[i].gpa;
            }
            return status;
        }
    }
    return GUEST_WALK_OK;
}

static enum guest_walk_status walk_once(struct walk *w)
{
    enum guest_walk_status status = read_entries(w);
    bool key_fault;

    if (status != GUEST_WALK_OK) {
        return status;
    }
    key_fault = !key_allows(w);
    if (key_fault || !rights_allow(w)) {
        return page_fault(w, X86_PF_P | (key_fault ? X86_PF_PK : 0));
    }
    return (w->access & GUEST_ACCESS_PEEK) ? GUEST_WALK_OK : mark_used(w);
}

static enum paging_mode paging_mode(const struct guest_walk_state *s)
{
    if (!(s->cr4 & CR4_PAE)) {
        return PAGING_32;
    }
    if (!(s->efer & EFER_LMA)) {
        return PAGING_PAE;
    }
    return (s->cr4 & CR4_LA57) ? PAGING_5LEVEL : PAGING_4LEVEL;
}

enum guest_walk_status guest_walk(const struct guest_walk_state *state, gva_t gva, unsigned access,
                                  const struct guest_walk_ops *ops, void *ctx,
                                  struct guest_walk_result *result)
{
    struct walk w = { .state = state, .ops = ops, .ctx = ctx, .result = result,
                      .gva = gva.v, .access = access, .mode = paging_mode(state) };
    enum guest_walk_status status = GUEST_WALK_RETRY;

    w.entry_bytes = w.mode == PAGING_32 ? 4 : 8;
    *result = (struct guest_walk_result){ .gpa = GPA(gva.v & 0xffffffffull) };
    if (!(state->cr0 & CR0_PG)) {
        result->page_bytes = 1ull << 32;
        result->user = result->writable = result->executable = true;
        return GUEST_WALK_OK;
    }
    if (w.mode < PAGING_4LEVEL) {
        w.gva &= 0xffffffffull;
    }
    for (unsigned i = 0; i < ATTEMPTS_MAX && status == GUEST_WALK_RETRY; i++) {
        status = walk_once(&w);
    }
    return status;
}
