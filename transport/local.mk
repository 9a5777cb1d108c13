# transport: brevdue-transport, from Postfix's LMTP to the services
noinst_LIBRARIES += transport/libtransport.a
transport_libtransport_a_SOURCES = \
	transport/deliver.c transport/deliver.h \
	transport/dpi_answer.c transport/dpi_answer.h \
	transport/dpi_identity.c transport/dpi_identity.h \
	transport/driver.h \
	transport/driver_dpi.c \
	transport/driver_null.c \
	transport/dsn_read.c transport/dsn_read.h \
	transport/lmtp.c transport/lmtp.h \
	transport/lmtp_line.c transport/lmtp_line.h \
	transport/operator.c transport/operator.h \
	transport/pauses.c transport/pauses.h \
	transport/poller.c transport/poller.h \
	transport/queueid.c transport/queueid.h \
	transport/recheck.c transport/recheck.h \
	transport/server.c transport/server.h \
	transport/setwatch.c transport/setwatch.h \
	transport/target.c transport/target.h \
	transport/transport.c transport/transport.h

sbin_PROGRAMS += brevdue-transport
brevdue_transport_SOURCES = transport/main.c
brevdue_transport_CFLAGS = $(AM_CFLAGS)
brevdue_transport_LDADD = transport/libtransport.a $(SPOOL_LIBS) $(STORE_LIBS) \
	lookup/liblookup.a $(ENVELOPE_LIBS) $(COMMON_LIBS)
