# milter: the daemon; libmilter is included here only
noinst_LIBRARIES += milter/libmilterd.a
milter_libmilterd_a_SOURCES = \
	milter/gate.c milter/gate.h \
	milter/letters.c milter/letters.h \
	milter/memory.c milter/memory.h \
	milter/message.c milter/message.h \
	milter/mlfi.c milter/mlfi.h \
	milter/options.c milter/options.h \
	milter/ordinary.c milter/ordinary.h \
	milter/poison.c milter/poison.h \
	milter/policy.c milter/policy.h \
	milter/rate.c milter/rate.h \
	milter/reply.c milter/reply.h \
	milter/session.c milter/session.h milter/session_private.h \
	milter/session_letters.c \
	milter/session_ordinary.c \
	milter/smtpc.c milter/smtpc.h \
	milter/submit.c milter/submit.h \
	milter/work.c milter/work.h
MILTERD_LIBS = milter/libmilterd.a lookup/liblookup.a envelope/libenvelope.a $(COMMON_LIBS) $(ENVELOPE_LIBS) $(MILTER_LIBS)

sbin_PROGRAMS += brevdue-milter
brevdue_milter_SOURCES = milter/main.c
brevdue_milter_LDADD = $(MILTERD_LIBS)
