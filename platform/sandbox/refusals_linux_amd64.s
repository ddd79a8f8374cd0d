#include "textflag.h"

// The handler of SIGSYS. The kernel calls it with the C calling convention, on the
// signal stack of the thread: DI is the signal number, SI the siginfo_t, DX the
// ucontext_t. It uses no Go stack and no goroutine.
TEXT handleRefusal<>(SB), NOSPLIT|NOFRAME|TOPFRAME, $0-0
	CMPL 8(SI), $1 // si_code is SYS_SECCOMP, and not that of kill(2)
	JNE  done
	MOVL 24(SI), AX // si_syscall
	MOVL AX, ·lastRefused(SB)
	MOVL $1, AX
	LOCK
	XADDQ AX, ·refusals(SB)
	MOVQ $-1, 144(DX) // uc_mcontext.rax = -EPERM
done:
	RET

// The kernel requires a restorer on amd64.
TEXT restoreSignal<>(SB), NOSPLIT|NOFRAME|TOPFRAME, $0-0
	MOVQ $15, AX // rt_sigreturn
	SYSCALL
	INT $3

TEXT ·handlerAddresses(SB), NOSPLIT, $0-16
	LEAQ handleRefusal<>(SB), AX
	MOVQ AX, handler+0(FP)
	LEAQ restoreSignal<>(SB), AX
	MOVQ AX, restorer+8(FP)
	RET
