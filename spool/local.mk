# spool: what the transport keeps
noinst_LIBRARIES += spool/libspool.a
spool_libspool_a_SOURCES = \
	spool/claims.c spool/claims.h \
	spool/records.c spool/records.h \
	spool/sets.c spool/sets.h \
	spool/view.c spool/view.h
SPOOL_LIBS = spool/libspool.a
