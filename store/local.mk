# store: key-value tables; kv_bdb.c is the only file that knows Berkeley DB
EXTRA_DIST += store/kv.h
STORE_LIBS = $(DB_LIBS)
