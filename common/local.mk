# common: knows nothing of mail
noinst_LIBRARIES += common/libcommon.a
common_libcommon_a_SOURCES = \
	common/buf.c common/buf.h \
	common/clock.c common/clock.h \
	common/conf.c common/conf.h common/conf_private.h \
	common/conf_check.c common/conf_table.c common/conf_text.c common/conf_value.c \
	common/control.c common/control.h \
	common/encode.c common/encode.h \
	common/err.c common/err.h \
	common/failpoint.c common/failpoint.h \
	common/http.c common/http.h \
	common/json.c common/json.h \
	common/log.c common/log.h \
	common/network.c common/network.h \
	common/privs.c common/privs.h common/privs_confine.c \
	common/procs.c common/procs.h common/procs_child.c common/procs_private.h common/procs_server.c \
	common/publictext.c common/publictext.h \
	common/rsa.c common/rsa.h \
	common/signer.c common/signer.h common/signer_child.c common/signer_private.h \
	common/sock.c common/sock.h \
	common/texts_en.def common/texts_nb.def \
	common/workers.c common/workers.h
common_libcommon_a_CFLAGS = $(AM_CFLAGS) $(CURL_CFLAGS) $(CONFUSE_CFLAGS) $(SECCOMP_CFLAGS)
COMMON_LIBS = common/libcommon.a $(CURL_LIBS) $(CONFUSE_LIBS) $(JANSSON_LIBS) $(SECCOMP_LIBS) $(OPENSSL_LIBS)
