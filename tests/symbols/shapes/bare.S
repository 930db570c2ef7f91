// Assembler symbols with and without a size. Never called.
#include "mark.h"

  .text
  .globl bare
bare:                       // no type, no size: an address after it belongs to it
  MARK(7)
  ret
  .globl sized
  .type sized, @function
sized:
  nop
  ret
  .size sized, . - sized
  MARK(8)                   // beyond the end of `sized`: in no symbol
  ret
  .section .note.GNU-stack, "", @progbits
