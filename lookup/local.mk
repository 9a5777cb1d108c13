# lookup: who is to be reached and how; brevdue-lookup and its client
noinst_LIBRARIES += lookup/liblookup.a
lookup_liblookup_a_SOURCES = \
	lookup/address.c lookup/address.h \
	lookup/client.h \
	lookup/decide.c lookup/decide.h \
	lookup/person.c lookup/person.h
lookup_liblookup_a_CFLAGS = $(AM_CFLAGS)
