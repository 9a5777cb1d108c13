# store: key-value tables; kv_bdb*.c are the only files that know Berkeley DB
noinst_LIBRARIES += store/libstore.a
store_libstore_a_SOURCES = \
	store/kv.h \
	store/kv_bdb.c store/kv_bdb.h \
	store/kv_bdb_table.c
store_libstore_a_CFLAGS = $(AM_CFLAGS)
STORE_LIBS = store/libstore.a $(DB_LIBS)
