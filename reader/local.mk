# reader: raw mail in, letter out; own executable, the only one that parses foreign documents
noinst_LIBRARIES += reader/libreader.a
reader_libreader_a_SOURCES = \
	reader/documents.c reader/documents.h \
	reader/field.c reader/field.h \
	reader/headers.c reader/headers.h \
	reader/html.c reader/html.h \
	reader/mime.c reader/mime.h \
	reader/names.c reader/names.h \
	reader/options.c reader/options.h \
	reader/parts.c reader/parts.h \
	reader/read.c reader/read.h \
	reader/strict.c reader/strict.h reader/strict_private.h \
	reader/strict_head.c \
	reader/text.c reader/text.h \
	reader/transfer.c reader/transfer.h \
	reader/types.c reader/types.h
reader_libreader_a_CFLAGS = $(AM_CFLAGS) $(GMIME_CFLAGS)
READER_LIBS = reader/libreader.a $(GMIME_LIBS) $(MAGIC_LIBS)

pkglibexec_PROGRAMS += reader/brevdue-reader
reader_brevdue_reader_SOURCES = reader/main.c
reader_brevdue_reader_CFLAGS = $(AM_CFLAGS)
reader_brevdue_reader_LDADD = $(READER_LIBS) envelope/libenvelope.a $(COMMON_LIBS)
