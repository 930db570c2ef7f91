/* The switch for x86-64, and the note by which a debugger finds everything (debug_abi.h).
 *
 *   struct Departure { uintptr_t sp; uint64_t how; };
 *   Departure coppice_depart(ThreadState*, uintptr_t sp);   saves what the target's range needs
 *   void      coppice_arrive(ThreadState*);                 copies the target's slice back
 *   void      coppice_run(ThreadState*);                    runs a new greenlet, never returns
 *
 *   uint64_t  coppice_switch_stacks(ThreadState*);
 *      1 when the greenlet was switched to again; anything else is why it was never left (see switch.hpp).
 *
 * A suspended greenlet's stack starts with the resume context (offsets from `start`; resume_slot in the table):
 *   +0 mxcsr, +4 x87 control word, +8 r15, +16 r14, +24 r13, +32 r12, +40 rbx, +48 rbp, +56 return address
 *
 * While coppice_arrive runs, the frame above it is being overwritten, so its caller is `undefined` there: an
 * unwinder that looks just then ends, and does not read another greenlet's bytes. The nop keeps resume_pc - 1 in the
 * same row as resume_pc, whichever of the two an unwinder looks up.
 */
        .text
        .p2align 4
        .globl  coppice_switch_stacks
        .hidden coppice_switch_stacks
        .type   coppice_switch_stacks, @function
coppice_switch_stacks:
        .cfi_startproc
        pushq   %rbp
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset rbp, 0
        pushq   %rbx
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset rbx, 0
        pushq   %r12
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset r12, 0
        pushq   %r13
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset r13, 0
        pushq   %r14
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset r14, 0
        pushq   %r15
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset r15, 0
        subq    $8, %rsp
        .cfi_adjust_cfa_offset 8
        stmxcsr (%rsp)
        fnstcw  4(%rsp)
        movq    %rdi, %rbx
        movq    %rsp, %rsi
        call    coppice_depart          /* rax: sp to go on with, rdx: how */
        cmpq    $1, %rdx
        jne     .Lnot_resumed
        .cfi_remember_state
        movq    %rax, %rsp              /* everything below is ours to use: it has been saved */
        .cfi_undefined rip
        .cfi_undefined rbp
        .cfi_undefined rbx
        .cfi_undefined r12
        .cfi_undefined r13
        .cfi_undefined r14
        .cfi_undefined r15
        movq    %rbx, %rdi
        call    coppice_arrive
        movl    $1, %eax
        .cfi_restore_state
        nop
        .globl  coppice_resume
        .hidden coppice_resume
coppice_resume:
        ldmxcsr (%rsp)
        fldcw   4(%rsp)
.Lleave:
        addq    $8, %rsp
        .cfi_adjust_cfa_offset -8
        popq    %r15
        .cfi_adjust_cfa_offset -8
        .cfi_restore r15
        popq    %r14
        .cfi_adjust_cfa_offset -8
        .cfi_restore r14
        popq    %r13
        .cfi_adjust_cfa_offset -8
        .cfi_restore r13
        popq    %r12
        .cfi_adjust_cfa_offset -8
        .cfi_restore r12
        popq    %rbx
        .cfi_adjust_cfa_offset -8
        .cfi_restore rbx
        popq    %rbp
        .cfi_adjust_cfa_offset -8
        .cfi_restore rbp
        ret

        .cfi_adjust_cfa_offset 56       /* the frame as before .Lleave */
        .cfi_rel_offset rbp, 48
        .cfi_rel_offset rbx, 40
        .cfi_rel_offset r12, 32
        .cfi_rel_offset r13, 24
        .cfi_rel_offset r14, 16
        .cfi_rel_offset r15, 8
.Lnot_resumed:
        cmpq    $2, %rdx
        je      .Lstarts
        movq    %rdx, %rax
        jmp     .Lleave
.Lstarts:
        movq    %rax, %rsp              /* usually the same: a new greenlet begins where its starter's stack ends */
        .cfi_def_cfa_offset 0
        .cfi_undefined rip
        .cfi_undefined rbp
        .cfi_undefined rbx
        .cfi_undefined r12
        .cfi_undefined r13
        .cfi_undefined r14
        .cfi_undefined r15
        jmp     coppice_entry
        .cfi_endproc
        .size   coppice_switch_stacks, . - coppice_switch_stacks

/* The outermost frame of every greenlet but the main ones. Entered with rsp = the greenlet's stop, which is its CFA
 * throughout; it has no caller, and every unwinder ends here. rbx: the thread's state. */
        .p2align 4
        .globl  coppice_entry
        .hidden coppice_entry
        .type   coppice_entry, @function
coppice_entry:
        .cfi_startproc
        .cfi_def_cfa_offset 0
        .cfi_undefined rip
        .cfi_undefined rbp
        .cfi_undefined rbx
        .cfi_undefined r12
        .cfi_undefined r13
        .cfi_undefined r14
        .cfi_undefined r15
        xorl    %ebp, %ebp              /* ends frame pointer chains as well */
        pushq   $0
        .cfi_adjust_cfa_offset 8
        pushq   $0
        .cfi_adjust_cfa_offset 8
        movq    %rbx, %rdi
        call    coppice_run
        ud2
        .cfi_endproc
        .size   coppice_entry, . - coppice_entry
        .globl  coppice_entry_end
        .hidden coppice_entry_end
coppice_entry_end:

/* The two places where a greenlet begins or goes on are one static probe, coppice:switch, in the notes that GDB
 * (`catch greenlet-switch`), perf and bpftrace read. Argument 1: the greenlet, out of the thread's state at %rbx (offset
 * held to by debug_table.cpp). It adds no code. */
        .macro PROBE place
        .section .note.stapsdt, "", @note
        .p2align 2
        .long   8, 3f - 2f, 3           /* namesz, descsz, type */
        .asciz  "stapsdt"
2:      .quad   \place, _.stapsdt.base, 0
        .asciz  "coppice"
        .asciz  "switch"
        .asciz  "8@16(%rbx)"
3:      .p2align 2
        .endm
        PROBE   coppice_resume
        PROBE   coppice_entry
        /* Readers take the difference between this and where it lies in the file. */
        .section .stapsdt.base, "aG", @progbits, .stapsdt.base, comdat
        .weak   _.stapsdt.base
        .hidden _.stapsdt.base
_.stapsdt.base:
        .space  1
        .size   _.stapsdt.base, 1

        .hidden coppice_debug_table
        .section .note.coppice, "a", @note
        .p2align 2
        .long   8                       /* namesz */
        .long   8                       /* descsz */
        .long   1                       /* COPPICE_NOTE_TYPE */
        .asciz  "Coppice"
0:      .quad   coppice_debug_table - 0b

        .section .note.GNU-stack, "", @progbits
