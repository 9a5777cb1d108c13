# lookup: who is to be reached and how; brevdue-lookup and its client
noinst_LIBRARIES += lookup/liblookup.a
lookup_liblookup_a_SOURCES = \
	lookup/address.c lookup/address.h \
	lookup/asker.c lookup/asker.h \
	lookup/audit.c lookup/audit.h \
	lookup/client.c lookup/client.h \
	lookup/codec.c lookup/codec.h \
	lookup/daemon.c lookup/daemon.h \
	lookup/decide.c lookup/decide.h \
	lookup/embedded.c lookup/embedded.h lookup/embedded_private.h \
	lookup/embedded_import.c \
	lookup/operator.c lookup/operator.h \
	lookup/person.c lookup/person.h \
	lookup/personfile.c lookup/personfile.h lookup/personfile_private.h \
	lookup/personfile_csv.c \
	lookup/question.c lookup/question.h \
	lookup/registry.h \
	lookup/server.c lookup/server.h \
	lookup/session.c lookup/session.h \
	lookup/socketmap.c lookup/socketmap.h
lookup_liblookup_a_CFLAGS = $(AM_CFLAGS)
LOOKUP_LIBS = lookup/liblookup.a $(STORE_LIBS) $(ENVELOPE_LIBS)

sbin_PROGRAMS += brevdue-lookup
brevdue_lookup_SOURCES = lookup/main.c
brevdue_lookup_CFLAGS = $(AM_CFLAGS)
brevdue_lookup_LDADD = $(LOOKUP_LIBS) $(COMMON_LIBS)
