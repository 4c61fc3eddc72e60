/* Runs net.c on the inputs of inputs.h, without a C library; prints by semihosting what a PC prints of them. */
#include "inputs.h"
#include "net.c"

extern uint32_t stack;
void start(void);

static void host(uint32_t operation, const void *argument)
{
    register uint32_t r0 __asm__("r0") = operation;
    register const void *r1 __asm__("r1") = argument;
    __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
}

static void put(const char *text)
{
    host(4, text);
}

static void put_number(uint32_t number, uint32_t base, int digits)
{
    char text[12] = { 0 };
    int at = 11;
    do {
        text[--at] = "0123456789abcdef"[number % base];
        number /= base;
    } while (number > 0 || 11 - at < digits);
    put(text + at);
}

static void put_signed(int number)
{
    put(number < 0 ? "-" : "");
    put_number((uint32_t)(number < 0 ? -number : number), 10, 1);
}

/* What GCC may call on its own. */
void *memcpy(void *to, const void *from, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        ((volatile char *)to)[i] = ((const char *)from)[i];
    }
    return to;
}

void *memset(void *to, int value, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        ((volatile char *)to)[i] = (char)value;
    }
    return to;
}

static void fault(void)
{
    put("fault\n");
    host(0x18, (const void *)0x20023);
    for (;;) {
    }
}

__attribute__((section(".vectors"), used)) static const void *const vectors[16] = {
    &stack, (const void *)start, (const void *)fault, (const void *)fault, (const void *)fault, (const void *)fault, (const void *)fault,
};

void start(void)
{
    /* The floating point unit. */
    *(volatile uint32_t *)0xe000ed88 |= 0xfu << 20;
    __asm__ volatile("dsb\n isb");

    static int8_t arena[NET_ARENA_LEN];
    float scores[NET_N_CLASSES];
    put(net_labels[0]);
    put(" ");
    put_signed(net_pixel(0, 0));
    put(" ");
    put_signed(net_pixel(255, 2));
    put("\n");
    for (unsigned i = 0; i < sizeof inputs / sizeof inputs[0]; i++) {
        put_signed(net_predict(inputs[i], arena, scores));
        for (int n = 0; n < NET_N_CLASSES; n++) {
            union { float score; uint32_t bits; } both = { scores[n] };
            put(" ");
            put_number(both.bits, 16, 8);
        }
        put("\n");
    }
    host(0x18, (const void *)0x20026);
    for (;;) {
    }
}
