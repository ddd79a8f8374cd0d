#include "textflag.h"

// The handler of SIGSYS. The kernel calls it with the C calling convention, on the
// signal stack of the thread: R0 is the signal number, R1 the siginfo_t, R2 the
// ucontext_t. It returns to the restorer of the vDSO. It uses no Go stack and no
// goroutine, and changes no register that the C calling convention preserves.
TEXT handleRefusal<>(SB), NOSPLIT|NOFRAME|TOPFRAME, $0-0
	MOVW  8(R1), R3
	CMPW  $1, R3 // si_code is SYS_SECCOMP, and not that of kill(2)
	BNE   done
	MOVWU 24(R1), R3 // si_syscall
	MOVD  $·lastRefused(SB), R4
	MOVW  R3, (R4)
	MOVD  $·refusals(SB), R4
add:
	LDAXR (R4), R3
	ADD   $1, R3
	STLXR R3, (R4), R5
	CBNZ  R5, add
	MOVD  $-1, R3
	MOVD  R3, 184(R2) // uc_mcontext.regs[0] = -EPERM
done:
	RET

TEXT restoreSignal<>(SB), NOSPLIT|NOFRAME|TOPFRAME, $0-0
	MOVD $139, R8 // rt_sigreturn
	SVC
	BRK

TEXT ·handlerAddresses(SB), NOSPLIT, $0-16
	MOVD $handleRefusal<>(SB), R0
	MOVD R0, handler+0(FP)
	MOVD $restoreSignal<>(SB), R0
	MOVD R0, restorer+8(FP)
	RET
