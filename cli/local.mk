# cli: the operator's command; one file per subcommand, main.c holds the table
noinst_LIBRARIES += cli/libcli.a
cli_libcli_a_SOURCES = \
	cli/check.c cli/check.h \
	cli/check_listeners.c \
	cli/check_postfix.c cli/check_system.c cli/check_ways.c \
	cli/cli.c cli/cli.h \
	cli/commands.h \
	cli/instance.c cli/instance.h cli/instance_private.h \
	cli/instance_front.c cli/instance_send.c \
	cli/letters.c \
	cli/lookup.c \
	cli/logmask.c \
	cli/mask.c cli/mask.h \
	cli/open.c \
	cli/plan.c cli/plan.h cli/plan_private.h \
	cli/plan_undo.c \
	cli/registry.c \
	cli/setup.c cli/setup.h \
	cli/setup_keys.c cli/setup_postfix.c \
	cli/tool.c cli/tool.h
cli_libcli_a_CFLAGS = $(AM_CFLAGS)

bin_PROGRAMS += brevdue
brevdue_SOURCES = cli/main.c
brevdue_CFLAGS = $(AM_CFLAGS)
brevdue_LDADD = cli/libcli.a $(ENVELOPE_LIBS) $(COMMON_LIBS)
