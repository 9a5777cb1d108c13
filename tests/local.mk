# tests: unit programs (cmocka) link the same libraries as the daemons
UNIT_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS) -Wno-missing-prototypes
check_PROGRAMS += $(UNIT_TESTS)
TESTS += $(UNIT_TESTS)
UNIT_TESTS =
EXTRA_DIST += tests/unit/test.h

# for ./run test
.PHONY: unit-tests list-unit-tests
unit-tests: all
	@$(MAKE) $(AM_MAKEFLAGS) $(check_PROGRAMS)
list-unit-tests:
	@echo $(UNIT_TESTS)

UNIT_TESTS += tests/unit/test_err
tests_unit_test_err_SOURCES = tests/unit/test_err.c
tests_unit_test_err_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_err_LDADD = common/libcommon.a $(CMOCKA_LIBS)

UNIT_TESTS += tests/unit/test_base
tests_unit_test_base_SOURCES = tests/unit/test_base.c
tests_unit_test_base_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_base_LDADD = common/libcommon.a $(JANSSON_LIBS) $(OPENSSL_LIBS) $(CMOCKA_LIBS)

# base: conf, sock, signer, workers
UNIT_TESTS += tests/unit/test_conf
tests_unit_test_conf_SOURCES = tests/unit/test_conf.c
tests_unit_test_conf_CFLAGS = $(UNIT_CFLAGS) -DTOP_SRCDIR='"$(abs_top_srcdir)"'
tests_unit_test_conf_LDADD = $(COMMON_LIBS) $(CMOCKA_LIBS)

UNIT_TESTS += tests/unit/test_sock
tests_unit_test_sock_SOURCES = tests/unit/test_sock.c
tests_unit_test_sock_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_sock_LDADD = $(COMMON_LIBS) $(CMOCKA_LIBS)

UNIT_TESTS += tests/unit/test_signer
tests_unit_test_signer_SOURCES = tests/unit/test_signer.c
tests_unit_test_signer_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_signer_LDADD = $(COMMON_LIBS) $(CMOCKA_LIBS)

check_PROGRAMS += tests/unit/reader_stub
tests_unit_reader_stub_SOURCES = tests/unit/reader_stub.c
tests_unit_reader_stub_CFLAGS = $(UNIT_CFLAGS)
tests_unit_reader_stub_LDADD = $(COMMON_LIBS)

UNIT_TESTS += tests/unit/test_workers
tests_unit_test_workers_SOURCES = tests/unit/test_workers.c
tests_unit_test_workers_CFLAGS = $(UNIT_CFLAGS) -DREADER_STUB='"$(abs_top_builddir)/tests/unit/reader_stub"'
tests_unit_test_workers_LDADD = $(COMMON_LIBS) $(CMOCKA_LIBS)

# the letter's wire form and the reader
UNIT_TESTS += tests/unit/test_letter
tests_unit_test_letter_SOURCES = tests/unit/test_letter.c
tests_unit_test_letter_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_letter_LDADD = envelope/libenvelope.a $(COMMON_LIBS) $(CMOCKA_LIBS)

UNIT_TESTS += tests/unit/test_strict
tests_unit_test_strict_SOURCES = tests/unit/test_strict.c
tests_unit_test_strict_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_strict_LDADD = $(READER_LIBS) envelope/libenvelope.a $(COMMON_LIBS) $(CMOCKA_LIBS)

UNIT_TESTS += tests/unit/test_reader_words
tests_unit_test_reader_words_SOURCES = tests/unit/test_reader_words.c
tests_unit_test_reader_words_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_reader_words_LDADD = $(READER_LIBS) envelope/libenvelope.a $(COMMON_LIBS) $(CMOCKA_LIBS)

UNIT_TESTS += tests/unit/test_reader_types
tests_unit_test_reader_types_SOURCES = tests/unit/test_reader_types.c
tests_unit_test_reader_types_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_reader_types_LDADD = $(READER_LIBS) envelope/libenvelope.a $(COMMON_LIBS) $(CMOCKA_LIBS)

UNIT_TESTS += tests/unit/test_reader_pool
tests_unit_test_reader_pool_SOURCES = tests/unit/test_reader_pool.c
tests_unit_test_reader_pool_CFLAGS = $(UNIT_CFLAGS) -DREADER='"$(abs_top_builddir)/reader/brevdue-reader"' \
	-DMAIL_DATA='"$(abs_top_srcdir)/tests/data/mail"'
tests_unit_test_reader_pool_LDADD = envelope/libenvelope.a $(COMMON_LIBS) $(CMOCKA_LIBS)
EXTRA_tests_unit_test_reader_pool_DEPENDENCIES = reader/brevdue-reader$(EXEEXT)

# transport: http, maskinporten, spool, transport
UNIT_TESTS += tests/unit/test_http
tests_unit_test_http_SOURCES = tests/unit/test_http.c
tests_unit_test_http_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_http_LDADD = $(COMMON_LIBS) $(CMOCKA_LIBS)

UNIT_TESTS += tests/unit/test_maskinporten
tests_unit_test_maskinporten_SOURCES = tests/unit/test_maskinporten.c
tests_unit_test_maskinporten_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_maskinporten_LDADD = $(ENVELOPE_LIBS) $(COMMON_LIBS) $(CMOCKA_LIBS)

UNIT_TESTS += tests/unit/test_spool
tests_unit_test_spool_SOURCES = tests/unit/test_spool.c
tests_unit_test_spool_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_spool_LDADD = $(SPOOL_LIBS) $(STORE_LIBS) $(ENVELOPE_LIBS) $(COMMON_LIBS) $(CMOCKA_LIBS)

UNIT_TESTS += tests/unit/test_lmtp
tests_unit_test_lmtp_SOURCES = tests/unit/test_lmtp.c
tests_unit_test_lmtp_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_lmtp_LDADD = transport/libtransport.a $(COMMON_LIBS) $(CMOCKA_LIBS)

UNIT_TESTS += tests/unit/test_dpi
tests_unit_test_dpi_SOURCES = tests/unit/test_dpi.c
tests_unit_test_dpi_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_dpi_LDADD = transport/libtransport.a $(SPOOL_LIBS) $(STORE_LIBS) \
	lookup/liblookup.a $(ENVELOPE_LIBS) $(COMMON_LIBS) $(CMOCKA_LIBS)

# lookup
UNIT_TESTS += tests/unit/test_nationalid
tests_unit_test_nationalid_SOURCES = tests/unit/test_nationalid.c
tests_unit_test_nationalid_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_nationalid_LDADD = envelope/libenvelope.a $(CMOCKA_LIBS)

UNIT_TESTS += tests/unit/test_decide
tests_unit_test_decide_SOURCES = tests/unit/test_decide.c
tests_unit_test_decide_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_decide_LDADD = lookup/liblookup.a envelope/libenvelope.a common/libcommon.a \
	$(JANSSON_LIBS) $(OPENSSL_LIBS) $(CMOCKA_LIBS)

UNIT_TESTS += tests/unit/test_control
tests_unit_test_control_SOURCES = tests/unit/test_control.c
tests_unit_test_control_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_control_LDADD = $(COMMON_LIBS) $(CMOCKA_LIBS)

UNIT_TESTS += tests/unit/test_address
tests_unit_test_address_SOURCES = tests/unit/test_address.c
tests_unit_test_address_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_address_LDADD = $(LOOKUP_LIBS) $(COMMON_LIBS) $(CMOCKA_LIBS)

UNIT_TESTS += tests/unit/test_socketmap
tests_unit_test_socketmap_SOURCES = tests/unit/test_socketmap.c
tests_unit_test_socketmap_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_socketmap_LDADD = $(LOOKUP_LIBS) $(COMMON_LIBS) $(CMOCKA_LIBS)

UNIT_TESTS += tests/unit/test_lookup_client
tests_unit_test_lookup_client_SOURCES = tests/unit/test_lookup_client.c
tests_unit_test_lookup_client_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_lookup_client_LDADD = $(LOOKUP_LIBS) $(COMMON_LIBS) $(CMOCKA_LIBS)

UNIT_TESTS += tests/unit/test_embedded
tests_unit_test_embedded_SOURCES = tests/unit/test_embedded.c tests/unit/numbers.h
tests_unit_test_embedded_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_embedded_LDADD = $(LOOKUP_LIBS) $(COMMON_LIBS) $(CMOCKA_LIBS)

# store
UNIT_TESTS += tests/unit/test_kv
tests_unit_test_kv_SOURCES = tests/unit/test_kv.c
tests_unit_test_kv_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_kv_LDADD = $(STORE_LIBS) common/libcommon.a $(CMOCKA_LIBS)
# envelope
UNIT_TESTS += tests/unit/test_sealed
tests_unit_test_sealed_SOURCES = tests/unit/test_sealed.c
tests_unit_test_sealed_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_sealed_LDADD = $(ENVELOPE_LIBS) $(COMMON_LIBS) $(CMOCKA_LIBS)

UNIT_TESTS += tests/unit/test_package
tests_unit_test_package_SOURCES = tests/unit/test_package.c
tests_unit_test_package_CFLAGS = $(UNIT_CFLAGS) $(XML_CFLAGS)
tests_unit_test_package_LDADD = $(ENVELOPE_LIBS) $(COMMON_LIBS) $(CMOCKA_LIBS)

check_PROGRAMS += tests/tools/envelope_tool
tests_tools_envelope_tool_SOURCES = tests/tools/envelope_tool.c
tests_tools_envelope_tool_LDADD = $(ENVELOPE_LIBS) $(COMMON_LIBS)

# milter
UNIT_TESTS += tests/unit/test_milter tests/unit/test_submit tests/unit/test_session tests/unit/test_ordinary
tests_unit_test_milter_SOURCES = tests/unit/test_milter.c
tests_unit_test_milter_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_milter_LDADD = $(MILTERD_LIBS) $(CMOCKA_LIBS)
tests_unit_test_submit_SOURCES = tests/unit/test_submit.c tests/unit/smtpsink.c tests/unit/smtpsink.h
tests_unit_test_submit_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_submit_LDADD = $(MILTERD_LIBS) $(CMOCKA_LIBS)
tests_unit_test_session_SOURCES = tests/unit/test_session.c tests/unit/sessionrig.c tests/unit/sessionrig.h
tests_unit_test_session_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_session_LDADD = $(MILTERD_LIBS) $(CMOCKA_LIBS)
tests_unit_test_ordinary_SOURCES = tests/unit/test_ordinary.c tests/unit/sessionrig.c tests/unit/sessionrig.h \
	tests/unit/smtpsink.c tests/unit/smtpsink.h
tests_unit_test_ordinary_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_ordinary_LDADD = $(MILTERD_LIBS) $(CMOCKA_LIBS)

# cli
UNIT_TESTS += tests/unit/test_mask
tests_unit_test_mask_SOURCES = tests/unit/test_mask.c
tests_unit_test_mask_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_mask_LDADD = cli/libcli.a $(ENVELOPE_LIBS) $(COMMON_LIBS) $(CMOCKA_LIBS)
