// MARK(id) records the address of its place in section coppice_marks: pairs of (address - place of the pair,
// id). The section is loaded, so that it survives strip, and relative, so that it needs no relocation.
#pragma once

#ifdef __ASSEMBLER__
#define MARK(id)                              \
  1 : nop;                                    \
  .pushsection coppice_marks, "a", @progbits; \
  .quad 1b -.;                                \
  .quad id;                                   \
  .popsection
#else
#define MARK(id)                                                 \
  __asm__ volatile(                                              \
      "1: nop\n\t.pushsection coppice_marks,\"a\",@progbits\n\t" \
      ".quad 1b - .\n\t.quad %c0\n\t.popsection" ::"i"(id))
#endif
