/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The reader's system-call filter (threats.md A18): an allow list, everything else fails with
 * EPERM. It may read files (iconv loads its tables late), map memory and answer on the descriptor
 * it has; it may not open sockets, write files, start programs, look into other processes or signal
 * them. The only file that includes seccomp.h.
 */
#include "config.h"
#include "common/privs.h"

#include <errno.h>
#include <fcntl.h>
#include <seccomp.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#define ALLOW(call) SCMP_SYS(call)

/* clang-format off */
static const int allowed[] = {
	/* descriptors it has */
	ALLOW(read), ALLOW(write), ALLOW(readv), ALLOW(writev), ALLOW(pread64), ALLOW(pwrite64),
	ALLOW(lseek), ALLOW(close), ALLOW(close_range), ALLOW(dup), ALLOW(dup2), ALLOW(dup3),
	ALLOW(fcntl), ALLOW(ftruncate), ALLOW(fallocate), ALLOW(memfd_create), ALLOW(sendfile),
	ALLOW(poll), ALLOW(ppoll), ALLOW(select), ALLOW(pselect6), ALLOW(recvmsg), ALLOW(sendmsg),
	ALLOW(pipe2), ALLOW(eventfd2),
	/* files, to read */
	ALLOW(fstat), ALLOW(stat), ALLOW(lstat), ALLOW(newfstatat), ALLOW(statx), ALLOW(fstatfs),
	ALLOW(statfs), ALLOW(access), ALLOW(faccessat), ALLOW(faccessat2), ALLOW(readlink),
	ALLOW(readlinkat), ALLOW(getdents64), ALLOW(getcwd), ALLOW(fadvise64),
	/* memory */
	ALLOW(brk), ALLOW(munmap), ALLOW(mremap), ALLOW(madvise), ALLOW(mlock), ALLOW(munlock),
	ALLOW(membarrier),
	/* itself */
	ALLOW(futex), ALLOW(rt_sigaction), ALLOW(rt_sigprocmask), ALLOW(rt_sigreturn),
	ALLOW(sigaltstack), ALLOW(restart_syscall), ALLOW(exit), ALLOW(exit_group), ALLOW(getpid),
	ALLOW(gettid), ALLOW(getppid), ALLOW(getuid), ALLOW(geteuid), ALLOW(getgid),
	ALLOW(getegid), ALLOW(getresuid), ALLOW(getresgid), ALLOW(getrandom), ALLOW(uname),
	ALLOW(sysinfo), ALLOW(getrlimit), ALLOW(getrusage), ALLOW(sched_yield),
	ALLOW(sched_getaffinity), ALLOW(set_robust_list), ALLOW(rseq), ALLOW(times),
	/* time */
	ALLOW(clock_gettime), ALLOW(clock_getres), ALLOW(clock_nanosleep), ALLOW(nanosleep),
	ALLOW(gettimeofday), ALLOW(time),
#ifdef BD_SANITIZERS /* the leak check stops and traces its own threads */
	ALLOW(clone), ALLOW(ptrace), ALLOW(wait4), ALLOW(prctl), ALLOW(tkill), ALLOW(arch_prctl),
	ALLOW(getdents),
#endif
};
/* clang-format on */

#define WRITES \
	((scmp_datum_t)(O_ACCMODE | O_CREAT | O_TRUNC | O_APPEND | (O_TMPFILE & ~O_DIRECTORY)))
#define W_AND_X ((scmp_datum_t)(PROT_WRITE | PROT_EXEC))

/* Allows the call where (argument & mask) == value. */
static int
allow_if(scmp_filter_ctx f, int call, unsigned argument, scmp_datum_t mask, scmp_datum_t value)
{
	const struct scmp_arg_cmp cmp = {
		.arg = argument, .op = SCMP_CMP_MASKED_EQ, .datum_a = mask, .datum_b = value
	};

	return seccomp_rule_add_array(f, SCMP_ACT_ALLOW, call, 1, &cmp);
}

/* Reading only, memory never writable and executable at once, limits and signals only its own. */
static int
add_conditional(scmp_filter_ctx f)
{
	const scmp_datum_t all = ~(scmp_datum_t)0;
	int rc = 0;

	rc |= allow_if(f, SCMP_SYS(open), 1, WRITES, 0);
	rc |= allow_if(f, SCMP_SYS(openat), 2, WRITES, 0);
	rc |= allow_if(f, SCMP_SYS(mmap), 2, PROT_EXEC, 0);
	rc |= allow_if(f, SCMP_SYS(mmap), 2, W_AND_X, PROT_EXEC);
	rc |= allow_if(f, SCMP_SYS(mprotect), 2, PROT_EXEC, 0);
	rc |= allow_if(f, SCMP_SYS(prlimit64), 0, all, 0);
	rc |= allow_if(f, SCMP_SYS(tgkill), 0, all, (scmp_datum_t)getpid());
	return rc == 0 ? 0 : -1;
}

int
privs_confine_reader(struct bd_err *e)
{
	scmp_filter_ctx f = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	int rc = -1;

	if (f == NULL)
		return bd_fail(e, BD_E_MEMORY, "no memory for the system-call filter");
	for (size_t i = 0; i < sizeof(allowed) / sizeof(allowed[0]); i++)
		if (seccomp_rule_add(f, SCMP_ACT_ALLOW, allowed[i], 0) != 0) {
			bd_fail(e, BD_E_CONFIG, "system-call filter: call %d not known",
				allowed[i]);
			goto out;
		}
	if (add_conditional(f) == -1) {
		bd_fail(e, BD_E_CONFIG, "system-call filter cannot be made");
		goto out;
	}
#ifndef BD_SANITIZERS
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == -1) {
		bd_fail_errno(e, BD_E_CONFIG, "giving up core files");
		goto out;
	}
#endif
	if (seccomp_load(f) != 0) {
		bd_fail(e, BD_E_CONFIG, "the kernel did not take the system-call filter");
		goto out;
	}
	rc = 0;
out:
	seccomp_release(f);
	return rc;
}
