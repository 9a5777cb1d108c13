# cli: the operator's command; one file per subcommand, main.c holds the table
noinst_LIBRARIES += cli/libcli.a
cli_libcli_a_SOURCES = \
	cli/cli.c cli/cli.h \
	cli/commands.h
cli_libcli_a_CFLAGS = $(AM_CFLAGS)

bin_PROGRAMS += brevdue
brevdue_SOURCES = cli/main.c
brevdue_CFLAGS = $(AM_CFLAGS)
brevdue_LDADD = cli/libcli.a $(COMMON_LIBS)
